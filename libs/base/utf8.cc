#include "libs/base/utf8.h"

namespace narthex::base {

void AppendUtf8(std::uint32_t code_point, std::string* out) {
  const auto put = [out](std::uint32_t byte) {
    out->push_back(static_cast<char>(byte));
  };
  const bool surrogate = code_point >= 0xd800 && code_point < 0xe000;
  if (surrogate || code_point > 0x10ffff) code_point = 0xfffd;
  if (code_point < 0x80) {
    put(code_point);
    return;
  }
  if (code_point < 0x800) {
    put(0xc0 | (code_point >> 6));
  } else {
    if (code_point < 0x10000) {
      put(0xe0 | (code_point >> 12));
    } else {
      put(0xf0 | (code_point >> 18));
      put(0x80 | ((code_point >> 12) & 0x3f));
    }
    put(0x80 | ((code_point >> 6) & 0x3f));
  }
  put(0x80 | (code_point & 0x3f));
}

}  // namespace narthex::base
