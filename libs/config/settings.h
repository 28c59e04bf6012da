#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "libs/http/client_config.h"
#include "libs/model/matcher.h"
#include "libs/relabel/relabel.h"

namespace narthex::config {

/// How long the series of some selectors are kept. Ours, not Prometheus's:
///   storage:
///     tsdb:
///       retention:
///         time: 15d
///         rules:
///         - match: ['{job="debug"}', 'go_gc_duration_seconds']
///           time: 2d
///         - match: ['{__name__=~"slo:.*"}']
///           time: 1y
/// A rule is about the series of at least one of its selectors; the first rule
/// about a series decides, and 0s keeps it for ever. Blocks lose such series
/// once all of the block is older than that.
struct RetentionRule {
  std::vector<std::string> match;  // As written.
  std::vector<std::vector<model::Matcher>> matcher_sets;
  std::int64_t time_ms = 0;
  friend bool operator==(const RetentionRule& a, const RetentionRule& b) {
    return a.match == b.match && a.time_ms == b.time_ms;
  }
};

/// The `storage` section; what it leaves out is decided by flags.
struct StorageConfig {
  bool has_tsdb = false;
  std::int64_t out_of_order_time_window_ms = 0;
  std::optional<std::int64_t> retention_time_ms;
  std::optional<std::int64_t> retention_size_bytes;
  std::optional<double> retention_percentage;
  std::vector<RetentionRule> retention_rules;
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
  http::TlsConfig tls;
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

absl::Status Decode(const yaml::Node& node, RetentionRule* rule);
absl::Status Decode(const yaml::Node& node, StorageConfig* config);
absl::Status Decode(const yaml::Node& node, TracingConfig* config);
absl::Status Decode(const yaml::Node& node, relabel::NameValidation validation,
                    OtlpConfig* config);
void Emit(const StorageConfig& config, yaml::Emitter* out);
void Emit(const TracingConfig& config, yaml::Emitter* out);
void Emit(const OtlpConfig& config, yaml::Emitter* out);

}  // namespace narthex::config
