#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "libs/http/client_config.h"
#include "libs/relabel/relabel.h"

namespace narthex::config {

struct QueueConfig {
  int capacity = 10'000;
  int max_shards = 50;
  int min_shards = 1;
  int max_samples_per_send = 2000;
  std::int64_t batch_send_deadline_ms = 5000;
  std::int64_t min_backoff_ms = 30;
  std::int64_t max_backoff_ms = 5000;
  bool retry_on_http_429 = false;
  std::int64_t sample_age_limit_ms = 0;
  friend bool operator==(const QueueConfig&, const QueueConfig&) = default;
};

struct MetadataConfig {
  bool send = true;
  std::int64_t send_interval_ms = 60'000;
  int max_samples_per_send = 2000;
  friend bool operator==(const MetadataConfig&,
                         const MetadataConfig&) = default;
};

struct RemoteWriteConfig {
  std::string url;
  std::int64_t remote_timeout_ms = 30'000;
  std::map<std::string, std::string> headers;
  std::vector<relabel::Rule> write_relabel_configs;
  std::string name;
  bool send_exemplars = false;
  bool send_native_histograms = false;
  bool round_robin_dns = false;
  std::string protobuf_message = "prometheus.WriteRequest";
  http::ClientConfig http;
  QueueConfig queue;
  MetadataConfig metadata;
  friend bool operator==(const RemoteWriteConfig&,
                         const RemoteWriteConfig&) = default;
};

struct RemoteReadConfig {
  std::string url;
  std::int64_t remote_timeout_ms = 60'000;
  std::uint64_t chunked_read_limit = 50'000'000;
  std::map<std::string, std::string> headers;
  bool read_recent = false;
  std::string name;
  http::ClientConfig http;
  std::map<std::string, std::string> required_matchers;
  bool filter_external_labels = true;
  friend bool operator==(const RemoteReadConfig&,
                         const RemoteReadConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, relabel::NameValidation validation,
                    RemoteWriteConfig* config);
absl::Status Decode(const yaml::Node& node, RemoteReadConfig* config);
absl::Status Decode(const yaml::Node& node, QueueConfig* config);
absl::Status Decode(const yaml::Node& node, MetadataConfig* config);
void Emit(const RemoteWriteConfig& config, yaml::Emitter* out);
void Emit(const RemoteReadConfig& config, yaml::Emitter* out);

}  // namespace narthex::config
