#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "libs/config/http_client.h"
#include "libs/relabel/relabel.h"

namespace narthex::config {

/// The `storage` section; what it leaves out is decided by flags.
struct StorageConfig {
  bool has_tsdb = false;
  std::int64_t out_of_order_time_window_ms = 0;
  std::optional<std::int64_t> retention_time_ms;
  std::optional<std::int64_t> retention_size_bytes;
  std::optional<double> retention_percentage;
  double stale_series_compaction_threshold = 0;
  std::string float_chunk_encoding;  // "xor", "xor2" or empty.
  std::optional<std::int64_t> max_exemplars;
  friend bool operator==(const StorageConfig&, const StorageConfig&) = default;
};

/// The `tracing` section.
struct TracingConfig {
  std::string client_type = "grpc";
  std::string endpoint;
  double sampling_fraction = 0;
  bool insecure = false;
  TlsConfig tls;
  std::map<std::string, std::string> headers;
  std::string compression;
  std::int64_t timeout_ms = 0;
  friend bool operator==(const TracingConfig&, const TracingConfig&) = default;
};

/// The `otlp` section.
struct OtlpConfig {
  bool promote_all_resource_attributes = false;
  std::vector<std::string> promote_resource_attributes;
  std::vector<std::string> ignore_resource_attributes;
  std::string translation_strategy = "UnderscoreEscapingWithSuffixes";
  bool keep_identifying_resource_attributes = false;
  bool convert_histograms_to_nhcb = false;
  bool promote_scope_metadata = false;
  bool label_name_underscore_sanitization = true;
  bool label_name_preserve_multiple_underscores = true;
  friend bool operator==(const OtlpConfig&, const OtlpConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, StorageConfig* config);
absl::Status Decode(const yaml::Node& node, TracingConfig* config);
absl::Status Decode(const yaml::Node& node, relabel::NameValidation validation,
                    OtlpConfig* config);
void Emit(const StorageConfig& config, yaml::Emitter* out);
void Emit(const TracingConfig& config, yaml::Emitter* out);
void Emit(const OtlpConfig& config, yaml::Emitter* out);

}  // namespace narthex::config
