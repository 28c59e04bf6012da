#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/hash.h"
#include "libs/cluster/writer.h"
#include "libs/config/scrape.h"
#include "libs/exposition/parser.h"
#include "services/scraper/metadata_cache.h"

namespace narthex::scraper {

/// What one scrape amounted to.
struct IngestCounts {
  std::size_t scraped = 0;     ///< Samples in the body.
  std::size_t kept = 0;        ///< Those left by metric relabelling.
  std::size_t added = 0;       ///< Series not seen in the scrape before.
  std::size_t duplicates = 0;  ///< Repeated series, left out.
};

/// What a scrape hands to the writer: first push the samples, then release.
struct ScrapeBatch {
  std::vector<cluster::RefSample> samples;
  std::vector<storage::SeriesRef> released;
};

/// The series of one target, remembered from scrape to scrape. A line whose
/// series text was there last time costs a hash of that text: exporters keep
/// their order, so it is expected at the place behind the line before. Only
/// unknown lines are parsed, relabelled and declared to the writer. Texts are
/// known by their 128-bit hashes alone. Not thread-safe.
class SeriesCache {
 public:
  /// `writer` must outlive the cache.
  explicit SeriesCache(cluster::Writer& writer) : writer_(writer) {}

  /// Reads all of `parser` and appends its samples to `*batch`, then markers
  /// for the series that were there in the last scrape and are gone now.
  /// On an error (malformed line, limit exceeded) the caller drops the samples
  /// and calls MarkAllStale(); the counts are those up to the error, or of the
  /// whole body when only the sample limit is exceeded.
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
  struct Entry {
    base::Hash128 text;
    std::uint64_t labels_hash = 0;
    std::uint32_t ref = 0;     // 0: dropped, or met beyond the sample limit.
    bool dropped : 1 = false;  // By relabelling.
    bool live : 1 = false;     // Had a sample in the last good scrape.
    bool tracked : 1 = false;  // Ends with a marker when it goes.
    bool seen : 1 = false;     // In the scrape at hand.
  };
  // The scrape at hand.
  struct Pass;

  // Whether another sample would exceed the limit.
  static bool Full(const Pass& pass);
  Entry* Find(const base::Hash128& text, Pass& pass);
  absl::Status Learn(exposition::Parser& parser, const base::Hash128& text,
                     Pass& pass, Entry* entry);
  absl::Status Take(exposition::Parser& parser, Pass& pass);
  void EndPass(Pass& pass);
  void AbandonPass(Pass& pass);

  cluster::Writer& writer_;
  // In the order of the last good scrape.
  std::vector<Entry> entries_;
};

}  // namespace narthex::scraper
