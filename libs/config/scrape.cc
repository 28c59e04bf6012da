#include "libs/config/scrape.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/config/fields.h"

namespace narthex::config {
namespace {

using exposition::Protocol;

constexpr char kUtf8[] = "utf8";
constexpr char kLegacy[] = "legacy";
constexpr char kAllowUtf8[] = "allow-utf-8";
constexpr char kUnderscores[] = "underscores";

const std::vector<Protocol>& DefaultProtocols() {
  static const auto& protocols = *new std::vector<Protocol>{
      Protocol::kOpenMetricsText100, Protocol::kOpenMetricsText001,
      Protocol::kPrometheusText100, Protocol::kPrometheusText004};
  return protocols;
}

absl::Status Decode(const yaml::Node& node, Protocol* protocol) {
  std::string name;
  NARTHEX_RETURN_IF_ERROR(Decode(node, &name));
  const auto parsed = exposition::ParseProtocol(name);
  if (!parsed.has_value()) {
    return node.Error(
        absl::StrCat("unknown scrape protocol ", name, ", supported: [",
                     absl::StrJoin(exposition::ProtocolNames(), " "), "]"));
  }
  *protocol = *parsed;
  return absl::OkStatus();
}

void DecodeProtocols(yaml::Decoder& d, std::vector<Protocol>* protocols) {
  const yaml::Node* list = d.Take("scrape_protocols");
  if (list == nullptr || list->is_null()) return;
  if (!list->is_sequence()) d.Fail(list->Error("expected a list"));
  protocols->clear();
  for (const auto& item : list->items()) {
    Protocol protocol{};
    d.Fail(item->is_null() ? item->Error("empty or null entry in a list")
                           : Decode(*item, &protocol));
    if (std::find(protocols->begin(), protocols->end(), protocol) !=
        protocols->end()) {
      d.Fail(item->Error("duplicated protocol in scrape_protocols"));
    }
    if (!d.ok()) return;
    protocols->push_back(protocol);
  }
  if (protocols->empty())
    d.Fail(list->Error("scrape_protocols cannot be empty"));
}

void DecodeLimits(yaml::Decoder& d, ScrapeLimits* limits) {
  d.Size("body_size_limit", &limits->body_size_bytes);
  d.Field("sample_limit", &limits->samples);
  d.Field("series_soft_limit", &limits->series);
  d.Field("pool_series_soft_limit", &limits->pool_series);
  d.Field("target_limit", &limits->targets);
  d.Field("label_limit", &limits->labels);
  d.Field("label_name_length_limit", &limits->label_name_length);
  d.Field("label_value_length_limit", &limits->label_value_length);
}

void DecodeChoice(yaml::Decoder& d, absl::string_view field,
                  const std::set<std::string>& choices, std::string* out) {
  d.Field(field, out);
  if (out->empty() || choices.count(*out) != 0) return;
  d.FailField(field,
              absl::StrCat("must be one of ", absl::StrJoin(choices, ", "),
                           ", got ", base::Quote(*out)));
}

void DecodeSchemes(yaml::Decoder& d, std::string* validation,
                   std::string* escaping) {
  DecodeChoice(d, "metric_name_validation_scheme", {kUtf8, kLegacy},
               validation);
  DecodeChoice(d, "metric_name_escaping_scheme",
               {kAllowUtf8, kUnderscores, "dots", "values"}, escaping);
}

/// Fills in intervals that are not set and compares them.
void SettleIntervals(yaml::Decoder& d, std::int64_t default_interval,
                     std::int64_t default_timeout, std::int64_t* interval,
                     std::int64_t* timeout, absl::string_view whose) {
  if (*interval == 0) *interval = default_interval;
  if (*timeout > *interval) {
    d.FailField("scrape_timeout",
                absl::StrCat(whose,
                             "scrape timeout greater than scrape "
                             "interval"));
  }
  if (*timeout == 0) *timeout = std::min(default_timeout, *interval);
}

template <typename T>
void Inherit(const T& from, T* to) {
  if (*to == T()) *to = from;
}

void InheritLimits(const ScrapeLimits& from, ScrapeLimits* to) {
  Inherit(from.body_size_bytes, &to->body_size_bytes);
  Inherit(from.samples, &to->samples);
  Inherit(from.series, &to->series);
  Inherit(from.pool_series, &to->pool_series);
  Inherit(from.targets, &to->targets);
  Inherit(from.labels, &to->labels);
  Inherit(from.label_name_length, &to->label_name_length);
  Inherit(from.label_value_length, &to->label_value_length);
}

std::string EscapingFor(absl::string_view validation) {
  return validation == kLegacy ? kUnderscores : kAllowUtf8;
}

/// Names are validated and escaped as the global section says unless the
/// scrape config says otherwise; escaping follows the section that decides on
/// validation.
void SettleSchemes(yaml::Decoder& d, const GlobalConfig& global,
                   ScrapeConfig* config) {
  std::string global_validation = global.metric_name_validation_scheme;
  if (global_validation.empty()) global_validation = kUtf8;
  std::string& validation = config->metric_name_validation_scheme;
  std::string& escaping = config->metric_name_escaping_scheme;
  const bool is_local = !validation.empty();
  if (!is_local) validation = global_validation;
  if (escaping.empty()) {
    escaping =
        is_local ? EscapingFor(validation) : global.metric_name_escaping_scheme;
  }
  if (escaping.empty()) escaping = EscapingFor(global_validation);
  if (escaping == kAllowUtf8 && validation != kUtf8) {
    d.Fail(
        "utf8 metric names requested but validation scheme is not set to "
        "UTF8");
  }
}

relabel::NameValidation ValidationNamed(const std::string& name) {
  return name == kLegacy ? relabel::NameValidation::kLegacy
                         : relabel::NameValidation::kUtf8;
}

void EmitProtocols(const std::vector<Protocol>& protocols, yaml::Emitter* out) {
  out->Key("scrape_protocols").BeginSequence();
  for (const Protocol protocol : protocols) {
    out->String(exposition::ProtocolName(protocol));
  }
  out->EndSequence();
}

void EmitLimits(const ScrapeLimits& limits, yaml::Emitter* out) {
  if (limits.body_size_bytes != 0) {
    out->Field("body_size_limit", FormatSize(limits.body_size_bytes));
  }
  EmitCount("sample_limit", limits.samples, out);
  EmitCount("series_soft_limit", limits.series, out);
  EmitCount("pool_series_soft_limit", limits.pool_series, out);
  EmitCount("target_limit", limits.targets, out);
  EmitCount("label_limit", limits.labels, out);
  EmitCount("label_name_length_limit", limits.label_name_length, out);
  EmitCount("label_value_length_limit", limits.label_value_length, out);
}

}  // namespace

const std::vector<Protocol>& ProtobufFirstProtocols() {
  static const auto& protocols = *new std::vector<Protocol>{
      Protocol::kPrometheusProto, Protocol::kOpenMetricsText100,
      Protocol::kOpenMetricsText001, Protocol::kPrometheusText100,
      Protocol::kPrometheusText004};
  return protocols;
}

relabel::NameValidation GlobalConfig::validation() const {
  return ValidationNamed(metric_name_validation_scheme);
}

relabel::NameValidation ScrapeConfig::validation() const {
  return ValidationNamed(metric_name_validation_scheme);
}

absl::Status Decode(const yaml::Node& node, GlobalConfig* config) {
  if (node.is_null() || (node.is_map() && node.entries().empty())) {
    return absl::OkStatus();
  }
  const GlobalConfig defaults = *config;
  config->scrape_interval_ms = 0;
  config->scrape_timeout_ms = 0;
  config->metric_name_validation_scheme.clear();
  config->metric_name_escaping_scheme.clear();
  yaml::Decoder d(node);
  d.Duration("scrape_interval", &config->scrape_interval_ms);
  d.Duration("scrape_timeout", &config->scrape_timeout_ms);
  DecodeProtocols(d, &config->scrape_protocols);
  d.Duration("evaluation_interval", &config->evaluation_interval_ms);
  d.Duration("rule_query_offset", &config->rule_query_offset_ms);
  d.Field("query_log_file", &config->query_log_file);
  d.Field("scrape_failure_log_file", &config->scrape_failure_log_file);
  DecodeSchemes(d, &config->metric_name_validation_scheme,
                &config->metric_name_escaping_scheme);
  if (const yaml::Node* labels = d.Take("external_labels")) {
    d.Fail(discovery::DecodeLabels(*labels, &config->external_labels));
    for (const model::Label& label : config->external_labels) {
      if (relabel::IsValidLabelName(label.name, config->validation())) continue;
      d.Fail(labels->Error(
          absl::StrCat(base::Quote(label.name), " is not a valid label name")));
    }
    for (const auto& entry : labels->entries()) {
      if (config->external_labels.Has(entry.key)) continue;
      config->empty_external_labels.push_back(entry.key);
    }
  }
  DecodeLimits(d, &config->limits);
  d.Field("keep_dropped_targets", &config->keep_dropped_targets);
  d.Field("scrape_native_histograms", &config->scrape_native_histograms);
  d.Field("always_scrape_classic_histograms",
          &config->always_scrape_classic_histograms);
  d.Field("convert_classic_histograms_to_nhcb",
          &config->convert_classic_histograms_to_nhcb);
  d.Field("extra_scrape_metrics", &config->extra_scrape_metrics);
  SettleIntervals(d, defaults.scrape_interval_ms, defaults.scrape_timeout_ms,
                  &config->scrape_interval_ms, &config->scrape_timeout_ms,
                  "global ");
  Inherit(defaults.evaluation_interval_ms, &config->evaluation_interval_ms);
  return d.Done();
}

namespace {

void DecodeScrapeFields(yaml::Decoder& d, ScrapeConfig* config) {
  d.Field("job_name", &config->job_name);
  if (config->job_name.empty()) d.Fail("job_name is empty");
  d.Field("honor_labels", &config->honor_labels);
  d.Field("honor_timestamps", &config->honor_timestamps);
  d.Field("track_timestamps_staleness", &config->track_timestamps_staleness);
  d.Field("params", &config->params);
  d.Duration("scrape_interval", &config->scrape_interval_ms);
  d.Duration("scrape_timeout", &config->scrape_timeout_ms);
  DecodeProtocols(d, &config->scrape_protocols);
  if (const yaml::Node* fallback = d.Take("fallback_scrape_protocol");
      fallback != nullptr && !fallback->is_null()) {
    Protocol protocol{};
    d.Fail(Decode(*fallback, &protocol));
    config->fallback_scrape_protocol = protocol;
  }
  d.Field("scrape_failure_log_file", &config->scrape_failure_log_file);
  d.Field("metrics_path", &config->metrics_path);
  d.Field("scheme", &config->scheme);
  d.Field("enable_compression", &config->enable_compression);
  DecodeLimits(d, &config->limits);
  d.Field("native_histogram_bucket_limit",
          &config->native_histogram_bucket_limit);
  d.Field("native_histogram_min_bucket_factor",
          &config->native_histogram_min_bucket_factor);
  d.Field("keep_dropped_targets", &config->keep_dropped_targets);
  DecodeSchemes(d, &config->metric_name_validation_scheme,
                &config->metric_name_escaping_scheme);
}

/// Switches that the global section decides unless the scrape config does.
void DecodeSwitches(yaml::Decoder& d, const GlobalConfig& global,
                    ScrapeConfig* config) {
  config->scrape_native_histograms = global.scrape_native_histograms;
  config->always_scrape_classic_histograms =
      global.always_scrape_classic_histograms;
  config->convert_classic_histograms_to_nhcb =
      global.convert_classic_histograms_to_nhcb;
  config->extra_scrape_metrics = global.extra_scrape_metrics;
  d.Field("scrape_native_histograms", &config->scrape_native_histograms);
  d.Field("always_scrape_classic_histograms",
          &config->always_scrape_classic_histograms);
  d.Field("convert_classic_histograms_to_nhcb",
          &config->convert_classic_histograms_to_nhcb);
  d.Field("extra_scrape_metrics", &config->extra_scrape_metrics);
}

}  // namespace

absl::Status Decode(const yaml::Node& node, const GlobalConfig& global,
                    ScrapeConfig* config) {
  if (node.is_null()) {
    return node.Error("empty or null scrape config section");
  }
  yaml::Decoder d(node);
  DecodeScrapeFields(d, config);
  DecodeSwitches(d, global, config);
  http::DecodeClientConfig(d, &config->http);
  discovery::DecodeConfigs(d, &config->discovery);
  SettleIntervals(d, global.scrape_interval_ms, global.scrape_timeout_ms,
                  &config->scrape_interval_ms, &config->scrape_timeout_ms, "");
  InheritLimits(global.limits, &config->limits);
  Inherit(global.keep_dropped_targets, &config->keep_dropped_targets);
  Inherit(global.scrape_failure_log_file, &config->scrape_failure_log_file);
  Inherit(global.scrape_protocols, &config->scrape_protocols);
  Inherit(config->scrape_native_histograms ? ProtobufFirstProtocols()
                                           : DefaultProtocols(),
          &config->scrape_protocols);
  SettleSchemes(d, global, config);
  DecodeRules(d, "relabel_configs", config->validation(),
              &config->relabel_configs);
  DecodeRules(d, "metric_relabel_configs", config->validation(),
              &config->metric_relabel_configs);
  if (config->relabel_configs.empty()) CheckStaticTargets(d, config->discovery);
  return d.Done();
}

void Emit(const GlobalConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  EmitDuration("scrape_interval", config.scrape_interval_ms, out);
  EmitDuration("scrape_timeout", config.scrape_timeout_ms, out);
  EmitProtocols(config.scrape_protocols.empty() ? DefaultProtocols()
                                                : config.scrape_protocols,
                out);
  EmitDuration("evaluation_interval", config.evaluation_interval_ms, out);
  EmitDuration("rule_query_offset", config.rule_query_offset_ms, out);
  EmitText("query_log_file", config.query_log_file, out);
  EmitText("scrape_failure_log_file", config.scrape_failure_log_file, out);
  std::map<std::string, std::string> external_labels;
  for (const std::string& name : config.empty_external_labels) {
    external_labels[name] = "";
  }
  for (const model::Label& label : config.external_labels) {
    external_labels[std::string(label.name)] = std::string(label.value);
  }
  if (!external_labels.empty()) {
    out->Key("external_labels").BeginMap();
    for (const auto& [name, value] : external_labels) out->Field(name, value);
    out->EndMap();
  }
  EmitLimits(config.limits, out);
  EmitCount("keep_dropped_targets", config.keep_dropped_targets, out);
  EmitText("metric_name_validation_scheme",
           config.metric_name_validation_scheme, out);
  EmitText("metric_name_escaping_scheme", config.metric_name_escaping_scheme,
           out);
  EmitTrue("scrape_native_histograms", config.scrape_native_histograms, out);
  EmitTrue("convert_classic_histograms_to_nhcb",
           config.convert_classic_histograms_to_nhcb, out);
  EmitTrue("always_scrape_classic_histograms",
           config.always_scrape_classic_histograms, out);
  EmitTrue("extra_scrape_metrics", config.extra_scrape_metrics, out);
  out->EndMap();
}

void Emit(const ScrapeConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  out->Field("job_name", config.job_name);
  EmitTrue("honor_labels", config.honor_labels, out);
  out->Field("honor_timestamps", config.honor_timestamps);
  out->Field("track_timestamps_staleness", config.track_timestamps_staleness);
  if (!config.params.empty()) {
    out->Key("params").BeginMap();
    for (const auto& [name, values] : config.params) out->Field(name, values);
    out->EndMap();
  }
  EmitDuration("scrape_interval", config.scrape_interval_ms, out);
  EmitDuration("scrape_timeout", config.scrape_timeout_ms, out);
  EmitProtocols(config.scrape_protocols, out);
  if (config.fallback_scrape_protocol.has_value()) {
    out->Field("fallback_scrape_protocol",
               exposition::ProtocolName(*config.fallback_scrape_protocol));
  }
  EmitTrue("scrape_native_histograms", config.scrape_native_histograms, out);
  out->Field("always_scrape_classic_histograms",
             config.always_scrape_classic_histograms);
  out->Field("convert_classic_histograms_to_nhcb",
             config.convert_classic_histograms_to_nhcb);
  EmitText("scrape_failure_log_file", config.scrape_failure_log_file, out);
  EmitText("metrics_path", config.metrics_path, out);
  EmitText("scheme", config.scheme, out);
  out->Field("enable_compression", config.enable_compression);
  EmitLimits(config.limits, out);
  EmitCount("native_histogram_bucket_limit",
            config.native_histogram_bucket_limit, out);
  if (config.native_histogram_min_bucket_factor != 0) {
    out->Key("native_histogram_min_bucket_factor")
        .Float(config.native_histogram_min_bucket_factor);
  }
  EmitCount("keep_dropped_targets", config.keep_dropped_targets, out);
  EmitText("metric_name_validation_scheme",
           config.metric_name_validation_scheme, out);
  EmitText("metric_name_escaping_scheme", config.metric_name_escaping_scheme,
           out);
  EmitTrue("extra_scrape_metrics", config.extra_scrape_metrics, out);
  http::EmitClientConfig(config.http, out);
  EmitRules("relabel_configs", config.relabel_configs, out);
  EmitRules("metric_relabel_configs", config.metric_relabel_configs, out);
  discovery::EmitConfigs(config.discovery, out);
  out->EndMap();
}

void SetDirectory(const std::string& directory, GlobalConfig* config) {
  SetDirectory(directory, &config->query_log_file);
  SetDirectory(directory, &config->scrape_failure_log_file);
}

void SetDirectory(const std::string& directory, ScrapeConfig* config) {
  SetDirectory(directory, &config->scrape_failure_log_file);
  SetDirectory(directory, &config->http);
  SetDirectory(directory, &config->discovery);
}

}  // namespace narthex::config
