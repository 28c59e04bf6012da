#include "libs/tsdb/metrics.h"

#include <vector>

#include "absl/strings/str_cat.h"

namespace narthex::tsdb {
namespace {

std::vector<double> LongBuckets() {
  return metrics::ExponentialBuckets(1, 2, 14);
}

}  // namespace

WriteLogMetrics::WriteLogMetrics(metrics::Registry& r, absl::string_view prefix)
    : writes_failed(
          r.NewCounter(absl::StrCat(prefix, "_writes_failed_total"),
                       "Total number of write log writes that failed.")),
      page_flushes(r.NewCounter(absl::StrCat(prefix, "_page_flushes_total"),
                                "Total number of page flushes.")),
      completed_pages(
          r.NewCounter(absl::StrCat(prefix, "_completed_pages_total"),
                       "Total number of completed pages.")),
      truncations(
          r.NewCounter(absl::StrCat(prefix, "_truncations_total"),
                       "Total number of write log truncations attempted.")),
      truncations_failed(
          r.NewCounter(absl::StrCat(prefix, "_truncations_failed_total"),
                       "Total number of write log truncations that failed.")),
      segment_current(r.NewGauge(
          absl::StrCat(prefix, "_segment_current"),
          "Write log segment index that TSDB is currently writing to.")),
      fsync_seconds(
          r.NewSummary(absl::StrCat(prefix, "_fsync_duration_seconds"),
                       "Duration of write log fsync.", {0.5, 0.9, 0.99})),
      bytes_saved(r.NewCounterFamily(
          absl::StrCat(prefix, "_record_bytes_saved_total"),
          "Total number of bytes saved by the optional record compression.",
          {"compression"})) {}

TsdbMetrics::SampleKind::SampleKind(metrics::Registry& r,
                                    const std::string& type)
    : appended(r.NewCounter("prometheus_tsdb_head_samples_appended_total",
                            "Total number of appended samples.",
                            {{"type", type}})),
      out_of_order_appended(r.NewCounter(
          "prometheus_tsdb_head_out_of_order_samples_appended_total",
          "Total number of appended out of order samples.", {{"type", type}})),
      out_of_order(r.NewCounter("prometheus_tsdb_out_of_order_samples_total",
                                "Total number of samples refused because they "
                                "were out of order.",
                                {{"type", type}})),
      out_of_bounds(r.NewCounter("prometheus_tsdb_out_of_bound_samples_total",
                                 "Total number of samples refused because "
                                 "they were out of bounds.",
                                 {{"type", type}})),
      too_old(r.NewCounter("prometheus_tsdb_too_old_samples_total",
                           "Total number of out of order samples refused "
                           "because they were outside the time window.",
                           {{"type", type}})) {}

void TsdbMetrics::SampleKind::Appended(std::size_t in_order,
                                       std::size_t out_of_order_samples) {
  appended.Inc(static_cast<double>(in_order + out_of_order_samples));
  out_of_order_appended.Inc(static_cast<double>(out_of_order_samples));
}

TsdbMetrics::TsdbMetrics(metrics::Registry& r)
    : series_created(
          r.NewCounter("prometheus_tsdb_head_series_created_total",
                       "Total number of series created in the head")),
      series_removed(
          r.NewCounter("prometheus_tsdb_head_series_removed_total",
                       "Total number of series removed in the head")),
      series_not_found(
          r.NewCounter("prometheus_tsdb_head_series_not_found_total",
                       "Total number of requests for series that were not "
                       "found.")),
      chunks_created(
          r.NewCounter("prometheus_tsdb_head_chunks_created_total",
                       "Total number of chunks created in the head")),
      chunks_removed(
          r.NewCounter("prometheus_tsdb_head_chunks_removed_total",
                       "Total number of chunks removed in the head")),
      floats(r, "float"),
      histograms(r, "histogram"),
      out_of_order_delta(r.NewHistogram(
          "prometheus_tsdb_sample_ooo_delta",
          "Delta in seconds by which a sample is considered out of order "
          "(reported regardless of OOO time window and whether sample is "
          "accepted or not).",
          {600, 1800, 3600, 7200, 10800, 21600, 43200})),
      duplicates(r.NewCounter("narthex_tsdb_duplicate_samples_total",
                              "Total number of samples refused because "
                              "another value is stored for their timestamp.")),
      truncations(r.NewCounter("prometheus_tsdb_head_truncations_total",
                               "Total number of head truncations attempted.")),
      truncations_failed(
          r.NewCounter("prometheus_tsdb_head_truncations_failed_total",
                       "Total number of head truncations that failed.")),
      active_appenders(
          r.NewGauge("prometheus_tsdb_head_active_appenders",
                     "Number of currently active appender transactions")),
      gc_seconds(r.NewSummary("prometheus_tsdb_head_gc_duration_seconds",
                              "Runtime of garbage collection in the head "
                              "block.")),
      chunks_mapped(
          r.NewCounter("prometheus_tsdb_mmap_chunks_total",
                       "Total number of chunks that were memory-mapped.")),
      chunk_files_bytes(
          r.NewGauge("prometheus_tsdb_head_chunks_storage_size_bytes",
                     "Size of the chunks_head directory.")),
      wal(r, "prometheus_tsdb_wal"),
      wal_corruptions(r.NewCounter("prometheus_tsdb_wal_corruptions_total",
                                   "Total number of WAL corruptions.")),
      wal_skipped_records(
          r.NewCounter("narthex_tsdb_wal_replay_skipped_records_total",
                       "Total number of records of kinds that are not kept, "
                       "met during WAL replay.")),
      wal_unknown_refs(
          r.NewCounter("prometheus_tsdb_wal_replay_unknown_refs_total",
                       "Total number of unknown series references "
                       "encountered during WAL replay.",
                       {{"type", "samples"}})),
      wbl_unknown_refs(
          r.NewCounter("prometheus_tsdb_wbl_replay_unknown_refs_total",
                       "Total number of unknown series references "
                       "encountered during WBL replay.",
                       {{"type", "samples"}})),
      replay_refused_series(r.NewCounter(
          "narthex_tsdb_wal_replay_refused_series_total",
          "Series left out of the replay because a limit was reached.")),
      wal_truncate_seconds(
          r.NewSummary("prometheus_tsdb_wal_truncate_duration_seconds",
                       "Duration of WAL truncation.")),
      checkpoints_created(
          r.NewCounter("prometheus_tsdb_checkpoint_creations_total",
                       "Total number of checkpoint creations attempted.")),
      checkpoints_failed(
          r.NewCounter("prometheus_tsdb_checkpoint_creations_failed_total",
                       "Total number of checkpoint creations that failed.")),
      checkpoints_deleted(
          r.NewCounter("prometheus_tsdb_checkpoint_deletions_total",
                       "Total number of checkpoint deletions attempted.")),
      checkpoint_deletions_failed(
          r.NewCounter("prometheus_tsdb_checkpoint_deletions_failed_total",
                       "Total number of checkpoint deletions that failed.")),
      replay_seconds(r.NewGauge("prometheus_tsdb_data_replay_duration_seconds",
                                "Time taken to replay the data on disk.")),
      snapshots_unusable(
          r.NewCounter("prometheus_tsdb_snapshot_replay_error_total",
                       "Total number snapshot replays that failed.")),
      compactions(r.NewCounter("prometheus_tsdb_compactions_total",
                               "Total number of compactions that were "
                               "executed for the partition.")),
      compactions_failed(
          r.NewCounter("prometheus_tsdb_compactions_failed_total",
                       "Total number of compactions that failed for the "
                       "partition.")),
      compactions_triggered(
          r.NewCounter("prometheus_tsdb_compactions_triggered_total",
                       "Total number of triggered compactions for the "
                       "partition.")),
      vertical_compactions(
          r.NewCounter("prometheus_tsdb_vertical_compactions_total",
                       "Total number of compactions done on overlapping "
                       "blocks.")),
      compaction_seconds(
          r.NewHistogram("prometheus_tsdb_compaction_duration_seconds",
                         "Duration of compaction runs", LongBuckets())),
      reloads(r.NewCounter("prometheus_tsdb_reloads_total",
                           "Number of times the database reloaded block data "
                           "from disk.")),
      reloads_failed(
          r.NewCounter("prometheus_tsdb_reloads_failures_total",
                       "Number of times the database could not reload block "
                       "data from disk.")),
      time_retentions(
          r.NewCounter("prometheus_tsdb_time_retentions_total",
                       "The number of times that blocks were deleted because "
                       "the maximum time limit was exceeded.")),
      size_retentions(
          r.NewCounter("prometheus_tsdb_size_retentions_total",
                       "The number of times that blocks were deleted because "
                       "the maximum number of bytes was exceeded.")),
      retention_limit_bytes(
          r.NewGauge("prometheus_tsdb_retention_limit_bytes",
                     "Max number of bytes to be retained in the tsdb blocks, "
                     "configured 0 means disabled")),
      retention_limit_seconds(
          r.NewGauge("prometheus_tsdb_retention_limit_seconds",
                     "How long to retain samples in storage.")),
      retention_limit_percentage(
          r.NewGauge("prometheus_tsdb_retention_limit_percentage",
                     "Share of the disk to be retained in the tsdb blocks, "
                     "configured 0 means disabled")),
      series_expired(r.NewCounter(
          "narthex_tsdb_retention_series_removed_total",
          "Series removed from blocks because a retention rule says so.")),
      tombstone_cleanup_seconds(
          r.NewHistogram("prometheus_tsdb_tombstone_cleanup_seconds",
                         "The time taken to recompact blocks to remove "
                         "tombstones.",
                         LongBuckets())),
      clean_start(r.NewGauge(
          "prometheus_tsdb_clean_start",
          "-1: lockfile is disabled. 0: a lockfile from a previous execution "
          "was replaced. 1: lockfile creation was clean")),
      stale_compactions(r.NewCounter(
          "prometheus_tsdb_stale_series_compactions_triggered_total",
          "Total number of compactions of stale series triggered.")),
      compactions_skipped(r.NewCounter(
          "prometheus_tsdb_compactions_skipped_total",
          "Total number of skipped compactions due to disabled auto "
          "compaction.")),
      populating_block(
          r.NewGauge("prometheus_tsdb_compaction_populating_block",
                     "Set to 1 when a block is currently being written to the "
                     "disk.")),
      chunk_range_seconds(
          r.NewHistogram("prometheus_tsdb_compaction_chunk_range_seconds",
                         "Final time range of chunks on their first compaction",
                         metrics::ExponentialBuckets(100, 4, 10))),
      chunk_samples(
          r.NewHistogram("prometheus_tsdb_compaction_chunk_samples",
                         "Final number of samples on their first compaction",
                         metrics::ExponentialBuckets(4, 1.5, 12))),
      chunk_bytes(
          r.NewHistogram("prometheus_tsdb_compaction_chunk_size_bytes",
                         "Final size of chunks on their first compaction",
                         metrics::ExponentialBuckets(32, 1.5, 12))) {
  // Nothing of a snapshot of memory or of a file of head chunks is read back:
  // all of it is in the log too.
  r.NewCounter("prometheus_tsdb_snapshot_replay_error_total",
               "Total number snapshot replays that failed.");
  r.NewCounter("prometheus_tsdb_mmap_chunk_corruptions_total",
               "Total number of memory-mapped chunk corruptions.");
}

}  // namespace narthex::tsdb
