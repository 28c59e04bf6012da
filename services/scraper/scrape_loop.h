#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libs/base/clock.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/cluster/writer.h"
#include "libs/http/client.h"
#include "services/scraper/metadata_cache.h"
#include "services/scraper/metrics.h"
#include "services/scraper/series_cache.h"
#include "services/scraper/settings.h"
#include "services/scraper/target.h"
#include "services/scraper/worker_pool.h"

namespace narthex::scraper {

/// What all loops of a process share. The references outlive the loops.
struct LoopContext {
  http::Client& client;
  cluster::Writer& writer;
  WorkerPool& workers;
  MetadataPool& metadata;
  Metrics& metrics;
  base::Clock& clock;
  base::Logger log;
  /// Added to a target's hash to spread the processes of a replicated set; of
  /// loops that are made from then on.
  std::atomic<std::uint64_t> offset_seed = 0;
  /// A scrape that begins this close to its plan, or a hundredth of its
  /// interval, has the planned time as timestamp: equal distances compress
  /// better. 0: each has its own.
  std::int64_t timestamp_tolerance_ms = 2;
  /// No body is larger, whatever the configuration says; 0 is no limit.
  std::int64_t max_body_bytes = 0;
  /// What all bodies under way take; null is no limit.
  http::BodyBudget* bodies = nullptr;
  SeriesCacheOptions series = {};
};

/// How the last scrape of a target went.
struct ScrapeState {
  enum class Health { kUnknown, kUp, kDown };
  Health health = Health::kUnknown;
  std::string last_error;
  std::int64_t last_scrape_ms = 0;
  double last_duration_seconds = 0;
};

/// Scrapes one target, tick by tick. Ticks come from one thread; everything
/// else happens on the client's threads, where the body is at hand, or on the
/// workers when it is a large one.
class ScrapeLoop : public std::enable_shared_from_this<ScrapeLoop> {
 public:
  /// `budget` counts the series of the loop's pool.
  ScrapeLoop(Target target, std::shared_ptr<const ScrapeSettings> settings,
             std::shared_ptr<SeriesBudget> budget, LoopContext& context);

  /// The first tick after `now_ms`: a place in the interval that follows from
  /// the target alone, so that restarts do not move it.
  std::int64_t FirstTick(std::int64_t now_ms) const;

  /// Begins a scrape planned for `planned_ms`; when the last one is still
  /// running, the next tick is soon. Returns when to tick next; nothing when
  /// the loop is over.
  std::optional<std::int64_t> Tick(std::int64_t planned_ms)
      ABSL_LOCKS_EXCLUDED(mutex_);

  /// The target is gone. After two more ticks (it may come back, in another
  /// loop, before) its series are marked stale as of the first of them.
  void Retire() ABSL_LOCKS_EXCLUDED(mutex_);

  /// Goes on under new settings or with new times of the same target. True
  /// when its ticks must be planned anew: those of the plan so far no longer
  /// count.
  bool Update(const Target& target,
              std::shared_ptr<const ScrapeSettings> settings)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// Numbers the plans of ticks.
  std::uint32_t plan() const { return plan_; }

  /// Every scrape fails with this until it is OK again.
  void SetForcedError(absl::Status error) ABSL_LOCKS_EXCLUDED(mutex_);

  Target target() const ABSL_LOCKS_EXCLUDED(mutex_);
  ScrapeState state() const ABSL_LOCKS_EXCLUDED(mutex_);
  MetadataCache::List metadata() const { return metadata_.Get(); }
  /// No scrape is running.
  bool idle() const { return !busy_; }

 private:
  // The times and identity of one scrape.
  struct Scrape {
    std::int64_t timestamp_ms = 0;
    std::int64_t start_ms = 0;
    std::int64_t start_ns = 0;
    std::shared_ptr<const ScrapeSettings> settings;
    std::shared_ptr<const Target> target;
    bool relearn = false;
  };
  enum Report {
    kUp,
    kDuration,
    kScraped,
    kPostRelabel,
    kAdded,
    kTimeout,
    kSampleLimit,
    kBodySize,
    kReports
  };

  std::int64_t ToleranceMs(const Target& target) const;
  // The target's place in the interval that comes next after `ms`.
  std::int64_t PlaceAfter(std::int64_t ms, const Target& target) const;
  void Fetch(std::shared_ptr<Scrape> scrape);
  // Notes the time since the last tick.
  void ObserveInterval(const Scrape& scrape);
  void Finish(Scrape& scrape, const http::FetchResult& result,
              absl::string_view body) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Ingest(Scrape& scrape, const http::FetchResult& result,
                      absl::string_view body, ScrapeBatch* batch,
                      IngestCounts* counts);
  void CountFailure(const absl::Status& status);
  void CountRefused(const Scrape& scrape, const IngestCounts& counts);
  void AppendReports(const Scrape& scrape, const absl::Status& status,
                     double seconds, double body_bytes,
                     const IngestCounts& counts, ScrapeBatch* batch);
  void AppendReport(Report report, const model::Labels& labels,
                    std::int64_t timestamp_ms, double value,
                    ScrapeBatch* batch);
  void End(std::int64_t timestamp_ms);
  void Send(ScrapeBatch batch, bool in_order_only = false);
  void SendZeros(cluster::PushBatch zeros);

  LoopContext& context_;
  const std::uint64_t offset_seed_;
  MetadataCache metadata_;

  // When the last tick began; 0: none has. Used by ticks only.
  std::int64_t last_tick_ns_ = 0;
  // Where the lengths of intervals of a certain length are noted, likewise.
  std::int64_t observed_interval_ms_ = 0;
  metrics::Summary* interval_lengths_ = nullptr;
  // The last scrape met more series than allowed. Used by scrapes only.
  bool over_series_limit_ = false;
  // How long the last good body was on the wire. Used by scrapes only.
  std::int64_t last_wire_bytes_ = 0;

  // One scrape at a time owns these.
  std::atomic<bool> busy_{false};
  std::atomic<std::uint32_t> plan_{0};
  SeriesCache series_;
  std::array<storage::SeriesRef, kReports> reports_{};

  mutable base::Mutex mutex_;
  std::shared_ptr<const Target> target_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const ScrapeSettings> settings_ ABSL_GUARDED_BY(mutex_);
  ScrapeState state_ ABSL_GUARDED_BY(mutex_);
  absl::Status forced_error_ ABSL_GUARDED_BY(mutex_);
  bool relearn_ ABSL_GUARDED_BY(mutex_) = false;
  bool retired_ ABSL_GUARDED_BY(mutex_) = false;
  // When the series of a retired target ended; set by its first tick.
  std::optional<std::int64_t> ended_ms_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::scraper
