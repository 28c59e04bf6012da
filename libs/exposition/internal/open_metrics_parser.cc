#include "libs/exposition/internal/open_metrics_parser.h"

#include <cmath>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/exposition/internal/number.h"

namespace narthex::exposition::internal {
namespace {

constexpr absl::string_view kEnd = "# EOF";
constexpr absl::string_view kExemplarMark = " # {";
constexpr absl::string_view kCreated = "_created";

struct TypeName {
  const char* name;
  model::MetricType type;
};
constexpr TypeName kTypes[] = {
    {"counter", model::MetricType::kCounter},
    {"gauge", model::MetricType::kGauge},
    {"histogram", model::MetricType::kHistogram},
    {"gaugehistogram", model::MetricType::kGaugeHistogram},
    {"summary", model::MetricType::kSummary},
    {"info", model::MetricType::kInfo},
    {"stateset", model::MetricType::kStateset},
    {"unknown", model::MetricType::kUnknown},
};

}  // namespace

Entry OpenMetricsParser::TakeEntry(absl::string_view guess) {
  if (over_) return status_.ok() ? Entry::kEnd : Entry::kError;
  if (p_ == end_) return Fail(p_, "data does not end with # EOF");
  return *p_ == '#' ? TakeDescription() : TakeSeries(guess);
}

Entry OpenMetricsParser::Next(absl::string_view guess) {
  while (true) {
    const Entry entry = TakeEntry(guess);
    if (!start_timestamps_ || entry != Entry::kSeries) return entry;
    start_ms_ = 0;
    if (!HaveStarts()) return entry;
    bool is_created = false;
    const std::string key = KeyOf(series_, &is_created);
    if (is_created) continue;
    start_ms_ = StartOf(key);
    return entry;
  }
}

bool OpenMetricsParser::HaveStarts() const {
  return type_ == model::MetricType::kCounter ||
         type_ == model::MetricType::kSummary ||
         type_ == model::MetricType::kHistogram;
}

std::string OpenMetricsParser::KeyOf(absl::string_view series,
                                     bool* is_created) {
  if (!labels_.ScanSeries(series)) return "";
  absl::string_view skipped;
  if (type_ == model::MetricType::kHistogram) skipped = model::kBucketLabel;
  if (type_ == model::MetricType::kSummary) skipped = model::kQuantileLabel;
  std::string key;
  absl::string_view name = labels_.NameAndKey(skipped, &key);
  *is_created = absl::EndsWith(name, kCreated);
  if (*is_created) {
    name.remove_suffix(kCreated.size());
  } else {
    name = name.substr(0, family_size_);
  }
  return absl::StrCat(name, "\xff", key);
}

// The line that tells the start comes after the other ones of its metric, or
// between them.
std::int64_t OpenMetricsParser::StartOf(const std::string& key) {
  if (key.empty()) return 0;
  if (key == known_.key) return known_.start_ms;
  if (no_created_before_ == nullptr || no_created_before_ < p_) LookAhead();
  known_ = key == next_.key ? next_ : Created();
  return known_.start_ms;
}

void OpenMetricsParser::LookAhead() {
  next_ = Created();
  OpenMetricsParser ahead({p_, static_cast<std::size_t>(end_ - p_)},
                          /*start_timestamps=*/false);
  while (true) {
    no_created_before_ = ahead.p_;
    if (ahead.Next("") != Entry::kSeries) return;
    if (!absl::StrContains(ahead.series_, kCreated)) continue;
    bool is_created = false;
    const std::string key = KeyOf(ahead.series_, &is_created);
    if (!is_created) continue;
    const double start_ms = ahead.value_ * 1000;
    if (!(std::abs(start_ms) < 9.2e18)) return;
    next_ = {key, static_cast<std::int64_t>(start_ms)};
    return;
  }
}

bool OpenMetricsParser::TakeNumber(const char** p, double* value) const {
  if (*p == end_ || **p != ' ') return false;
  const char* const after = ParseNumber(*p + 1, end_, value);
  if (after == nullptr) return false;
  *p = after;
  return true;
}

bool OpenMetricsParser::TakeSeconds(const char** p,
                                    std::int64_t* milliseconds) const {
  double seconds = 0;
  if (!TakeNumber(p, &seconds) || !(std::abs(seconds) < 9.2e15)) return false;
  *milliseconds = static_cast<std::int64_t>(seconds * 1000);
  return true;
}

Entry OpenMetricsParser::TakeSeries(absl::string_view guess) {
  const char* const start = p_;
  const char* p = MatchGuess(guess);
  if (p == nullptr) {
    const char* const line_end = LineEnd(start);
    const bool plain =
        std::memchr(start, '#', static_cast<std::size_t>(line_end - start)) ==
        nullptr;
    p = plain ? LastBraceEnd(start) : WalkSeries(start);
  }
  if (p == nullptr || p == start) return FailExpected(start, "a series");
  series_ = {start, static_cast<std::size_t>(p - start)};
  if (!TakeNumber(&p, &value_)) return FailExpected(p, "value after metric");
  auto at = [&](absl::string_view mark) {
    return absl::StartsWith(
        absl::string_view(p, static_cast<std::size_t>(end_ - p)), mark);
  };
  has_timestamp_ = p < end_ && *p == ' ' && !at(kExemplarMark);
  if (has_timestamp_ && !TakeSeconds(&p, &timestamp_ms_)) {
    return FailExpected(p, "a timestamp in seconds");
  }
  has_exemplar_ = at(kExemplarMark);
  if (has_exemplar_) {
    p += kExemplarMark.size() - 1;
    if (const std::string error = TakeExemplar(&p); !error.empty()) {
      return Fail(start, error);
    }
  }
  if (p == end_ || *p != '\n') {
    return FailExpected(p, "next entry after timestamp");
  }
  p_ = p + 1;
  return Entry::kSeries;
}

std::string OpenMetricsParser::TakeExemplar(const char** p) {
  const char* const after = labels_.ScanBraces(*p, LineEnd(*p));
  if (after == nullptr) return absl::StrCat("exemplar: ", LabelError());
  exemplar_ = {*p, static_cast<std::size_t>(after - *p)};
  *p = after;
  if (!TakeNumber(p, &exemplar_value_)) {
    return "expected value after exemplar labels";
  }
  exemplar_has_timestamp_ = *p < end_ && **p == ' ';
  if (exemplar_has_timestamp_ && !TakeSeconds(p, &exemplar_timestamp_ms_)) {
    return "invalid exemplar timestamp";
  }
  return "";
}

Entry OpenMetricsParser::TakeEnd() {
  const char* after = p_ + kEnd.size();
  if (after < end_ && *after == '\n') ++after;
  if (after != end_) return Fail(after, "unexpected data after # EOF");
  p_ = end_;
  return Finish();
}

Entry OpenMetricsParser::TakeDescription() {
  const char* const start = p_;
  const char* const line_end = LineEnd(start);
  const absl::string_view line = LineFrom(start);
  if (absl::StartsWith(line, kEnd)) return TakeEnd();
  const absl::string_view word = line.size() >= 7 ? line.substr(0, 7) : "";
  const bool help = word == "# HELP ";
  const bool type = word == "# TYPE ";
  if (!help && !type && word != "# UNIT ") {
    return FailExpected(start, "a valid start token");
  }
  const char* const after = TakeMetric(start + 7, line_end);
  if (after == nullptr) return FailExpected(start + 7, "metric name");
  if (after == line_end || *after != ' ' || line_end == end_) {
    return FailExpected(after, "text after metric name");
  }
  p_ = line_end + 1;
  family_size_ = metric_.size();
  const absl::string_view text(after + 1,
                               static_cast<std::size_t>(line_end - after - 1));
  if (type) return TakeType(text, start);
  if (!help) return TakeUnit(text, start);
  if (!base::IsValidUtf8(text)) {
    return Fail(start, "help text is not a valid utf8 string");
  }
  text_ = Unescaped(text, true);
  return Entry::kHelp;
}

Entry OpenMetricsParser::TakeType(absl::string_view text, const char* at) {
  for (const TypeName& entry : kTypes) {
    if (text != entry.name) continue;
    type_ = entry.type;
    return Entry::kType;
  }
  return Fail(at, absl::StrCat("invalid metric type ", base::Quote(text)));
}

Entry OpenMetricsParser::TakeUnit(absl::string_view text, const char* at) {
  text_ = text;
  if (text.empty() || absl::EndsWith(metric_, absl::StrCat("_", text))) {
    return Entry::kUnit;
  }
  return Fail(
      at, absl::StrCat("unit ", base::Quote(text), " not a suffix of metric ",
                       base::Quote(metric_)));
}

}  // namespace narthex::exposition::internal
