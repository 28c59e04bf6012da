#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/cluster/writer.h"
#include "libs/config/scrape.h"
#include "libs/exposition/parser.h"
#include "services/scraper/metadata_cache.h"
#include "services/scraper/series_budget.h"
#include "services/scraper/start_zeros.h"

namespace narthex::scraper {

/// What one scrape amounted to.
struct IngestCounts {
  std::size_t scraped = 0;     ///< Samples in the body, malformed ones aside.
  std::size_t kept = 0;        ///< Those left by metric relabelling.
  std::size_t added = 0;       ///< Series not seen in the scrape before.
  std::size_t duplicates = 0;  ///< Repeated series, left out.
  /// Too far in the future, left out.
  std::size_t out_of_bounds = 0;
  /// Of new series beyond the soft limits, left out.
  std::size_t over_series_limit = 0;
  /// Failed scrapes had made too many series known: those were forgotten.
  bool flushed = false;
};

/// What a scrape hands to the writer: first push the samples, then release.
struct ScrapeBatch : cluster::PushBatch {
  std::vector<storage::SeriesRef> released;
  /// How many of the samples, the first ones, the target exposed. Behind them
  /// are markers and reports, which may well meet a newer or another sample.
  std::size_t exposed = 0;
  /// What goes before all that: a zero for each counter that begins.
  cluster::PushBatch zeros;
};

/// What a cache does beside taking samples.
struct SeriesCacheOptions {
  /// Series are labelled with the type and the unit that the exposition tells.
  bool family_labels = false;
  /// Counters begin with a zero at the start time that the exposition tells.
  bool start_zeros = false;
  /// Samples are sent with the start times that the exposition tells.
  bool start_times = false;
};

/// The series of one target, remembered from scrape to scrape. A line whose
/// series text was there last time costs a hash of that text: exporters keep
/// their order, so it is expected at the place behind the line before, and
/// while all lines are where they were, nothing is written but samples. Only
/// unknown lines are parsed, relabelled and declared to the writer. Texts are
/// known by 96 bits of their hashes alone. Not thread-safe.
class SeriesCache {
 public:
  /// `writer` must outlive the cache. `pool` counts the series of this and
  /// other targets.
  SeriesCache(cluster::Writer& writer, std::shared_ptr<SeriesBudget> pool,
              SeriesCacheOptions options)
      : writer_(writer), pool_(std::move(pool)), options_(options) {}

  /// Reads all of `parser` and appends its samples to `*batch`, then markers
  /// for the series that were there in the last scrape and are gone now.
  /// On an error (malformed line, limit exceeded) the caller drops the samples
  /// and calls MarkAllStale(); the counts are those up to the error, or of the
  /// whole body when only the limit of samples or buckets is exceeded. Series
  /// met until then are known from then on.
  absl::Status Ingest(exposition::Parser& parser,
                      const config::ScrapeConfig& config,
                      const model::Labels& target_labels,
                      std::int64_t timestamp_ms, MetadataCache& metadata,
                      ScrapeBatch* batch, IngestCounts* counts);

  /// Appends a marker for every series that is alive; all are remembered for
  /// the target's return.
  void MarkAllStale(std::int64_t timestamp_ms, ScrapeBatch* batch);

  /// The rules by which texts become series have changed: every text is
  /// looked at anew, and series that come out the same live on.
  void Relearn();

  /// Forgets all series.
  void Forget(ScrapeBatch* batch);

  std::size_t size() const { return entries_.size(); }

 private:
  // The hash of a series' text, as much of it as names it beyond doubt within
  // one target.
  struct Text {
    std::array<std::uint32_t, 3> hash{};
    friend bool operator==(const Text& a, const Text& b) {
      return ((a.hash[0] ^ b.hash[0]) | (a.hash[1] ^ b.hash[1]) |
              (a.hash[2] ^ b.hash[2])) == 0;
    }
    // `family` stands for what else decides on its labels.
    static Text Of(absl::string_view series, std::uint32_t family);
  };
  struct TextHash {
    std::size_t operator()(const Text& text) const { return text.hash[0]; }
  };
  // There is one for every series of every target: 16 bytes.
  struct Entry {
    Text text;
    // 0: dropped, or met beyond the sample limit or the soft limit of series.
    // A writer's references stay far below 2^28.
    std::uint32_t ref : 28 = 0;
    std::uint32_t dropped : 1 = 0;  // By relabelling.
    std::uint32_t live : 1 = 0;     // Had a sample in the last good scrape.
    std::uint32_t tracked : 1 = 0;  // Ends with a marker when it goes.
    std::uint32_t seen : 1 = 0;     // In the scrape at hand.
  };
  // The scrape at hand.
  struct Pass;

  // Whether another sample would exceed the limit.
  static bool Full(const Pass& pass);
  // The entry of the next line while all lines come as in the last scrape, and
  // leave their entries as they are; else null.
  const Entry* FindInOrder(const Text& text, bool tracked, Pass& pass) const;
  // From here on the scrape gets a list of entries of its own.
  void LeaveOrder(Pass& pass);
  Entry* Find(const Text& text, Pass& pass);
  // Whether there is a soft limit of series.
  static bool IsLimited(const Pass& pass);
  // The pool's, with what those of the target that did not come give back.
  static std::uint64_t PoolLimit(const Pass& pass);
  // Whether another series would not exceed the soft limits, as far as known
  // ones have come so far: those that do not come make room.
  bool HasRoom(const Pass& pass) const;
  // Gives up the latest of the new series if they are too many beside `others`
  // of the target.
  void RefuseExcess(std::size_t others, Pass& pass);
  // It counts as one of the target's series.
  static bool Counts(const Entry& entry);
  std::size_t CountKnown() const;
  // Its series is not one of the target's any more.
  void Release(const Entry& entry, ScrapeBatch* batch);
  absl::Status Learn(exposition::Parser& parser, const Text& text, Pass& pass,
                     Entry* entry);
  // Finds or makes the entry of a line when it is not the expected one.
  absl::Status TakeOutOfOrder(exposition::Parser& parser, const Text& text,
                              bool tracked, Pass& pass, const Entry** known,
                              bool* repeated);
  absl::Status Take(exposition::Parser& parser, bool histogram, Pass& pass);
  void EndPass(Pass& pass);
  void AbandonPass(Pass& pass);

  cluster::Writer& writer_;
  const std::shared_ptr<SeriesBudget> pool_;
  const SeriesCacheOptions options_;
  StartZeros start_zeros_;
  // In the order of the last good scrape, then those that failed ones met.
  std::vector<Entry> entries_;
  // How many there may be after a failed scrape.
  std::size_t most_after_failures_ = 1000;
};

}  // namespace narthex::scraper
