#include "libs/exposition/internal/line_parser.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"

namespace narthex::exposition::internal {

absl::Status LineParser::ErrorAt(const char* at,
                                 absl::string_view reason) const {
  return absl::InvalidArgumentError(
      absl::StrCat("line ", 1 + std::count(begin_, at, '\n'), ": ", reason));
}

Entry LineParser::Fail(const char* at, absl::string_view reason) {
  status_ = ErrorAt(at, reason);
  over_ = true;
  return Entry::kError;
}

Entry LineParser::FailExpected(const char* at, absl::string_view what) {
  return Fail(at, absl::StrCat("expected ", what, ", found ", Found(at)));
}

std::string LineParser::Found(const char* at) const {
  if (at == end_) return "the end";
  return base::Quote(*at == '\n' ? "\n" : LineFrom(at).substr(0, 40));
}

std::string LineParser::LabelError() const {
  const char* at = labels_.error_at();
  if (at == nullptr) return labels_.error();
  while (at < end_ && (*at == ' ' || *at == '\t')) ++at;
  return absl::StrCat(labels_.error(), ", found ", Found(at));
}

Entry LineParser::Finish() {
  over_ = true;
  return Entry::kEnd;
}

absl::string_view LineParser::LineFrom(const char* p) const {
  return {p, static_cast<std::size_t>(LineEnd(p) - p)};
}

const char* LineParser::LineEnd(const char* p) const {
  const void* found = std::memchr(p, '\n', static_cast<std::size_t>(end_ - p));
  return found == nullptr ? end_ : static_cast<const char*>(found);
}

const char* LineParser::LastBraceEnd(const char* p) const {
  const char* const line_end = LineEnd(p);
  const void* brace = memrchr(p, '}', static_cast<std::size_t>(line_end - p));
  if (brace != nullptr) return static_cast<const char*>(brace) + 1;
  while (p < line_end && *p != ' ' && *p != '\t') ++p;
  return p;
}

const char* LineParser::WalkSeries(const char* p) const {
  auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  while (p < end_ && *p != '{' && *p != '\n' && !is_blank(*p)) ++p;
  const char* const name_end = p;
  while (p < end_ && is_blank(*p)) ++p;
  if (p == end_ || *p != '{') return name_end;
  while (p < end_ && *p != '\n') {
    if (*p == '}') return p + 1;
    p = *p == '"' ? QuotedEnd(p, end_, true) : p + 1;
    if (p == nullptr) return nullptr;
  }
  return nullptr;
}

const char* LineParser::MatchGuess(absl::string_view guess) const {
  const std::size_t size = guess.size();
  if (size == 0 || size >= static_cast<std::size_t>(end_ - p_) ||
      std::memcmp(p_, guess.data(), size) != 0) {
    return nullptr;
  }
  const char* const after = p_ + size;
  if (guess.back() == '}') return after;
  // A bare name must not go on, nor have labels after it.
  const char* next = after;
  while (next < end_ && (*next == ' ' || *next == '\t')) ++next;
  if (next == after || next == end_ || *next == '{') return nullptr;
  return after;
}

const char* LineParser::TakeMetric(const char* p, const char* line_end) {
  if (p < line_end && *p == '"') {
    const char* const after = QuotedEnd(p, line_end, false);
    if (after == nullptr) return nullptr;
    metric_storage_.clear();
    Unescape({p + 1, static_cast<std::size_t>(after - p - 2)}, true,
             &metric_storage_);
    metric_ = metric_storage_;
    return base::IsValidUtf8(metric_) ? after : nullptr;
  }
  const char* const after = MetricNameEnd(p, line_end);
  metric_ = {p, static_cast<std::size_t>(after - p)};
  return after == p ? nullptr : after;
}

absl::string_view LineParser::Unescaped(absl::string_view text, bool quotes) {
  if (text.find('\\') == absl::string_view::npos) return text;
  text_storage_.clear();
  Unescape(text, quotes, &text_storage_);
  return text_storage_;
}

absl::Status LineParser::ParseLabels(model::Labels* labels) {
  if (labels_.ScanSeries(series_) && labels_.Build(type_, labels)) {
    return absl::OkStatus();
  }
  const absl::Status error = ErrorAt(series_.data(), LabelError());
  return labels_.repeated() ? absl::AlreadyExistsError(error.message()) : error;
}

absl::Status LineParser::ParseExemplar(Exemplar* exemplar) {
  if (!has_exemplar_) return ErrorAt(p_, "the series has no exemplar");
  const char* const end = exemplar_.data() + exemplar_.size();
  if (labels_.ScanBraces(exemplar_.data(), end) == nullptr ||
      !labels_.Build(model::MetricType::kUnknown, &exemplar->labels)) {
    return ErrorAt(exemplar_.data(), LabelError());
  }
  exemplar->value = exemplar_value_;
  exemplar->has_timestamp = exemplar_has_timestamp_;
  exemplar->timestamp_ms = exemplar_timestamp_ms_;
  return absl::OkStatus();
}

}  // namespace narthex::exposition::internal
