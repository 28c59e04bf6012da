#include "libs/discovery/kubernetes_selector.h"

#include <cstdint>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "libs/base/quote.h"

namespace narthex::discovery {
namespace {

constexpr std::size_t kMaxName = 63;

/// Letters, digits and "-_." within.
bool IsName(absl::string_view text) {
  if (text.empty() || text.size() > kMaxName) return false;
  const auto alnum = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c));
  };
  for (const char c : text) {
    if (!alnum(c) && c != '-' && c != '_' && c != '.') return false;
  }
  return alnum(text.front()) && alnum(text.back());
}

bool IsKey(absl::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == absl::string_view::npos) return IsName(text);
  return slash > 0 && IsName(text.substr(slash + 1));
}

bool IsValue(absl::string_view text) { return text.empty() || IsName(text); }

/// Splits at commas outside of parentheses.
std::vector<absl::string_view> Requirements(absl::string_view text) {
  std::vector<absl::string_view> out;
  int depth = 0;
  std::size_t start = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '(') ++depth;
    if (text[i] == ')') --depth;
    if (text[i] != ',' || depth > 0) continue;
    out.push_back(text.substr(start, i - start));
    start = i + 1;
  }
  out.push_back(text.substr(start));
  return out;
}

bool AreValues(absl::string_view set) {
  set = absl::StripAsciiWhitespace(set);
  if (!absl::ConsumePrefix(&set, "(") || !absl::ConsumeSuffix(&set, ")")) {
    return false;
  }
  for (const absl::string_view value : absl::StrSplit(set, ',')) {
    if (!IsValue(absl::StripAsciiWhitespace(value))) return false;
  }
  return true;
}

bool IsRequirement(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  if (absl::ConsumePrefix(&text, "!")) {
    return IsKey(absl::StripAsciiWhitespace(text));
  }
  const std::size_t end = text.find_first_of("=!<> \t(");
  if (!IsKey(text.substr(0, end))) return false;
  if (end == absl::string_view::npos) return true;
  text = absl::StripAsciiWhitespace(text.substr(end));
  if (absl::ConsumePrefix(&text, "notin") || absl::ConsumePrefix(&text, "in")) {
    return AreValues(text);
  }
  if (absl::ConsumePrefix(&text, "==") || absl::ConsumePrefix(&text, "!=") ||
      absl::ConsumePrefix(&text, "=")) {
    return IsValue(absl::StripAsciiWhitespace(text));
  }
  std::int64_t number = 0;
  return (absl::ConsumePrefix(&text, ">") || absl::ConsumePrefix(&text, "<")) &&
         absl::SimpleAtoi(absl::StripAsciiWhitespace(text), &number);
}

}  // namespace

absl::Status CheckLabelSelector(absl::string_view text) {
  if (absl::StripAsciiWhitespace(text).empty()) return absl::OkStatus();
  for (const absl::string_view requirement : Requirements(text)) {
    if (IsRequirement(requirement)) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "unable to parse requirement: ", base::Quote(requirement)));
  }
  return absl::OkStatus();
}

absl::Status CheckFieldSelector(absl::string_view text) {
  if (text.empty()) return absl::OkStatus();
  for (const absl::string_view term : absl::StrSplit(text, ',')) {
    if (term.empty() || (term.find('=') != absl::string_view::npos)) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "invalid selector: '", text, "'; can't understand '", term, "'"));
  }
  return absl::OkStatus();
}

}  // namespace narthex::discovery
