#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/promql/internal/lexer.h"
#include "libs/promql/internal/rune.h"

/// How strings, numbers and durations end.
namespace narthex::promql::internal {
namespace {

constexpr absl::string_view kDigits = "0123456789";
constexpr absl::string_view kHexDigits = "0123456789abcdefABCDEF";

}  // namespace

Token Lexer::LexString() {
  const char quote = text_[start_];
  while (true) {
    if (pos_ >= text_.size() || text_[pos_] == '\n') {
      return Error("unterminated quoted string");
    }
    std::size_t width = 1;
    const std::int32_t rune = PeekRune(&width);
    pos_ += width;
    if (rune == kInvalidRune) return Error("invalid UTF-8 rune");
    if (rune == quote) return Emit(TokenType::kString);
    if (rune != '\\') continue;
    std::string error;
    if (!SkipEscape(quote, &error)) return Error(std::move(error));
  }
}

bool Lexer::SkipEscape(char quote, std::string* error) {
  *error = "escape sequence not terminated";
  if (pos_ >= text_.size()) return false;
  std::size_t width = 1;
  const std::int32_t kind = PeekRune(&width);
  if (kind == quote ||
      (kind < 0x80 && absl::StrContains("abfnrtv\\", char(kind)))) {
    ++pos_;
    return true;
  }
  int digits = 3;
  std::int32_t base = 8;
  std::uint32_t largest = 255;
  if (kind == 'x') {
    digits = 2, base = 16;
  } else if (kind == 'u' || kind == 'U') {
    digits = kind == 'u' ? 4 : 8, base = 16, largest = 0x10ffff;
  } else if (kind < '0' || kind > '7') {
    *error = absl::StrCat("unknown escape sequence ", DescribeRune(kind));
    return false;
  }
  if (base == 16) ++pos_;
  std::uint32_t value = 0;
  for (int i = 0; i < digits; ++i) {
    if (pos_ >= text_.size()) return false;
    const std::int32_t rune = PeekRune(&width);
    const std::int32_t digit = HexDigit(rune);
    if (digit >= base) {
      *error = absl::StrCat("illegal character ", DescribeRune(rune),
                            " in escape sequence");
      return false;
    }
    value = value * static_cast<std::uint32_t>(base) +
            static_cast<std::uint32_t>(digit);
    ++pos_;
  }
  if (value > largest || (value >= 0xd800 && value < 0xe000)) {
    *error = "escape sequence is an invalid Unicode code point";
    return false;
  }
  return true;
}

Token Lexer::LexRawString() {
  while (true) {
    if (pos_ >= text_.size()) return Error("unterminated raw string");
    std::size_t width = 1;
    const std::int32_t rune = PeekRune(&width);
    pos_ += width;
    if (rune == kInvalidRune) return Error("invalid UTF-8 rune");
    if (rune == '`') return Emit(TokenType::kString);
  }
}

Token Lexer::LexNumberOrDuration() {
  if (ScanNumber()) return Emit(TokenType::kNumber);
  if (ScanDurationRest()) return Emit(TokenType::kDuration);
  return Error(absl::StrCat("bad number or duration syntax: ",
                            base::Quote(text_.substr(start_, pos_ - start_))));
}

bool Lexer::ScanNumber() {
  absl::string_view digits = kDigits;
  if (Accept("0") && Accept("xX")) {
    Accept("_");
    digits = kHexDigits;
  }
  const bool hex = digits == kHexDigits;
  Accept(".");
  Accept(digits);
  bool got_dot = false;
  bool got_exponent = false;
  while (pos_ < text_.size()) {
    const char c = text_[pos_];
    if (absl::StrContains(digits, c) && !(hex && (c == 'e' || c == 'E'))) {
      AcceptRun(digits);
    } else if (c == '.') {
      ++pos_;
      if (got_dot || Accept("_.") || hex) return false;
      got_dot = true;
    } else if (c == 'e' || c == 'E') {
      ++pos_;
      if (got_exponent) return false;
      got_exponent = true;
      Accept("+-");
      if (Accept("._eE") || pos_ >= text_.size()) return false;
    } else if (c == '_') {
      ++pos_;
      if (Accept("._eE") || pos_ >= text_.size()) return false;
    } else {
      break;
    }
  }
  return !IsAlphaNumeric(PeekRune());
}

bool Lexer::ScanDurationRest() {
  // Wrong units like "hs" are found when the duration is parsed.
  if (!Accept("smhdwy")) return false;
  Accept("s");
  while (Accept(kDigits)) {
    AcceptRun(kDigits);
    if (!Accept("smhdw")) return false;
    Accept("s");
  }
  if (!IsAlphaNumeric(PeekRune())) return true;
  ++pos_;
  return false;
}

}  // namespace narthex::promql::internal
