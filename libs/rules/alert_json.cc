#include "libs/rules/alert_json.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/duration.h"

namespace narthex::rules {
namespace {

void AppendText(absl::string_view text, std::string* out) {
  *out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      *out += '\\';
      *out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(out, "\\u%04x", c);
    } else {
      *out += c;
    }
  }
  *out += '"';
}

void AppendLabels(const model::Labels& labels, std::string* out) {
  const char* separator = "";
  *out += '{';
  for (const model::Label& label : labels) {
    absl::StrAppend(out, separator);
    AppendText(label.name, out);
    *out += ':';
    AppendText(label.value, out);
    separator = ",";
  }
  *out += '}';
}

}  // namespace

std::string AlertJson(const OutgoingAlert& alert) {
  std::string out = "{\"annotations\":";
  AppendLabels(alert.annotations, &out);
  absl::StrAppend(&out, ",\"endsAt\":\"", base::FormatRfc3339(alert.ends_at_ms),
                  "\",\"startsAt\":\"", base::FormatRfc3339(alert.starts_at_ms),
                  "\",\"generatorURL\":");
  AppendText(alert.generator_url, &out);
  out += ",\"labels\":";
  AppendLabels(alert.labels, &out);
  out += '}';
  return out;
}

}  // namespace narthex::rules
