#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace narthex::promql::internal {

/// U+FFFD, what an invalid byte reads as.
inline constexpr std::int32_t kInvalidRune = 0xfffd;

/// The code point at the front of `text` and its length in bytes; -1 at the
/// end of the text.
std::int32_t DecodeRune(absl::string_view text, std::size_t* width = nullptr);

/// The first `count` code points of `text`.
absl::string_view FirstRunes(absl::string_view text, int count);

/// In single quotes with Go escapes: 'x', '\n'.
std::string QuoteRune(std::int32_t rune);

/// U+0078 'x'
std::string DescribeRune(std::int32_t rune);

/// Value of a hexadecimal digit, 16 when it is none.
std::int32_t HexDigit(std::int32_t rune);

/// Of ASCII, and the underscore.
inline bool IsAlpha(std::int32_t rune) {
  return rune == '_' || (rune >= 'a' && rune <= 'z') ||
         (rune >= 'A' && rune <= 'Z');
}
inline bool IsDigit(std::int32_t rune) { return rune >= '0' && rune <= '9'; }
inline bool IsAlphaNumeric(std::int32_t rune) {
  return IsAlpha(rune) || IsDigit(rune);
}

}  // namespace narthex::promql::internal
