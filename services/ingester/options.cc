#include "services/ingester/options.h"

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/service/memory_budget.h"

namespace narthex::ingester {
namespace {

constexpr std::int64_t kDefaultRetentionMs =
    std::int64_t{15} * 24 * 60 * 60 * 1000;
constexpr std::int64_t kMinSegmentBytes = 10 << 20;
constexpr std::int64_t kMaxSegmentBytes = 256 << 20;
constexpr std::int64_t kPageBytes = 32 << 10;
constexpr std::int64_t kMinBlockSegmentBytes = 1 << 20;
// Chunks count their samples in 16 bits and may become twice as long.
constexpr std::int64_t kMostSamplesPerChunk = 32'000;

}  // namespace

void Options::AddTo(service::FlagSet& flags) {
  flags.String("grpc.listen-address", &grpc_address,
               "Address to serve gRPC on.");
  flags.String("config.file", &config_file,
               "A prometheus.yml, of which the section storage is used. None: "
               "the flags alone decide.");
  flags.String("storage.tsdb.path", &path,
               "Directory of the samples, as Prometheus writes and reads it.");
  flags.Duration("storage.tsdb.retention.time", &retention_ms,
                 "How long to keep samples. 0: 15d, unless a size is set.");
  flags.Size("storage.tsdb.retention.size", &retention_bytes,
             "How many bytes to keep, B to EB. 0: no bound.");
  flags.Duration("storage.tsdb.min-block-duration", &min_block_ms,
                 "Span of a block cut from the head.");
  flags.Duration("storage.tsdb.max-block-duration", &max_block_ms,
                 "Span of the largest block. 0: a tenth of the retention, 31d "
                 "at most.");
  flags.Bool("storage.tsdb.wal-compression", &wal_compression,
             "Compress the write-ahead log.");
  flags.Choice("storage.tsdb.wal-compression-type", &wal_compression_type,
               {"snappy", "zstd"}, "How to compress it.");
  flags.Size("storage.tsdb.wal-segment-size", &wal_segment_bytes,
             "Size at which a segment of the log is full, 10MB to 256MB. 0: "
             "128MB.");
  flags.Choice("storage.tsdb.wal-fsync", &wal_fsync,
               {"segment", "interval", "group"},
               "When the log is forced to disk: with each segment, as "
               "Prometheus does (a killed process loses nothing, a lost "
               "machine may); every second; or before every "
               "acknowledgement.");
  flags.Size("storage.tsdb.max-block-chunk-segment-size", &block_segment_bytes,
             "Size of the files that hold the chunks of a block, 1MB at "
             "least. 0: 512MB.");
  flags.Int("storage.tsdb.samples-per-chunk", &samples_per_chunk,
            "Samples aimed at in a chunk of the head.");
  flags.String("storage.tsdb.delay-compact-file.path", &uploads_file,
               "A JSON file with the list uploaded of blocks, as uploaders "
               "keep it: blocks cut from the head are compacted only when "
               "they are in it.");
  flags.Bool("storage.tsdb.allow-overlapping-compaction",
             &overlapping_compaction, "Compact blocks that overlap into one.");
  flags.WithoutEffect("storage.tsdb.delayed-compaction.max-percent", "10",
                      "compaction is never delayed");
  flags.WithoutEffect("storage.tsdb.head-chunks-write-queue-size", "0",
                      "chunks never wait to be written in front of samples");
  flags.Duration("storage.tsdb.block-reload-interval", &block_reload_ms,
                 "How often to look for blocks that came or went, to compact "
                 "and to apply the retention, 1s at least.");
  flags.Bool("storage.tsdb.no-lockfile", &no_lockfile,
             "Do not guard the directory against a second process.");
  flags.Int("storage.tsdb.max-series", &max_series,
            "Series held in memory; new ones beyond are refused while known "
            "ones go on. 0: no bound.");
  flags.String("storage.tsdb.memory-budget", &memory_budget,
               "Memory of the process (mapped files not counted) beyond which "
               "new series are refused while known ones go on: a size such as "
               "8GB, a share such as 80% of what the machine or the control "
               "group has, or 0 for no bound. auto: 80% of the control "
               "group's limit when there is one.");
  features.AddFlag(flags);
}

tsdb::Retention Options::RetentionOf(
    const config::StorageConfig& storage) const {
  tsdb::Retention retention;
  retention.time_ms = storage.retention_time_ms.value_or(retention_ms);
  retention.bytes = static_cast<std::uint64_t>(
      storage.retention_size_bytes.value_or(retention_bytes));
  retention.percentage = storage.retention_percentage.value_or(0);
  if (!storage.retention_time_ms.has_value() && retention_ms == 0 &&
      retention.bytes == 0 && retention.percentage == 0) {
    retention.time_ms = kDefaultRetentionMs;
  }
  for (const config::RetentionRule& rule : storage.retention_rules) {
    retention.rules.push_back({rule.matcher_sets, rule.time_ms});
  }
  return retention;
}

absl::StatusOr<tsdb::DbOptions> Options::ForDb(
    const config::StorageConfig& storage) const {
  tsdb::DbOptions db;
  db.block_ms = min_block_ms;
  db.max_block_ms = max_block_ms;
  db.retention = RetentionOf(storage);
  db.stale_threshold = storage.stale_series_compaction_threshold;
  db.out_of_order_window_ms = storage.out_of_order_time_window_ms;
  db.overlapping_compaction = overlapping_compaction;
  db.lock_file = !no_lockfile;
  if (max_series < 0) {
    return absl::InvalidArgumentError(
        "storage.tsdb.max-series must not be negative");
  }
  db.series.max_series = static_cast<std::size_t>(max_series);
  const auto budget = service::MemoryBudget(memory_budget);
  if (!budget.ok()) {
    return base::Annotate(budget.status(), "storage.tsdb.memory-budget");
  }
  db.series.memory_budget_bytes = *budget;
  if (min_block_ms <= 0) {
    return absl::InvalidArgumentError(
        "storage.tsdb.min-block-duration must be positive");
  }
  if (block_reload_ms < 1000) {
    return absl::InvalidArgumentError(
        "storage.tsdb.block-reload-interval must be at least 1s");
  }
  if (wal_segment_bytes != 0) {
    if (wal_segment_bytes < kMinSegmentBytes ||
        wal_segment_bytes > kMaxSegmentBytes) {
      return absl::InvalidArgumentError(
          "storage.tsdb.wal-segment-size must be set between 10MB and 256MB");
    }
    db.wal.segment_bytes =
        static_cast<std::uint64_t>(wal_segment_bytes / kPageBytes * kPageBytes);
  }
  if (!wal_compression) {
    db.wal.compression = tsdb::WalCompression::kNone;
  } else if (wal_compression_type == "zstd") {
    db.wal.compression = tsdb::WalCompression::kZstd;
  }
  if (wal_fsync == "group") db.wal.sync = tsdb::WalSync::kGroup;
  if (wal_fsync == "interval") db.wal.sync = tsdb::WalSync::kInterval;
  if (block_segment_bytes != 0) {
    if (block_segment_bytes < kMinBlockSegmentBytes) {
      return absl::InvalidArgumentError(
          "storage.tsdb.max-block-chunk-segment-size must be at least 1MB");
    }
    db.block_segment_bytes = static_cast<std::uint64_t>(block_segment_bytes);
  }
  if (samples_per_chunk < 1 || samples_per_chunk > kMostSamplesPerChunk) {
    return absl::InvalidArgumentError(absl::StrCat(
        "storage.tsdb.samples-per-chunk must be 1 to ", kMostSamplesPerChunk));
  }
  db.samples_per_chunk = static_cast<int>(samples_per_chunk);
  db.uploads_file = uploads_file;
  return db;
}

}  // namespace narthex::ingester
