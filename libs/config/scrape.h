#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "libs/discovery/config.h"
#include "libs/exposition/format.h"
#include "libs/http/client_config.h"
#include "libs/model/labels.h"
#include "libs/relabel/relabel.h"

namespace narthex::config {

/// What a scrape may return; 0 is no limit.
struct ScrapeLimits {
  std::int64_t body_size_bytes = 0;
  std::uint64_t samples = 0;
  /// Ours: series of one target. Known ones go on beyond it, new ones are
  /// refused one by one; the scrape does not fail.
  std::uint64_t series = 0;
  /// The same for the series of all targets that a scraper has of the pool.
  std::uint64_t pool_series = 0;
  std::uint64_t targets = 0;
  std::uint64_t labels = 0;
  std::uint64_t label_name_length = 0;
  std::uint64_t label_value_length = 0;
  friend bool operator==(const ScrapeLimits&, const ScrapeLimits&) = default;
};

struct GlobalConfig {
  std::int64_t scrape_interval_ms = 60'000;
  std::int64_t scrape_timeout_ms = 10'000;
  /// Empty: each scrape config picks its default.
  std::vector<exposition::Protocol> scrape_protocols;
  std::int64_t evaluation_interval_ms = 60'000;
  std::int64_t rule_query_offset_ms = 0;
  std::string query_log_file;
  std::string scrape_failure_log_file;
  /// References to the environment are expanded.
  model::Labels external_labels;
  /// Names of labels given without a value: only the print knows them.
  std::vector<std::string> empty_external_labels;
  ScrapeLimits limits;
  /// Dropped targets that stay visible; 0 is all.
  std::uint64_t keep_dropped_targets = 0;
  /// "utf8", "legacy", or empty when the file does not say.
  std::string metric_name_validation_scheme = "utf8";
  std::string metric_name_escaping_scheme = "allow-utf-8";
  bool scrape_native_histograms = false;
  bool always_scrape_classic_histograms = false;
  bool convert_classic_histograms_to_nhcb = false;
  bool extra_scrape_metrics = false;

  relabel::NameValidation validation() const;
  friend bool operator==(const GlobalConfig&, const GlobalConfig&) = default;
};

/// One scrape pool. What the file leaves open is filled in from `global`.
struct ScrapeConfig {
  std::string job_name;
  bool honor_labels = false;
  bool honor_timestamps = true;
  bool track_timestamps_staleness = false;
  std::map<std::string, std::vector<std::string>> params;
  std::int64_t scrape_interval_ms = 0;
  std::int64_t scrape_timeout_ms = 0;
  std::vector<exposition::Protocol> scrape_protocols;
  std::optional<exposition::Protocol> fallback_scrape_protocol;
  bool scrape_native_histograms = false;
  bool always_scrape_classic_histograms = false;
  bool convert_classic_histograms_to_nhcb = false;
  std::string scrape_failure_log_file;
  std::string metrics_path = "/metrics";
  std::string scheme = "http";
  bool enable_compression = true;
  ScrapeLimits limits;
  std::uint64_t native_histogram_bucket_limit = 0;
  double native_histogram_min_bucket_factor = 0;
  std::uint64_t keep_dropped_targets = 0;
  /// "utf8" or "legacy".
  std::string metric_name_validation_scheme;
  /// "allow-utf-8", "underscores", "dots" or "values".
  std::string metric_name_escaping_scheme;
  bool extra_scrape_metrics = false;
  http::ClientConfig http;
  discovery::Configs discovery;
  std::vector<relabel::Rule> relabel_configs;
  std::vector<relabel::Rule> metric_relabel_configs;

  relabel::NameValidation validation() const;
  friend bool operator==(const ScrapeConfig&, const ScrapeConfig&) = default;
};

/// What is asked for where native histograms or start times are wanted, which
/// come by protobuf.
const std::vector<exposition::Protocol>& ProtobufFirstProtocols();

absl::Status Decode(const yaml::Node& node, GlobalConfig* config);
absl::Status Decode(const yaml::Node& node, const GlobalConfig& global,
                    ScrapeConfig* config);
void Emit(const GlobalConfig& config, yaml::Emitter* out);
void Emit(const ScrapeConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, GlobalConfig* config);
void SetDirectory(const std::string& directory, ScrapeConfig* config);

}  // namespace narthex::config
