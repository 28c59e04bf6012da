#include "libs/config/settings.h"

#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/config/fields.h"
#include "libs/promql/parser.h"

namespace narthex::config {
namespace {

void DecodeRetention(const yaml::Node& node, yaml::Decoder& parent,
                     StorageConfig* config) {
  yaml::Decoder d(node);
  std::int64_t value = 0;
  if (d.Duration("time", &value)) config->retention_time_ms = value;
  if (d.Size("size", &value)) config->retention_size_bytes = value;
  d.Field("percentage", &config->retention_percentage);
  d.Field("rules", &config->retention_rules);
  if (config->retention_percentage.has_value() &&
      !(*config->retention_percentage >= 0 &&
        *config->retention_percentage <= 100)) {
    d.FailField("percentage", "must be between 0 and 100");
  }
  parent.Fail(d.Done());
}

void DecodeTsdb(const yaml::Node& node, yaml::Decoder& parent,
                StorageConfig* config) {
  config->has_tsdb = true;
  yaml::Decoder d(node);
  d.Duration("out_of_order_time_window", &config->out_of_order_time_window_ms);
  d.Field("stale_series_compaction_threshold",
          &config->stale_series_compaction_threshold);
  if (const yaml::Node* retention = d.Take("retention")) {
    DecodeRetention(*retention, d, config);
  }
  if (const yaml::Node* encoding = d.Take("chunk_encoding")) {
    yaml::Decoder e(*encoding);
    e.Field("floats", &config->float_chunk_encoding);
    if (!config->float_chunk_encoding.empty() &&
        config->float_chunk_encoding != "xor" &&
        config->float_chunk_encoding != "xor2") {
      e.FailField("floats",
                  absl::StrCat("must be xor or xor2, got ",
                               base::Quote(config->float_chunk_encoding)));
    }
    d.Fail(e.Done());
  }
  parent.Fail(d.Done());
}

void EmitRetention(const StorageConfig& config, yaml::Emitter* out) {
  if (!config.retention_time_ms.has_value() &&
      !config.retention_size_bytes.has_value() &&
      !config.retention_percentage.has_value() &&
      config.retention_rules.empty()) {
    return;
  }
  out->Key("retention").BeginMap();
  EmitDuration("time", config.retention_time_ms.value_or(0), out);
  if (config.retention_size_bytes.value_or(0) != 0) {
    out->Field("size", FormatSize(*config.retention_size_bytes));
  }
  if (config.retention_percentage.value_or(0) != 0) {
    out->Key("percentage").Float(*config.retention_percentage);
  }
  if (!config.retention_rules.empty()) {
    out->Key("rules").BeginSequence();
    for (const RetentionRule& rule : config.retention_rules) {
      out->BeginMap();
      out->Field("match", rule.match);
      out->Key("time").Duration(rule.time_ms);
      out->EndMap();
    }
    out->EndSequence();
  }
  out->EndMap();
}

bool HasRepeatedOrEmpty(const std::vector<std::string>& names) {
  std::set<std::string> seen;
  for (const std::string& name : names) {
    if (name.empty() || !seen.insert(name).second) return true;
  }
  return false;
}

/// Blanks around attribute names do not count.
void Trim(std::vector<std::string>* names) {
  for (std::string& name : *names) {
    name = std::string(absl::StripAsciiWhitespace(name));
  }
}

}  // namespace

absl::Status Decode(const yaml::Node& node, RetentionRule* rule) {
  yaml::Decoder d(node);
  d.Required("match", &rule->match);
  if (!d.Duration("time", &rule->time_ms)) {
    d.FailField("time", "a retention rule needs the time to keep its series");
  }
  if (rule->match.empty()) {
    d.FailField("match", "a retention rule needs at least one selector");
  }
  for (const std::string& selector : rule->match) {
    auto matchers = promql::ParseMetricSelector(selector);
    if (!matchers.ok()) {
      d.FailField("match", absl::StrCat(base::Quote(selector), ": ",
                                        matchers.status().message()));
      break;
    }
    rule->matcher_sets.push_back(*std::move(matchers));
  }
  return d.Done();
}

absl::Status Decode(const yaml::Node& node, StorageConfig* config) {
  yaml::Decoder d(node);
  if (const yaml::Node* tsdb = d.Take("tsdb");
      tsdb != nullptr && !tsdb->is_null()) {
    DecodeTsdb(*tsdb, d, config);
  }
  if (const yaml::Node* exemplars = d.Take("exemplars");
      exemplars != nullptr && !exemplars->is_null()) {
    yaml::Decoder e(*exemplars);
    config->max_exemplars = 0;
    e.Field("max_exemplars", &config->max_exemplars);
    d.Fail(e.Done());
  }
  return d.Done();
}

void Emit(const StorageConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  if (config.has_tsdb) {
    out->Key("tsdb").BeginMap();
    EmitDuration("out_of_order_time_window", config.out_of_order_time_window_ms,
                 out);
    if (config.stale_series_compaction_threshold != 0) {
      out->Key("stale_series_compaction_threshold")
          .Float(config.stale_series_compaction_threshold);
    }
    EmitRetention(config, out);
    if (!config.float_chunk_encoding.empty()) {
      out->Key("chunk_encoding").BeginMap();
      out->Field("floats", config.float_chunk_encoding);
      out->EndMap();
    }
    out->EndMap();
  }
  if (config.max_exemplars.has_value()) {
    out->Key("exemplars").BeginMap();
    if (*config.max_exemplars != 0) {
      out->Field("max_exemplars", *config.max_exemplars);
    }
    out->EndMap();
  }
  out->EndMap();
}

absl::Status Decode(const yaml::Node& node, TracingConfig* config) {
  yaml::Decoder d(node);
  d.Field("client_type", &config->client_type);
  d.Field("endpoint", &config->endpoint);
  d.Field("sampling_fraction", &config->sampling_fraction);
  d.Field("insecure", &config->insecure);
  d.Field("tls_config", &config->tls);
  d.Field("headers", &config->headers);
  d.Field("compression", &config->compression);
  d.Duration("timeout", &config->timeout_ms);
  if (config->client_type != "http" && config->client_type != "grpc") {
    d.FailField("client_type",
                absl::StrCat("expected tracing client type to be http or "
                             "grpc, but got ",
                             config->client_type));
  }
  CheckHeaders(d, config->headers,
               "custom authorization header configuration is not yet "
               "supported");
  if (config->endpoint.empty()) d.Fail("tracing endpoint must be set");
  if (!config->compression.empty() && config->compression != "gzip") {
    d.FailField("compression",
                absl::StrCat("invalid compression type ", config->compression,
                             " provided, valid options: gzip"));
  }
  return d.Done();
}

void Emit(const TracingConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  EmitText("client_type", config.client_type, out);
  EmitText("endpoint", config.endpoint, out);
  if (config.sampling_fraction != 0) {
    out->Key("sampling_fraction").Float(config.sampling_fraction);
  }
  EmitTrue("insecure", config.insecure, out);
  http::EmitTls(config.tls, out);
  EmitMap("headers", config.headers, out);
  EmitText("compression", config.compression, out);
  EmitDuration("timeout", config.timeout_ms, out);
  out->EndMap();
}

absl::Status Decode(const yaml::Node& node, relabel::NameValidation validation,
                    OtlpConfig* config) {
  yaml::Decoder d(node);
  d.Field("promote_all_resource_attributes",
          &config->promote_all_resource_attributes);
  d.Field("promote_resource_attributes", &config->promote_resource_attributes);
  d.Field("ignore_resource_attributes", &config->ignore_resource_attributes);
  d.Field("translation_strategy", &config->translation_strategy);
  d.Field("keep_identifying_resource_attributes",
          &config->keep_identifying_resource_attributes);
  d.Field("convert_histograms_to_nhcb", &config->convert_histograms_to_nhcb);
  d.Field("promote_scope_metadata", &config->promote_scope_metadata);
  d.Field("label_name_underscore_sanitization",
          &config->label_name_underscore_sanitization);
  d.Field("label_name_preserve_multiple_underscores",
          &config->label_name_preserve_multiple_underscores);
  Trim(&config->promote_resource_attributes);
  Trim(&config->ignore_resource_attributes);
  if (config->promote_all_resource_attributes &&
      !config->promote_resource_attributes.empty()) {
    d.Fail(
        "'promote_all_resource_attributes' and "
        "'promote_resource_attributes' cannot be configured "
        "simultaneously");
  }
  if (!config->promote_all_resource_attributes &&
      !config->ignore_resource_attributes.empty()) {
    d.Fail(
        "'ignore_resource_attributes' cannot be configured unless "
        "'promote_all_resource_attributes' is true");
  }
  for (const char* field :
       {"promote_resource_attributes", "ignore_resource_attributes"}) {
    if (HasRepeatedOrEmpty(absl::string_view(field)[0] == 'p'
                               ? config->promote_resource_attributes
                               : config->ignore_resource_attributes)) {
      d.FailField(field, "empty or duplicated attribute name");
    }
  }
  const std::string& strategy = config->translation_strategy;
  const bool keeps_utf8 =
      strategy == "NoTranslation" || strategy == "NoUTF8EscapingWithSuffixes";
  if (!strategy.empty() && !keeps_utf8 &&
      strategy != "UnderscoreEscapingWithSuffixes" &&
      strategy != "UnderscoreEscapingWithoutSuffixes") {
    d.FailField("translation_strategy",
                absl::StrCat("unsupported OTLP translation strategy ",
                             base::Quote(strategy)));
  }
  if (keeps_utf8 && validation == relabel::NameValidation::kLegacy) {
    d.FailField(
        "translation_strategy",
        absl::StrCat("OTLP translation strategy ", base::Quote(strategy),
                     " is not allowed when UTF8 is disabled"));
  }
  return d.Done();
}

void Emit(const OtlpConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  EmitTrue("promote_all_resource_attributes",
           config.promote_all_resource_attributes, out);
  EmitList("promote_resource_attributes", config.promote_resource_attributes,
           out);
  EmitList("ignore_resource_attributes", config.ignore_resource_attributes,
           out);
  EmitText("translation_strategy", config.translation_strategy, out);
  EmitTrue("keep_identifying_resource_attributes",
           config.keep_identifying_resource_attributes, out);
  EmitTrue("convert_histograms_to_nhcb", config.convert_histograms_to_nhcb,
           out);
  EmitTrue("promote_scope_metadata", config.promote_scope_metadata, out);
  if (!config.label_name_underscore_sanitization) {
    out->Field("label_name_underscore_sanitization", false);
  }
  if (!config.label_name_preserve_multiple_underscores) {
    out->Field("label_name_preserve_multiple_underscores", false);
  }
  out->EndMap();
}

}  // namespace narthex::config
