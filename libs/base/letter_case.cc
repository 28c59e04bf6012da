#include "libs/base/letter_case.h"

#include <locale.h>
#include <wctype.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/strings/ascii.h"

namespace narthex::base {
namespace {

bool IsAscii(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isascii(static_cast<unsigned char>(c));
  });
}

/// Reads one character; invalid bytes stand for themselves.
std::uint32_t Next(const std::string& text, std::size_t* i, bool* valid) {
  auto byte = [&](std::size_t k) {
    return k < text.size() ? static_cast<unsigned char>(text[k]) : 0u;
  };
  const std::uint32_t lead = byte(*i);
  const std::size_t size = lead < 0x80   ? 1
                           : lead < 0xe0 ? 2
                           : lead < 0xf0 ? 3
                                         : 4;
  std::uint32_t point = size == 1 ? lead : lead & (0x7fu >> size);
  *valid = lead < 0x80 || lead >= 0xc2;
  for (std::size_t k = 1; k < size && *valid; ++k) {
    *valid = (byte(*i + k) & 0xc0u) == 0x80u;
    point = point << 6 | (byte(*i + k) & 0x3fu);
  }
  *i += *valid ? size : 1;
  return *valid ? point : lead;
}

void Append(std::uint32_t point, std::string* out) {
  auto put = [&](std::uint32_t byte) {
    out->push_back(static_cast<char>(byte));
  };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xc0u | point >> 6);
    put(0x80u | (point & 0x3fu));
  } else if (point < 0x10000) {
    put(0xe0u | point >> 12);
    put(0x80u | (point >> 6 & 0x3fu));
    put(0x80u | (point & 0x3fu));
  } else {
    put(0xf0u | point >> 18);
    put(0x80u | (point >> 12 & 0x3fu));
    put(0x80u | (point >> 6 & 0x3fu));
    put(0x80u | (point & 0x3fu));
  }
}

template <typename Mapping>
std::string Map(const std::string& text, Mapping mapping) {
  // The C locale knows ASCII letters only; C.UTF-8 is part of glibc.
  static const locale_t locale =
      newlocale(LC_CTYPE_MASK, "C.UTF-8", locale_t{});
  if (locale == locale_t{}) return text;
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    bool valid = true;
    const std::uint32_t point = Next(text, &i, &valid);
    if (valid) {
      Append(static_cast<std::uint32_t>(mapping(point, locale)), &out);
    } else {
      out.push_back(static_cast<char>(point));
    }
  }
  return out;
}

}  // namespace

std::string ToLower(std::string text) {
  if (IsAscii(text)) {
    absl::AsciiStrToLower(&text);
    return text;
  }
  return Map(text, towlower_l);
}

std::string ToUpper(std::string text) {
  if (IsAscii(text)) {
    absl::AsciiStrToUpper(&text);
    return text;
  }
  return Map(text, towupper_l);
}

}  // namespace narthex::base
