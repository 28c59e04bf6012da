#include "libs/exposition/internal/label_scanner.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/base/varint.h"
#include "libs/exposition/writer.h"

namespace narthex::exposition::internal {
namespace {

enum : unsigned char { kStart = 1, kInside = 2, kColon = 4 };

constexpr std::array<unsigned char, 256> MakeClasses() {
  std::array<unsigned char, 256> classes{};
  for (int c = 'a'; c <= 'z'; ++c) classes[c] = kStart | kInside;
  for (int c = 'A'; c <= 'Z'; ++c) classes[c] = kStart | kInside;
  for (int c = '0'; c <= '9'; ++c) classes[c] = kInside;
  classes['_'] = kStart | kInside;
  classes[':'] = kColon;
  return classes;
}
constexpr auto kClasses = MakeClasses();

unsigned char ClassOf(char c) {
  return kClasses[static_cast<unsigned char>(c)];
}

absl::string_view Between(const char* from, const char* to) {
  return {from, static_cast<std::size_t>(to - from)};
}

bool IsAscii(absl::string_view text) {
  unsigned char all = 0;
  for (const char c : text) all |= static_cast<unsigned char>(c);
  return all < 0x80;
}

void AppendString(absl::string_view text, std::string* out) {
  if (text.size() < 0x80) {
    out->push_back(static_cast<char>(text.size()));
  } else {
    base::PutUvarint(text.size(), out);
  }
  out->append(text.data(), text.size());
}

}  // namespace

bool IsNameStart(char c) { return (ClassOf(c) & kStart) != 0; }
bool IsNameCharacter(char c) { return (ClassOf(c) & kInside) != 0; }

const char* MetricNameEnd(const char* p, const char* end) {
  if (p == end || (ClassOf(*p) & (kStart | kColon)) == 0) return p;
  while (p < end && ClassOf(*p) != 0) ++p;
  return p;
}

const char* QuotedEnd(const char* p, const char* end, bool newlines) {
  for (++p; p < end; ++p) {
    if (*p == '"') return p + 1;
    if (*p == '\\') ++p;
    if (p < end && *p == '\n' && !newlines) return nullptr;
  }
  return nullptr;
}

void Unescape(absl::string_view text, bool quotes, std::string* out) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    if (text[i] != '\\') {
      out->push_back(text[i]);
    } else if (next == '\\' || (next == '"' && quotes)) {
      out->push_back(next);
      ++i;
    } else if (next == 'n') {
      out->push_back('\n');
      ++i;
    } else {
      out->push_back('\\');
    }
  }
}

const char* LabelScanner::SkipBlanks(const char* p, const char* end) const {
  if (!lenient_) return p;
  while (p < end && (*p == ' ' || *p == '\t')) ++p;
  return p;
}

const char* LabelScanner::Fail(const char* expected, const char* p) {
  error_ = absl::StrCat("expected ", expected);
  error_at_ = p;
  return nullptr;
}

bool LabelScanner::ScanSeries(absl::string_view series) {
  raw_.clear();
  has_metric_ = false;
  const char* p = series.data();
  const char* const end = p + series.size();
  const char* const name_end = MetricNameEnd(p, end);
  if (name_end != p) {
    raw_.push_back({model::kMetricName, Between(p, name_end)});
    has_metric_ = true;
    p = SkipBlanks(name_end, end);
    if (p == end) return true;
  }
  if (p == end || *p != '{') {
    Fail(name_end == series.data() ? "a metric name" : "value after metric", p);
    return false;
  }
  p = Scan(p, end);
  if (p == nullptr) return false;
  if (p != end) {
    Fail("value after metric", p);
    return false;
  }
  if (!has_metric_) error_ = "metric name not set";
  return has_metric_;
}

const char* LabelScanner::ScanBraces(const char* p, const char* end) {
  raw_.clear();
  has_metric_ = true;
  return Scan(p, end);
}

const char* LabelScanner::ScanQuotedName(const char* p, const char* end) {
  const char* const name_end = QuotedEnd(p, end, lenient_);
  if (name_end == nullptr) return Fail("label name", p);
  Raw label;
  label.name = Between(p + 1, name_end - 1);
  label.name_quoted = true;
  p = SkipBlanks(name_end, end);
  // Quoted text without a value is the metric name.
  if (p < end && (*p == ',' || *p == '}')) {
    if (has_metric_ || label.name.empty()) {
      error_ = has_metric_ ? "metric name already set" : "metric name not set";
      return nullptr;
    }
    has_metric_ = true;
    label.value = label.name;
    label.name = model::kMetricName;
    label.name_quoted = false;
    label.complete = true;
  } else if (label.name.empty()) {
    return Fail("label name", p);
  }
  raw_.push_back(label);
  return p;
}

const char* LabelScanner::ScanValue(const char* p, const char* end) {
  if (p == end || *p != '=') return Fail("equal", p);
  p = SkipBlanks(p + 1, end);
  const char* const value_end =
      p < end && *p == '"' ? QuotedEnd(p, end, lenient_) : nullptr;
  if (value_end == nullptr) return Fail("label value", p);
  raw_.back().value = Between(p + 1, value_end - 1);
  return SkipBlanks(value_end, end);
}

const char* LabelScanner::Scan(const char* p, const char* end) {
  p = SkipBlanks(p + 1, end);
  while (p < end && *p != '}') {
    if (*p == '"') {
      p = ScanQuotedName(p, end);
      if (p == nullptr) return nullptr;
    } else {
      const char* name_end = p;
      if (IsNameStart(*p)) {
        while (name_end < end && IsNameCharacter(*name_end)) ++name_end;
      }
      if (name_end == p) return Fail("label name", p);
      raw_.push_back({Between(p, name_end), {}});
      p = SkipBlanks(name_end, end);
    }
    if (!raw_.back().complete) p = ScanValue(p, end);
    if (p == nullptr) return nullptr;
    if (p < end && *p == ',') {
      p = SkipBlanks(p + 1, end);
    } else if (!lenient_ && (p == end || *p != '}')) {
      return Fail("comma or closing brace", p);
    }
  }
  if (p == end) return Fail("label name", p);
  return p + 1;
}

absl::string_view LabelScanner::Plain(absl::string_view text) {
  if (text.find('\\') == absl::string_view::npos) return text;
  const std::size_t at = unescaped_.size();
  Unescape(text, true, &unescaped_);
  return absl::string_view(unescaped_).substr(at);
}

absl::string_view LabelScanner::Normalized(model::MetricType type,
                                           absl::string_view name,
                                           absl::string_view value) {
  const bool is_float =
      (type == model::MetricType::kHistogram && name == model::kBucketLabel) ||
      (type == model::MetricType::kSummary && name == model::kQuantileLabel);
  if (!is_float || !NormalizeFloatLabel(value, &normalized_)) return value;
  return normalized_;
}

// Most targets write them in order. What a line may hold is not bounded here,
// so that the effort must not grow with its square.
bool LabelScanner::SortByName() {
  const auto before = [](const model::Label& a, const model::Label& b) {
    return a.name < b.name;
  };
  if (!std::is_sorted(sorted_.begin(), sorted_.end(), before)) {
    std::sort(sorted_.begin(), sorted_.end(), before);
  }
  const auto twice =
      std::adjacent_find(sorted_.begin(), sorted_.end(),
                         [](const model::Label& a, const model::Label& b) {
                           return a.name == b.name;
                         });
  if (twice == sorted_.end()) return true;
  error_ = absl::StrCat("label name ", base::Quote(twice->name),
                        " is not unique: invalid sample");
  repeated_ = true;
  return false;
}

bool LabelScanner::Build(model::MetricType type, model::Labels* labels) {
  std::size_t size = 0;
  for (const Raw& raw : raw_) size += raw.name.size() + raw.value.size();
  // Views into it must stay: unescaping never makes text longer.
  unescaped_.clear();
  unescaped_.reserve(size);
  sorted_.clear();
  for (const Raw& raw : raw_) {
    model::Label label{raw.name_quoted ? Plain(raw.name) : raw.name,
                       Plain(raw.value)};
    if ((!IsAscii(label.value) && !base::IsValidUtf8(label.value)) ||
        (raw.name_quoted && !base::IsValidUtf8(label.name))) {
      error_ =
          absl::StrCat("invalid UTF-8 label value: ", base::Quote(label.value));
      return false;
    }
    label.value = Normalized(type, label.name, label.value);
    sorted_.push_back(label);
  }
  if (!SortByName()) return false;
  encoded_.clear();
  for (const model::Label& label : sorted_) {
    if (label.value.empty()) continue;
    AppendString(label.name, &encoded_);
    AppendString(label.value, &encoded_);
  }
  if (model::Labels::FromEncoded(encoded_, labels)) return true;
  error_ = "malformed labels";
  return false;
}

absl::string_view LabelScanner::NameAndKey(absl::string_view skipped,
                                           std::string* key) const {
  absl::string_view metric;
  for (const Raw& raw : raw_) {
    if (raw.name == model::kMetricName) {
      metric = raw.value;
    } else if (raw.name != skipped) {
      absl::StrAppend(key, raw.name, "\xff", raw.value, "\xff");
    }
  }
  return metric;
}

std::vector<std::string> LabelScanner::EmptyNames() const {
  std::vector<std::string> names;
  for (const model::Label& label : sorted_) {
    if (label.value.empty()) names.emplace_back(label.name);
  }
  return names;
}

}  // namespace narthex::exposition::internal
