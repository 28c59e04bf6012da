#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/config/settings.h"
#include "libs/service/auto_reload.h"
#include "libs/service/features.h"
#include "libs/service/flags.h"
#include "libs/tsdb/db.h"

namespace narthex::ingester {

inline constexpr char kStartTimeStorage[] = "st-storage";
inline constexpr char kHistogramStEncoding[] = "histograms-st-encoding";
inline constexpr char kXor2Encoding[] = "xor2-encoding";

/// The command line of an ingester.
struct Options {
  std::string grpc_address = "127.0.0.1:9101";
  std::string path = "data/";
  std::int64_t retention_ms = 0;
  std::int64_t retention_bytes = 0;
  std::string config_file;
  std::int64_t block_reload_ms = 60 * 1000;
  std::int64_t min_block_ms = 2 * 60 * 60 * 1000;
  std::int64_t max_block_ms = 0;
  bool wal_compression = true;
  std::string wal_compression_type = "snappy";
  std::int64_t wal_segment_bytes = 0;
  std::string wal_fsync = "segment";
  std::int64_t block_segment_bytes = 0;
  std::int64_t samples_per_chunk = 120;
  std::string uploads_file;
  bool overlapping_compaction = true;
  bool no_lockfile = false;
  std::int64_t max_series = 0;
  std::string memory_budget = "auto";
  service::Features features{{"exemplar-storage", "memory-snapshot-on-shutdown",
                              kStartTimeStorage, kHistogramStEncoding,
                              kXor2Encoding, service::kAutoReloadFeature}};

  void AddTo(service::FlagSet& flags);

  /// What is kept, by the flags and by what `storage` of a configuration sets,
  /// which comes first.
  tsdb::Retention RetentionOf(const config::StorageConfig& storage) const;

  /// What the flags mean to the database. kInvalidArgument when they
  /// contradict each other.
  absl::StatusOr<tsdb::DbOptions> ForDb(
      const config::StorageConfig& storage) const;
};

}  // namespace narthex::ingester
