#include "services/ingester/options.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace narthex::ingester {
namespace {

constexpr std::int64_t kDefaultRetentionMs =
    std::int64_t{15} * 24 * 60 * 60 * 1000;
constexpr std::int64_t kMinSegmentBytes = 10 << 20;
constexpr std::int64_t kMaxSegmentBytes = 256 << 20;
constexpr std::int64_t kPageBytes = 32 << 10;

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
  flags.Choice("storage.tsdb.wal-fsync", &wal_fsync, {"segment", "group"},
               "When the log is forced to disk: with each segment, as "
               "Prometheus does (a killed process loses nothing, a lost "
               "machine may), or before every acknowledgement.");
  flags.Bool("storage.tsdb.no-lockfile", &no_lockfile,
             "Do not guard the directory against a second process.");
  flags.Int("storage.tsdb.max-series", &max_series,
            "Series held in memory; new ones beyond are refused. 0: no "
            "bound.");
  flags.Strings("enable-feature", &features,
                "Comma-separated names of features to enable: "
                "exemplar-storage. native-histograms is accepted and has no "
                "effect: they are always stored.");
}

absl::StatusOr<bool> Options::ExemplarsEnabled() const {
  bool enabled = false;
  for (const std::string& list : features) {
    for (absl::string_view feature : absl::StrSplit(list, ',')) {
      feature = absl::StripAsciiWhitespace(feature);
      if (feature == "exemplar-storage") {
        enabled = true;
      } else if (!feature.empty() && feature != "native-histograms") {
        return absl::InvalidArgumentError(absl::StrCat(
            "--enable-feature: unknown feature \"", feature, "\""));
      }
    }
  }
  return enabled;
}

absl::StatusOr<tsdb::DbOptions> Options::ForDb() const {
  tsdb::DbOptions db;
  db.block_ms = min_block_ms;
  db.max_block_ms = max_block_ms;
  db.retention_bytes = static_cast<std::uint64_t>(retention_bytes);
  db.retention_ms = retention_ms;
  if (retention_ms == 0 && retention_bytes == 0) {
    db.retention_ms = kDefaultRetentionMs;
  }
  db.lock_file = !no_lockfile;
  db.max_series = static_cast<std::size_t>(max_series);
  if (min_block_ms <= 0) {
    return absl::InvalidArgumentError(
        "storage.tsdb.min-block-duration must be positive");
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
  return db;
}

}  // namespace narthex::ingester
