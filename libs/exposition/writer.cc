#include "libs/exposition/writer.h"

#include "absl/strings/str_cat.h"
#include "libs/base/float_format.h"

namespace narthex::exposition {
namespace {

void AppendEscaped(absl::string_view text, bool quotes, std::string* out) {
  for (const char c : text) {
    if (c == '\\') {
      out->append("\\\\");
    } else if (c == '\n') {
      out->append("\\n");
    } else if (c == '"' && quotes) {
      out->append("\\\"");
    } else {
      out->push_back(c);
    }
  }
}

void AppendQuoted(absl::string_view text, std::string* out) {
  out->push_back('"');
  AppendEscaped(text, true, out);
  out->push_back('"');
}

void AppendMetricName(absl::string_view name, std::string* out) {
  if (model::IsLegacyMetricName(name)) {
    absl::StrAppend(out, name);
  } else {
    AppendQuoted(name, out);
  }
}

const char* TypeWord(model::MetricType type) {
  switch (type) {
    case model::MetricType::kCounter:
      return "counter";
    case model::MetricType::kGauge:
      return "gauge";
    case model::MetricType::kHistogram:
      return "histogram";
    case model::MetricType::kSummary:
      return "summary";
    default:
      return "untyped";
  }
}

}  // namespace

void Writer::Family(absl::string_view name, model::MetricType type,
                    absl::string_view help) {
  if (!help.empty()) {
    out_.append("# HELP ");
    AppendMetricName(name, &out_);
    out_.push_back(' ');
    AppendEscaped(help, false, &out_);
    out_.push_back('\n');
  }
  out_.append("# TYPE ");
  AppendMetricName(name, &out_);
  absl::StrAppend(&out_, " ", TypeWord(type), "\n");
}

void Writer::Sample(absl::string_view name, const model::Labels& labels,
                    double value, std::optional<std::int64_t> timestamp_ms) {
  const bool legacy = model::IsLegacyMetricName(name);
  bool open = !legacy;
  if (legacy) {
    absl::StrAppend(&out_, name);
  } else {
    out_.push_back('{');
    AppendQuoted(name, &out_);
  }
  for (const model::Label& label : labels) {
    if (label.name == model::kMetricName) continue;
    out_.push_back(open ? ',' : '{');
    open = true;
    if (model::IsLegacyLabelName(label.name)) {
      absl::StrAppend(&out_, label.name);
    } else {
      AppendQuoted(label.name, &out_);
    }
    out_.push_back('=');
    AppendQuoted(label.value, &out_);
  }
  absl::StrAppend(&out_, open ? "} " : " ", base::FormatFloatG(value));
  if (timestamp_ms.has_value()) absl::StrAppend(&out_, " ", *timestamp_ms);
  out_.push_back('\n');
}

bool NormalizeFloatLabel(absl::string_view text, std::string* out) {
  const auto value = base::ParseFloat(text);
  if (!value.ok()) return false;
  *out = base::FormatFloatG(*value);
  // What has no point and no exponent (and is no Inf or NaN) is whole.
  if (out->find_first_of("e.IN") == std::string::npos) out->append(".0");
  return true;
}

}  // namespace narthex::exposition
