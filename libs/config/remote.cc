#include "libs/config/remote.h"

#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/config/fields.h"
#include "libs/http/url.h"
#include "libs/http/url_check.h"

namespace narthex::config {
namespace {

constexpr char kAuthorizationMessage[] =
    "authorization header must be changed via the basic_auth, authorization, "
    "oauth2, sigv4, azuread or google_iam parameter";

void CheckUrl(yaml::Decoder& d, const std::string& url,
              absl::string_view section) {
  if (url.empty()) d.Fail(absl::StrCat("url for ", section, " is empty"));
  if (const absl::Status bad = http::CheckUrl(url); !bad.ok()) {
    d.Fail(bad.message());
  }
}

void EmitQueue(const QueueConfig& queue, yaml::Emitter* out) {
  out->Key("queue_config").BeginMap();
  out->Field("capacity", std::int64_t{queue.capacity});
  out->Field("max_shards", std::int64_t{queue.max_shards});
  out->Field("min_shards", std::int64_t{queue.min_shards});
  out->Field("max_samples_per_send", std::int64_t{queue.max_samples_per_send});
  EmitDuration("batch_send_deadline", queue.batch_send_deadline_ms, out);
  EmitDuration("min_backoff", queue.min_backoff_ms, out);
  EmitDuration("max_backoff", queue.max_backoff_ms, out);
  EmitTrue("retry_on_http_429", queue.retry_on_http_429, out);
  EmitDuration("sample_age_limit", queue.sample_age_limit_ms, out);
  out->EndMap();
}

}  // namespace

absl::Status Decode(const yaml::Node& node, QueueConfig* config) {
  yaml::Decoder d(node);
  d.Field("capacity", &config->capacity);
  d.Field("max_shards", &config->max_shards);
  d.Field("min_shards", &config->min_shards);
  d.Field("max_samples_per_send", &config->max_samples_per_send);
  d.Duration("batch_send_deadline", &config->batch_send_deadline_ms);
  d.Duration("min_backoff", &config->min_backoff_ms);
  d.Duration("max_backoff", &config->max_backoff_ms);
  d.Field("retry_on_http_429", &config->retry_on_http_429);
  d.Duration("sample_age_limit", &config->sample_age_limit_ms);
  const struct {
    const char* field;
    int value;
  } positive[] = {{"capacity", config->capacity},
                  {"max_shards", config->max_shards},
                  {"min_shards", config->min_shards},
                  {"max_samples_per_send", config->max_samples_per_send}};
  for (const auto& [field, value] : positive) {
    if (value <= 0) d.FailField(field, "must be greater than zero");
  }
  if (config->min_shards > config->max_shards) {
    d.FailField("min_shards", "must not be greater than max_shards");
  }
  if (config->max_backoff_ms < config->min_backoff_ms) {
    d.FailField("max_backoff", "must not be less than min_backoff");
  }
  return d.Done();
}

absl::Status Decode(const yaml::Node& node, MetadataConfig* config) {
  yaml::Decoder d(node);
  d.Field("send", &config->send);
  d.Duration("send_interval", &config->send_interval_ms);
  d.Field("max_samples_per_send", &config->max_samples_per_send);
  return d.Done();
}

absl::Status Decode(const yaml::Node& node, relabel::NameValidation validation,
                    RemoteWriteConfig* config) {
  config->http.enable_http2 = false;
  yaml::Decoder d(node);
  d.Field("url", &config->url);
  CheckUrl(d, config->url, "remote_write");
  d.Duration("remote_timeout", &config->remote_timeout_ms);
  d.Field("headers", &config->headers);
  DecodeRules(d, "write_relabel_configs", validation,
              &config->write_relabel_configs);
  d.Field("name", &config->name);
  d.Field("send_exemplars", &config->send_exemplars);
  d.Field("send_native_histograms", &config->send_native_histograms);
  d.Field("round_robin_dns", &config->round_robin_dns);
  d.Field("protobuf_message", &config->protobuf_message);
  if (config->protobuf_message != "prometheus.WriteRequest" &&
      config->protobuf_message != "io.prometheus.write.v2.Request") {
    d.FailField("protobuf_message",
                absl::StrCat("unknown type for remote write protobuf message ",
                             base::Quote(config->protobuf_message)));
  }
  CheckHeaders(d, config->headers, kAuthorizationMessage);
  http::DecodeClientConfig(d, &config->http);
  d.Field("queue_config", &config->queue);
  d.Field("metadata_config", &config->metadata);
  for (const char* field : {"sigv4", "azuread", "google_iam"}) {
    if (d.Take(field) != nullptr) {
      d.FailField(field, "known to Prometheus, not supported yet");
    }
  }
  return d.Done();
}

absl::Status Decode(const yaml::Node& node, RemoteReadConfig* config) {
  yaml::Decoder d(node);
  d.Field("url", &config->url);
  CheckUrl(d, config->url, "remote_read");
  d.Duration("remote_timeout", &config->remote_timeout_ms);
  d.Field("chunked_read_limit", &config->chunked_read_limit);
  d.Field("headers", &config->headers);
  CheckHeaders(d, config->headers, kAuthorizationMessage);
  d.Field("read_recent", &config->read_recent);
  d.Field("name", &config->name);
  http::DecodeClientConfig(d, &config->http);
  d.Field("required_matchers", &config->required_matchers);
  d.Field("filter_external_labels", &config->filter_external_labels);
  return d.Done();
}

void Emit(const RemoteWriteConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  out->Field("url", http::RedactUrl(config.url));
  EmitDuration("remote_timeout", config.remote_timeout_ms, out);
  EmitMap("headers", config.headers, out);
  EmitRules("write_relabel_configs", config.write_relabel_configs, out);
  EmitText("name", config.name, out);
  EmitTrue("send_exemplars", config.send_exemplars, out);
  EmitTrue("send_native_histograms", config.send_native_histograms, out);
  EmitTrue("round_robin_dns", config.round_robin_dns, out);
  EmitText("protobuf_message", config.protobuf_message, out);
  http::EmitClientConfig(config.http, out);
  EmitQueue(config.queue, out);
  out->Key("metadata_config").BeginMap();
  out->Field("send", config.metadata.send);
  out->Key("send_interval").Duration(config.metadata.send_interval_ms);
  out->Field("max_samples_per_send",
             std::int64_t{config.metadata.max_samples_per_send});
  out->EndMap();
  out->EndMap();
}

void Emit(const RemoteReadConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  out->Field("url", http::RedactUrl(config.url));
  EmitDuration("remote_timeout", config.remote_timeout_ms, out);
  EmitCount("chunked_read_limit", config.chunked_read_limit, out);
  EmitMap("headers", config.headers, out);
  EmitTrue("read_recent", config.read_recent, out);
  EmitText("name", config.name, out);
  http::EmitClientConfig(config.http, out);
  EmitMap("required_matchers", config.required_matchers, out);
  EmitTrue("filter_external_labels", config.filter_external_labels, out);
  out->EndMap();
}

}  // namespace narthex::config
