#include "libs/promql/internal/rune.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/quote.h"
#include "libs/base/utf8.h"

namespace narthex::promql::internal {
namespace {

std::string Encode(std::int32_t rune) {
  std::string encoded;
  base::AppendUtf8(static_cast<std::uint32_t>(rune), &encoded);
  return encoded;
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
