#include "libs/promql/internal/rune.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/quote.h"

namespace narthex::promql::internal {
namespace {

std::string Encode(std::int32_t rune) {
  const auto byte = [](std::int32_t value) { return static_cast<char>(value); };
  if (rune < 0x80) return std::string(1, byte(rune));
  if (rune < 0x800) {
    return {byte(0xc0 | (rune >> 6)), byte(0x80 | (rune & 0x3f))};
  }
  if (rune < 0x10000) {
    return {byte(0xe0 | (rune >> 12)), byte(0x80 | ((rune >> 6) & 0x3f)),
            byte(0x80 | (rune & 0x3f))};
  }
  return {byte(0xf0 | (rune >> 18)), byte(0x80 | ((rune >> 12) & 0x3f)),
          byte(0x80 | ((rune >> 6) & 0x3f)), byte(0x80 | (rune & 0x3f))};
}

}  // namespace

std::int32_t DecodeRune(absl::string_view text, std::size_t* width) {
  std::size_t unused = 0;
  std::size_t& length = width == nullptr ? unused : *width;
  length = 0;
  if (text.empty()) return -1;
  const auto first = static_cast<unsigned char>(text[0]);
  length = 1;
  if (first < 0x80) return first;
  const std::size_t wanted = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || text.size() < wanted ||
      !base::IsValidUtf8(text.substr(0, wanted))) {
    return kInvalidRune;
  }
  std::int32_t rune = first & (0xff >> (wanted + 1));
  for (std::size_t i = 1; i < wanted; ++i) {
    rune = (rune << 6) | (static_cast<unsigned char>(text[i]) & 0x3f);
  }
  length = wanted;
  return rune;
}

absl::string_view FirstRunes(absl::string_view text, int count) {
  std::size_t end = 0;
  for (int i = 0; i < count && end < text.size(); ++i) {
    std::size_t width = 1;
    DecodeRune(text.substr(end), &width);
    end += width;
  }
  return text.substr(0, end);
}

std::string QuoteRune(std::int32_t rune) {
  if (rune == '\'') return "'\\''";
  if (rune == '"') return "'\"'";
  const std::string quoted =
      base::Quote(Encode(rune < 0 ? kInvalidRune : rune));
  return absl::StrCat("'", quoted.substr(1, quoted.size() - 2), "'");
}

std::string DescribeRune(std::int32_t rune) {
  return absl::StrFormat("U+%04X '%s'", rune, Encode(rune));
}

std::int32_t HexDigit(std::int32_t rune) {
  if (rune >= '0' && rune <= '9') return rune - '0';
  if (rune >= 'a' && rune <= 'f') return rune - 'a' + 10;
  if (rune >= 'A' && rune <= 'F') return rune - 'A' + 10;
  return 16;
}

}  // namespace narthex::promql::internal
