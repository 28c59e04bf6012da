#include "libs/base/quote.h"

#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/utf8.h"

namespace narthex::base {
namespace {

// Length of the valid UTF-8 sequence at the front of `text`, 0 when invalid;
// its code point in `*rune`.
std::size_t DecodeRune(absl::string_view text, std::uint32_t* rune) {
  const auto byte = [text](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i]));
  };
  const std::uint32_t first = byte(0);
  if (first < 0x80) {
    *rune = first;
    return 1;
  }
  std::size_t length = 0;
  std::uint32_t smallest = 0;
  if (first >= 0xc2 && first < 0xe0) {
    length = 2, smallest = 0x80, *rune = first & 0x1f;
  } else if (first >= 0xe0 && first < 0xf0) {
    length = 3, smallest = 0x800, *rune = first & 0x0f;
  } else if (first >= 0xf0 && first < 0xf5) {
    length = 4, smallest = 0x10000, *rune = first & 0x07;
  } else {
    return 0;
  }
  if (text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    *rune = (*rune << 6) | (byte(i) & 0x3f);
  }
  const bool surrogate = *rune >= 0xd800 && *rune < 0xe000;
  if (*rune < smallest || *rune > 0x10ffff || surrogate) return 0;
  return length;
}

char ShortEscape(std::uint32_t rune) {
  switch (rune) {
    case '\a':
      return 'a';
    case '\b':
      return 'b';
    case '\f':
      return 'f';
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    case '\v':
      return 'v';
    case '\\':
      return '\\';
    case '"':
      return '"';
    default:
      return 0;
  }
}

// Whether Go escapes a character above ASCII: spaces other than the plain one,
// what has no glyph, and what stands for nothing.
bool IsUnprintable(std::uint32_t rune) {
  struct Range {
    std::uint32_t first;
    std::uint32_t last;
  };
  constexpr Range kRanges[] = {
      {0x80, 0xa0},     {0xad, 0xad},     {0x1680, 0x1680},
      {0x2000, 0x200f}, {0x2028, 0x202f}, {0x205f, 0x206f},
      {0x3000, 0x3000}, {0xe000, 0xf8ff}, {0xfeff, 0xfeff},
      {0xfff0, 0xfffb}, {0xfffe, 0xffff}, {0xe0000, 0x10ffff}};
  for (const Range& range : kRanges) {
    if (rune >= range.first && rune <= range.last) return true;
  }
  return false;
}

// Reads the `digits` characters of a numeric escape in `base`.
bool TakeNumber(absl::string_view* rest, std::size_t digits, int base,
                std::uint32_t* value) {
  if (rest->size() < digits) return false;
  *value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    const char c = absl::ascii_tolower((*rest)[i]);
    int digit = -1;
    if (c >= '0' && c <= '9') digit = c - '0';
    if (c >= 'a' && c <= 'f') digit = c - 'a' + 10;
    if (digit < 0 || digit >= base) return false;
    *value = *value * static_cast<std::uint32_t>(base) +
             static_cast<std::uint32_t>(digit);
  }
  rest->remove_prefix(digits);
  return true;
}

// Decodes one escape; `*rest` stands behind the backslash.
bool TakeEscape(absl::string_view* rest, char quote, std::string* out) {
  if (rest->empty()) return false;
  const char c = rest->front();
  rest->remove_prefix(1);
  std::uint32_t value = 0;
  switch (c) {
    case 'a':
      out->push_back('\a');
      return true;
    case 'b':
      out->push_back('\b');
      return true;
    case 'f':
      out->push_back('\f');
      return true;
    case 'n':
      out->push_back('\n');
      return true;
    case 'r':
      out->push_back('\r');
      return true;
    case 't':
      out->push_back('\t');
      return true;
    case 'v':
      out->push_back('\v');
      return true;
    case '\\':
      out->push_back('\\');
      return true;
    case '\'':
    case '"':
      if (c != quote) return false;
      out->push_back(c);
      return true;
    case 'x':
      if (!TakeNumber(rest, 2, 16, &value)) return false;
      out->push_back(static_cast<char>(value));
      return true;
    case 'u':
    case 'U':
      if (!TakeNumber(rest, c == 'u' ? 4 : 8, 16, &value)) return false;
      if (value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return false;
      AppendUtf8(value, out);
      return true;
    default:
      if (c < '0' || c > '7') return false;
      *rest = absl::string_view(rest->data() - 1, rest->size() + 1);
      if (!TakeNumber(rest, 3, 8, &value) || value > 255) return false;
      out->push_back(static_cast<char>(value));
      return true;
  }
}

}  // namespace

std::string Quote(absl::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    std::uint32_t rune = 0;
    const std::size_t length = DecodeRune(text, &rune);
    if (length == 0) {
      absl::StrAppendFormat(&out, "\\x%02x",
                            static_cast<unsigned char>(text[0]));
      text.remove_prefix(1);
      continue;
    }
    if (const char escape = ShortEscape(rune); escape != 0) {
      out += '\\';
      out += escape;
    } else if (rune < 0x20 || rune == 0x7f) {
      absl::StrAppendFormat(&out, "\\x%02x", rune);
    } else if (IsUnprintable(rune)) {
      if (rune < 0x10000) {
        absl::StrAppendFormat(&out, "\\u%04x", rune);
      } else {
        absl::StrAppendFormat(&out, "\\U%08x", rune);
      }
    } else {
      absl::StrAppend(&out, text.substr(0, length));
    }
    text.remove_prefix(length);
  }
  out += '"';
  return out;
}

absl::StatusOr<std::string> Unquote(absl::string_view quoted) {
  const auto malformed = [quoted] {
    return absl::InvalidArgumentError(
        absl::StrCat("invalid quoted string: ", quoted));
  };
  if (quoted.size() < 2 || quoted.front() != quoted.back()) return malformed();
  const char quote = quoted.front();
  absl::string_view rest = quoted.substr(1, quoted.size() - 2);
  if (quote == '`') {
    if (absl::StrContains(rest, '`')) return malformed();
    return std::string(rest);
  }
  if (quote != '"' && quote != '\'') return malformed();
  std::string out;
  while (!rest.empty()) {
    const char c = rest.front();
    rest.remove_prefix(1);
    if (c == quote || c == '\n') return malformed();
    if (c != '\\') {
      out.push_back(c);
    } else if (!TakeEscape(&rest, quote, &out)) {
      return malformed();
    }
  }
  return out;
}

bool IsValidUtf8(absl::string_view text) {
  while (!text.empty()) {
    std::uint32_t rune = 0;
    const std::size_t length = DecodeRune(text, &rune);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace narthex::base
