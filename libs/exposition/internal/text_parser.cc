#include "libs/exposition/internal/text_parser.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/exposition/internal/number.h"

namespace narthex::exposition::internal {
namespace {

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

const char* SkipBlanks(const char* p, const char* end) {
  while (p < end && IsBlank(*p)) ++p;
  return p;
}

bool ParseType(absl::string_view text, model::MetricType* type) {
  if (text == "counter") {
    *type = model::MetricType::kCounter;
  } else if (text == "gauge") {
    *type = model::MetricType::kGauge;
  } else if (text == "histogram") {
    *type = model::MetricType::kHistogram;
  } else if (text == "summary") {
    *type = model::MetricType::kSummary;
  } else if (text == "untyped") {
    *type = model::MetricType::kUnknown;
  } else {
    return false;
  }
  return true;
}

/// The text after a metric name: all but the blank that parts them.
absl::string_view TextAfter(const char* p, const char* line_end) {
  if (p == line_end) return {};
  return {p + 1, static_cast<std::size_t>(line_end - p - 1)};
}

}  // namespace

Entry TextParser::Next(absl::string_view guess) {
  if (over_) return status_.ok() ? Entry::kEnd : Entry::kError;
  while (p_ < end_ && (IsBlank(*p_) || *p_ == '\n')) ++p_;
  if (p_ == end_) return Finish();
  return *p_ == '#' ? TakeComment() : TakeSeries(guess);
}

Entry TextParser::TakeSeries(absl::string_view guess) {
  const char* const start = p_;
  const char* end = MatchGuess(guess);
  if (end == nullptr) end = LastBraceEnd(start);
  const char* bad = start;
  const char* expected = TakeValue(end, &bad);
  if (expected != nullptr) {
    // Quoted text may hold newlines, and braces before them.
    const char* const walked = WalkSeries(start);
    if (walked == nullptr) return FailExpected(start, "a series");
    end = walked;
    expected = TakeValue(end, &bad);
    if (expected != nullptr) return FailExpected(bad, expected);
  }
  series_ = {start, static_cast<std::size_t>(end - start)};
  return Entry::kSeries;
}

const char* TextParser::TakeValue(const char* p, const char** bad) {
  p = SkipBlanks(p, end_);
  *bad = p;
  if (p == end_ || *p == '\n') return "value after metric";
  p = ParseNumber(p, end_, &value_);
  if (p == nullptr) return "a float as value";
  p = SkipBlanks(p, end_);
  has_timestamp_ = p < end_ && *p != '\n';
  if (has_timestamp_) {
    *bad = p;
    p = ParseMilliseconds(p, end_, &timestamp_ms_);
    if (p == nullptr) return "a timestamp in milliseconds";
    p = SkipBlanks(p, end_);
    *bad = p;
    if (p < end_ && *p != '\n') return "end of line after timestamp";
  }
  p_ = p < end_ ? p + 1 : p;
  return nullptr;
}

Entry TextParser::TakeComment() {
  const char* const line = p_;
  const char* const line_end = LineEnd(line);
  p_ = line_end < end_ ? line_end + 1 : line_end;
  const char* const word = SkipBlanks(line + 1, line_end);
  const absl::string_view rest(word, static_cast<std::size_t>(line_end - word));
  if (word > line + 1 && rest.size() > 4 && IsBlank(rest[4])) {
    const char* const after = SkipBlanks(word + 4, line_end);
    if (absl::StartsWith(rest, "HELP")) return TakeHelp(after, line_end);
    if (absl::StartsWith(rest, "TYPE")) return TakeType(after, line_end);
  }
  text_ = {line, static_cast<std::size_t>(line_end - line)};
  return Entry::kComment;
}

Entry TextParser::TakeHelp(const char* p, const char* line_end) {
  const char* const after = TakeMetric(p, line_end);
  if (after == nullptr) return FailExpected(p, "metric name after HELP");
  const absl::string_view help = TextAfter(after, line_end);
  if (!base::IsValidUtf8(help)) {
    return Fail(p, "help text is not a valid utf8 string");
  }
  text_ = Unescaped(help, false);
  return Entry::kHelp;
}

Entry TextParser::TakeType(const char* p, const char* line_end) {
  const char* const after = TakeMetric(p, line_end);
  if (after == nullptr) return FailExpected(p, "metric name after TYPE");
  const absl::string_view type = TextAfter(after, line_end);
  if (!ParseType(type, &type_)) {
    return Fail(p, absl::StrCat("invalid metric type ", base::Quote(type)));
  }
  return Entry::kType;
}

}  // namespace narthex::exposition::internal
