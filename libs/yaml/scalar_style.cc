#include "libs/yaml/scalar_style.h"

#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "libs/base/quote.h"

namespace narthex::yaml::internal {
namespace {

constexpr std::size_t kWidth = 80;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::size_t CountDigits(absl::string_view text) {
  std::size_t n = 0;
  while (n < text.size() && IsDigit(text[n])) ++n;
  return n;
}

bool IsWord(absl::string_view text) {
  for (const char* word :
       {"", "~", "null", "y", "n", "yes", "no", "on", "off", "true", "false"}) {
    if (text == word || text == absl::AsciiStrToUpper(word)) return true;
    std::string title(word);
    if (!title.empty())
      title[0] = absl::ascii_toupper(static_cast<unsigned char>(title[0]));
    if (text == title) return true;
  }
  for (const char* word :
       {".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf",
        "+.INF", "-.inf", "-.Inf", "-.INF", "<<"}) {
    if (text == word) return true;
  }
  return false;
}

/// Digits of `base`, with or without sign, at least one.
bool IsWholeNumber(absl::string_view text) {
  if (!absl::ConsumePrefix(&text, "-")) absl::ConsumePrefix(&text, "+");
  absl::string_view digits = "0123456789";
  if (absl::StartsWithIgnoreCase(text, "0x")) {
    digits = "0123456789abcdefABCDEF";
    text.remove_prefix(2);
  } else if (absl::StartsWithIgnoreCase(text, "0b")) {
    digits = "01";
    text.remove_prefix(2);
  } else if (absl::StartsWithIgnoreCase(text, "0o")) {
    digits = "01234567";
    text.remove_prefix(2);
  }
  return !text.empty() &&
         text.find_first_not_of(digits) == absl::string_view::npos;
}

bool IsDecimalFloat(absl::string_view text) {
  if (!absl::ConsumePrefix(&text, "-")) absl::ConsumePrefix(&text, "+");
  const std::size_t whole = CountDigits(text);
  text.remove_prefix(whole);
  std::size_t fraction = 0;
  if (absl::ConsumePrefix(&text, ".")) {
    fraction = CountDigits(text);
    text.remove_prefix(fraction);
  }
  if (whole + fraction == 0) return false;
  if (text.empty()) return true;
  if (text[0] != 'e' && text[0] != 'E') return false;
  text.remove_prefix(1);
  if (!absl::ConsumePrefix(&text, "-")) absl::ConsumePrefix(&text, "+");
  return !text.empty() && CountDigits(text) == text.size();
}

/// A YAML 1.1 number in base 60, "190:20:30", which old readers would take
/// for a float.
bool IsSexagesimal(absl::string_view text) {
  if (!absl::ConsumePrefix(&text, "-")) absl::ConsumePrefix(&text, "+");
  const std::size_t colon = text.find(':');
  if (colon == 0 || colon == absl::string_view::npos || !IsDigit(text[0])) {
    return false;
  }
  if (text.substr(0, colon).find_first_not_of("0123456789_") !=
      absl::string_view::npos) {
    return false;
  }
  absl::string_view rest = text.substr(colon);
  while (absl::ConsumePrefix(&rest, ":")) {
    const std::size_t n = CountDigits(rest);
    if (n == 0 || n > 2 || (n == 2 && rest[0] > '5')) return false;
    rest.remove_prefix(n);
  }
  if (absl::ConsumePrefix(&rest, ".")) {
    return rest.find_first_not_of("0123456789_") == absl::string_view::npos;
  }
  return rest.empty();
}

/// A date, or a date with a time.
bool IsTimestamp(absl::string_view text) {
  if (CountDigits(text) != 4 || text.size() < 8 || text[4] != '-') {
    return false;
  }
  text.remove_prefix(5);
  const std::size_t month = CountDigits(text);
  if (month < 1 || month > 2) return false;
  text.remove_prefix(month);
  if (!absl::ConsumePrefix(&text, "-")) return false;
  const std::size_t day = CountDigits(text);
  if (day < 1 || day > 2) return false;
  text.remove_prefix(day);
  return text.empty() ||
         ((text[0] == 'T' || text[0] == 't' || text[0] == ' ') &&
          text.size() > 5 && IsDigit(text[1]));
}

bool ReadsAsText(absl::string_view text) {
  if (IsWord(text)) return false;
  const char first = text[0];
  if (!IsDigit(first) && first != '+' && first != '-' && first != '.') {
    return true;
  }
  const std::string bare = absl::StrReplaceAll(text, {{"_", ""}});
  return !IsWholeNumber(bare) && !IsDecimalFloat(bare) &&
         !IsSexagesimal(text) && !IsTimestamp(text);
}

/// Bytes of the UTF-8 character that `lead` begins.
std::size_t Width(char lead) {
  const auto c = static_cast<unsigned char>(lead);
  if (c < 0x80) return 1;
  if (c < 0xe0) return 2;
  return c < 0xf0 ? 3 : 4;
}

bool IsPrintable(absl::string_view c) {
  const auto b0 = static_cast<unsigned char>(c[0]);
  if (c.size() == 1) return b0 == '\n' || (b0 >= 0x20 && b0 <= 0x7e);
  const auto b1 = static_cast<unsigned char>(c[1]);
  if (c.size() == 2) return b0 > 0xc2 || b1 >= 0xa0;
  if (c.size() == 4) return false;
  if (c == "\xEF\xBB\xBF" || c == "\xEF\xBF\xBE" || c == "\xEF\xBF\xBF") {
    return false;
  }
  return true;
}

struct Allowed {
  bool plain = true;
  bool single_quoted = true;
  bool block = true;
};

bool IsBlankOrEnd(absl::string_view text, std::size_t i) {
  return i >= text.size() || text[i] == ' ' || text[i] == '\t' ||
         text[i] == '\n' || text[i] == '\r';
}

/// Whether the character at `i` has a meaning of its own in block context.
bool IsIndicator(absl::string_view text, std::size_t i) {
  const char c = text[i];
  const bool blank_follows = IsBlankOrEnd(text, i + 1);
  if (i == 0) {
    if (absl::StrContains("#,[]{}&*!|>'\"%@`", absl::string_view(&c, 1))) {
      return true;
    }
    return (c == '?' || c == ':' || c == '-') && blank_follows;
  }
  return (c == ':' && blank_follows) || (c == '#' && IsBlankOrEnd(text, i - 1));
}

Allowed Analyze(absl::string_view text) {
  Allowed allowed;
  if (absl::StartsWith(text, "---") || absl::StartsWith(text, "...")) {
    allowed.plain = false;
  }
  for (std::size_t i = 0; i < text.size(); i += Width(text[i])) {
    if (IsIndicator(text, i)) allowed.plain = false;
    const char c = text[i];
    if (c == '\n') {
      allowed.plain = false;
      if (i > 0 && text[i - 1] == ' ') return {false, false, false};
      if (i + 1 < text.size() && text[i + 1] == ' ') {
        allowed.single_quoted = false;
      }
    }
    if (!IsPrintable(text.substr(i, Width(c)))) return {false, false, false};
  }
  if (text.empty()) return allowed;
  if (text.front() == ' ' || text.back() == ' ') allowed.plain = false;
  if (text.back() == ' ') allowed.block = false;
  return allowed;
}

std::size_t Column(const std::string& out) {
  const std::size_t newline = out.rfind('\n');
  std::size_t column = 0;
  for (std::size_t i = newline == std::string::npos ? 0 : newline + 1;
       i < out.size(); i += Width(out[i])) {
    ++column;
  }
  return column;
}

void Break(int indent, std::string* out) {
  out->push_back('\n');
  out->append(static_cast<std::size_t>(indent), ' ');
}

/// Plain and single-quoted text: blanks beyond the width become line breaks.
void AppendFolded(absl::string_view text, int indent, bool is_key, bool quoted,
                  std::string* out) {
  std::size_t column = Column(*out) + (quoted ? 1 : 0);
  if (quoted) out->push_back('\'');
  bool blanks = false;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t width = Width(text[i]);
    if (text[i] == ' ') {
      const bool single = i + 1 >= text.size() || text[i + 1] != ' ';
      const bool inside = i > 0 && i + 1 < text.size();
      if (!is_key && !blanks && column > kWidth && single &&
          (inside || !quoted)) {
        Break(indent, out);
        column = static_cast<std::size_t>(indent);
      } else {
        out->push_back(' ');
        ++column;
      }
      blanks = true;
    } else {
      if (quoted && text[i] == '\'') out->push_back('\'');
      out->append(text.data() + i, width);
      ++column;
      blanks = false;
    }
    i += width;
  }
  if (quoted) out->push_back('\'');
}

std::uint32_t CodePoint(absl::string_view c) {
  auto bits = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(c[i]) & 0x3f);
  };
  const auto lead = static_cast<unsigned char>(c[0]);
  switch (c.size()) {
    case 1:
      return lead;
    case 2:
      return ((lead & 0x1fu) << 6) | bits(1);
    case 3:
      return ((lead & 0x0fu) << 12) | (bits(1) << 6) | bits(2);
    default:
      return ((lead & 0x07u) << 18) | (bits(1) << 12) | (bits(2) << 6) |
             bits(3);
  }
}

std::string Escape(std::uint32_t point) {
  switch (point) {
    case 0x00:
      return "\\0";
    case 0x07:
      return "\\a";
    case 0x08:
      return "\\b";
    case 0x09:
      return "\\t";
    case 0x0a:
      return "\\n";
    case 0x0b:
      return "\\v";
    case 0x0c:
      return "\\f";
    case 0x0d:
      return "\\r";
    case 0x1b:
      return "\\e";
    case 0x22:
      return "\\\"";
    case 0x5c:
      return "\\\\";
    case 0x85:
      return "\\N";
    case 0xa0:
      return "\\_";
    case 0x2028:
      return "\\L";
    case 0x2029:
      return "\\P";
    default:
      break;
  }
  if (point <= 0xff) return absl::StrFormat("\\x%02X", point);
  if (point <= 0xffff) return absl::StrFormat("\\u%04X", point);
  return absl::StrFormat("\\U%08X", point);
}

void AppendDoubleQuoted(absl::string_view text, int indent, bool is_key,
                        std::string* out) {
  std::size_t column = Column(*out) + 1;
  out->push_back('"');
  bool blanks = false;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t width = Width(text[i]);
    const absl::string_view c = text.substr(i, width);
    if (!IsPrintable(c) || c == "\n" || c == "\"" || c == "\\") {
      const std::string escaped = Escape(CodePoint(c));
      out->append(escaped);
      column += escaped.size();
      blanks = false;
    } else if (c == " " && !is_key && !blanks && column > kWidth && i > 0 &&
               i + 1 < text.size()) {
      Break(indent, out);
      column = static_cast<std::size_t>(indent);
      if (text[i + 1] == ' ') out->push_back('\\');
      blanks = true;
    } else {
      out->append(c.data(), c.size());
      ++column;
      blanks = c == " ";
    }
    i += width;
  }
  out->push_back('"');
}

void AppendLiteral(absl::string_view text, int indent, std::string* out) {
  out->push_back('|');
  if (text[0] == ' ' || text[0] == '\n') out->push_back('2');
  if (text.back() != '\n') {
    out->push_back('-');
  } else if (text.size() == 1 || text[text.size() - 2] == '\n') {
    out->push_back('+');
  }
  if (text.back() == '\n') text.remove_suffix(1);
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    out->push_back('\n');
    if (line.empty()) continue;
    out->append(static_cast<std::size_t>(indent), ' ');
    out->append(line.data(), line.size());
  }
}

}  // namespace

void AppendScalar(absl::string_view text, int indent, bool is_key,
                  std::string* out) {
  if (!base::IsValidUtf8(text)) {
    absl::StrAppend(out, "!!binary ", absl::Base64Escape(text));
    return;
  }
  const Allowed allowed = Analyze(text);
  const bool many_lines = absl::StrContains(text, "\n");
  if (many_lines && allowed.block && !is_key) {
    AppendLiteral(text, indent, out);
  } else if (many_lines || !allowed.single_quoted || !ReadsAsText(text)) {
    AppendDoubleQuoted(text, indent, is_key, out);
  } else {
    AppendFolded(text, indent, is_key, !allowed.plain, out);
  }
}

void AppendFlowScalar(absl::string_view text, std::string* out) {
  if (text.find_first_of(",:?[]{}") == absl::string_view::npos ||
      !Analyze(text).plain) {
    AppendScalar(text, 0, true, out);
  } else {
    AppendFolded(text, 0, true, /*quoted=*/true, out);
  }
}

}  // namespace narthex::yaml::internal
