#pragma once

#include "libs/metrics/metrics.h"

namespace narthex::tsdb {

/// The metrics of a database, under Prometheus's names. Those that are read
/// off its state at exposition are not here but made by Db.
struct TsdbMetrics {
  explicit TsdbMetrics(metrics::Registry& registry);

  // Head.
  metrics::Counter& series_created;
  metrics::Counter& series_removed;
  metrics::Counter& series_not_found;
  metrics::Counter& chunks_created;
  metrics::Counter& chunks_removed;
  metrics::Counter& samples_appended;
  metrics::Counter& out_of_order;
  metrics::Counter& out_of_bounds;
  metrics::Counter& too_old;
  metrics::Counter& duplicates;
  metrics::Counter& truncations;
  metrics::Counter& truncations_failed;
  metrics::Gauge& active_appenders;
  metrics::Histogram& gc_seconds;
  metrics::Counter& chunks_mapped;
  metrics::Gauge& chunk_files_bytes;

  // Write-ahead log.
  metrics::Counter& wal_corruptions;
  metrics::Counter& wal_writes_failed;
  metrics::Counter& wal_page_flushes;
  metrics::Counter& wal_completed_pages;
  metrics::Counter& wal_truncations;
  metrics::Counter& wal_truncations_failed;
  metrics::Counter& wal_skipped_records;
  metrics::Counter& wal_unknown_refs;
  metrics::Gauge& wal_segment_current;
  metrics::Histogram& wal_fsync_seconds;
  metrics::Histogram& wal_truncate_seconds;
  metrics::Counter& checkpoints_created;
  metrics::Counter& checkpoints_failed;
  metrics::Gauge& replay_seconds;

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
  metrics::Histogram& tombstone_cleanup_seconds;
};

}  // namespace narthex::tsdb
