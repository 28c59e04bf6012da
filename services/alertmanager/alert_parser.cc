#include "services/alertmanager/alert_parser.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"
#include "libs/base/duration.h"
#include "libs/base/quote.h"
#include "services/alertmanager/api_answer.h"
#include "services/alertmanager/json.h"

namespace narthex::alertmanager {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

constexpr std::int64_t kGoZeroTimeMs = -62135596800000;

/// `count` digits at `text[at]`; -1 when they are none.
int Digits(absl::string_view text, std::size_t at, std::size_t count) {
  int value = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

/// The usual form in UTC, many times quicker than a general parser.
bool ParseUtc(absl::string_view text, std::int64_t* ms) {
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' || text[10] != 'T' ||
      text[13] != ':' || text[16] != ':') {
    return false;
  }
  const int year = Digits(text, 0, 4);
  const int month = Digits(text, 5, 2);
  const int day = Digits(text, 8, 2);
  const int hour = Digits(text, 11, 2);
  const int minute = Digits(text, 14, 2);
  const int second = Digits(text, 17, 2);
  if (year < 0 || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 ||
      hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) {
    return false;
  }
  std::size_t at = 19;
  int millis = 0;
  if (text[at] == '.') {
    int scale = 100;
    for (++at; at < text.size() &&
               absl::ascii_isdigit(static_cast<unsigned char>(text[at]));
         ++at) {
      millis += (text[at] - '0') * scale;
      scale /= 10;
    }
  }
  const absl::string_view zone = text.substr(at);
  if (zone != "Z" && zone != "+00:00") return false;
  const absl::CivilDay civil(year, month, day);
  if (civil.day() != day) return false;
  const std::int64_t days = civil - absl::CivilDay(1970, 1, 1);
  *ms = (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + millis;
  return true;
}

bool ReadTime(JsonReader& json, std::string* scratch, std::int64_t* ms) {
  if (json.TakeNull()) return true;
  if (!json.String(scratch)) return false;
  if (ParseApiTime(*scratch, ms)) return true;
  return json.Fail(
      absl::StrCat("parsing time ", base::Quote(*scratch), " as RFC 3339"));
}

bool ReadPairs(JsonReader& json, Pairs* pairs) {
  pairs->clear();
  if (json.TakeNull()) return true;
  if (!json.BeginObject()) return false;
  std::string name;
  while (json.NextField(&name)) {
    std::string value;
    if (!json.TakeNull() && !json.String(&value)) return false;
    pairs->emplace_back(std::move(name), std::move(value));
    name.clear();
  }
  return json.ok();
}

/// As url.ParseRequestURI: an absolute URL or an absolute path.
bool IsRequestUri(absl::string_view url) {
  if (url.empty() || url[0] == '/') return true;
  const std::size_t colon = url.find(':');
  return colon != absl::string_view::npos && colon > 0 &&
         std::all_of(url.begin(), url.begin() + static_cast<long>(colon),
                     [](unsigned char c) {
                       return absl::ascii_isalnum(c) || c == '+' || c == '-' ||
                              c == '.';
                     });
}

/// Memory that is used again for each alert of a body.
struct Scratch {
  std::string name;
  std::string text;
  Pairs labels;
  Pairs annotations;
};

absl::Status ReadAlert(JsonReader& json, std::size_t index, Scratch* scratch,
                       Alert* alert) {
  auto content = std::make_shared<AlertContent>();
  bool has_labels = false;
  scratch->labels.clear();
  scratch->annotations.clear();
  if (!json.BeginObject()) return json.status();
  std::string& name = scratch->name;
  while (json.NextField(&name)) {
    if (name == "labels") {
      has_labels = json.Peek() != JsonReader::Kind::kNull;
      ReadPairs(json, &scratch->labels);
    } else if (name == "annotations") {
      ReadPairs(json, &scratch->annotations);
    } else if (name == "startsAt") {
      ReadTime(json, &scratch->text, &alert->starts_at_ms);
    } else if (name == "endsAt") {
      ReadTime(json, &scratch->text, &alert->ends_at_ms);
    } else if (name == "generatorURL") {
      if (!json.TakeNull()) json.String(&content->generator_url);
    } else {
      json.Skip();
    }
  }
  if (!json.ok()) return json.status();
  if (!has_labels) {
    return FormError(kRequired,
                     absl::StrCat(index, ".labels in body is required"));
  }
  if (!IsRequestUri(content->generator_url)) {
    return FormError(
        kWrongType,
        absl::StrCat(index, ".generatorURL in body must be of type uri: ",
                     base::Quote(content->generator_url)));
  }
  content->labels = model::Labels(std::move(scratch->labels));
  content->annotations = Annotations(std::move(scratch->annotations));
  content->fingerprint = FingerprintOf(content->labels);
  alert->content = std::move(content);
  return absl::OkStatus();
}

}  // namespace

bool ParseApiTime(absl::string_view text, std::int64_t* ms) {
  if (!ParseUtc(text, ms)) {
    const auto parsed = base::ParseRfc3339(text);
    if (!parsed.ok()) return false;
    *ms = *parsed;
  }
  if (*ms == kGoZeroTimeMs) *ms = kNoTime;
  return true;
}

absl::Status ParseAlerts(absl::string_view body, std::vector<Alert>* alerts) {
  if (absl::StripAsciiWhitespace(body).empty()) {
    return FormError(kRequired, "alerts in body is required");
  }
  JsonReader json(body);
  Scratch scratch;
  if (!json.BeginArray()) return json.status();
  absl::Status form;
  while (json.NextItem()) {
    Alert alert;
    const absl::Status status =
        ReadAlert(json, alerts->size(), &scratch, &alert);
    if (!json.ok()) return json.status();
    if (form.ok()) form = status;
    alerts->push_back(std::move(alert));
  }
  if (!json.End()) return json.status();
  return form;
}

void CompleteTimes(std::int64_t now_ms, std::int64_t resolve_timeout_ms,
                   Alert* alert) {
  alert->updated_at_ms = now_ms;
  if (alert->starts_at_ms == kNoTime) {
    alert->starts_at_ms =
        alert->ends_at_ms == kNoTime ? now_ms : alert->ends_at_ms;
  }
  if (alert->ends_at_ms == kNoTime) {
    alert->timeout = true;
    alert->ends_at_ms = now_ms + resolve_timeout_ms;
  }
}

absl::Status ValidateAlert(const Alert& alert) {
  if (alert.ends_at_ms < alert.starts_at_ms) {
    return absl::InvalidArgumentError("start time must be before end time");
  }
  if (alert.labels().empty()) {
    return absl::InvalidArgumentError("at least one label pair required");
  }
  for (const model::Label& label : alert.labels()) {
    if (!model::IsUtf8Name(label.name)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "invalid label set: invalid name ", base::Quote(label.name)));
    }
  }
  for (const auto& [name, value] : alert.content->annotations.pairs()) {
    if (!model::IsUtf8Name(name)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "invalid annotations: invalid name ", base::Quote(name)));
    }
  }
  return absl::OkStatus();
}

}  // namespace narthex::alertmanager
