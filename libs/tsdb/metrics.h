#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "libs/metrics/metrics.h"

namespace narthex::tsdb {

/// Of one write log: the ahead log or that of samples out of order.
struct WriteLogMetrics {
  /// `prefix` begins the names of the metrics.
  WriteLogMetrics(metrics::Registry& registry, absl::string_view prefix);

  metrics::Counter& writes_failed;
  metrics::Counter& page_flushes;
  metrics::Counter& completed_pages;
  metrics::Counter& truncations;
  metrics::Counter& truncations_failed;
  metrics::Gauge& segment_current;
  metrics::Summary& fsync_seconds;
  /// By compression.
  metrics::CounterFamily& bytes_saved;
};

/// The metrics of a database, under Prometheus's names. Those that are read
/// off its state at exposition are not here but made by Db.
struct TsdbMetrics {
  /// What became of the samples of one kind.
  struct SampleKind {
    /// `type` is "float" or "histogram".
    SampleKind(metrics::Registry& registry, const std::string& type);
    void Appended(std::size_t in_order, std::size_t out_of_order_samples);

    metrics::Counter& appended;
    metrics::Counter& out_of_order_appended;
    metrics::Counter& out_of_order;
    metrics::Counter& out_of_bounds;
    metrics::Counter& too_old;
  };

  explicit TsdbMetrics(metrics::Registry& registry);

  // Head.
  metrics::Counter& series_created;
  metrics::Counter& series_removed;
  metrics::Counter& series_not_found;
  metrics::Counter& chunks_created;
  metrics::Counter& chunks_removed;
  SampleKind floats;
  SampleKind histograms;
  metrics::Histogram& out_of_order_delta;
  metrics::Counter& duplicates;
  metrics::Counter& truncations;
  metrics::Counter& truncations_failed;
  metrics::Gauge& active_appenders;
  metrics::Summary& gc_seconds;
  metrics::Counter& chunks_mapped;
  metrics::Gauge& chunk_files_bytes;

  // Write-ahead log.
  WriteLogMetrics wal;
  metrics::Counter& wal_corruptions;
  metrics::Counter& wal_skipped_records;
  metrics::Counter& wal_unknown_refs;
  metrics::Counter& wbl_unknown_refs;
  metrics::Counter& replay_refused_series;
  metrics::Summary& wal_truncate_seconds;
  metrics::Counter& checkpoints_created;
  metrics::Counter& checkpoints_failed;
  metrics::Counter& checkpoints_deleted;
  metrics::Counter& checkpoint_deletions_failed;
  metrics::Gauge& replay_seconds;
  metrics::Counter& snapshots_unusable;

  // Blocks.
  metrics::Counter& compactions;
  metrics::Counter& compactions_failed;
  metrics::Counter& compactions_triggered;
  metrics::Counter& vertical_compactions;
  metrics::Histogram& compaction_seconds;
  metrics::Counter& reloads;
  metrics::Counter& reloads_failed;
  metrics::Counter& time_retentions;
  metrics::Counter& size_retentions;
  metrics::Gauge& retention_limit_bytes;
  metrics::Gauge& retention_limit_seconds;
  metrics::Gauge& retention_limit_percentage;
  metrics::Counter& series_expired;
  metrics::Histogram& tombstone_cleanup_seconds;
  metrics::Gauge& clean_start;
  metrics::Counter& stale_compactions;
  metrics::Counter& compactions_skipped;
  metrics::Gauge& populating_block;
  /// Of chunks on their way from the head into a block.
  metrics::Histogram& chunk_range_seconds;
  metrics::Histogram& chunk_samples;
  metrics::Histogram& chunk_bytes;
};

}  // namespace narthex::tsdb
