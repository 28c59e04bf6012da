#pragma once

#include <cstdint>
#include <string>

namespace narthex::base {

/// Appends a code point; U+FFFD for what is none (surrogates, above 0x10ffff).
void AppendUtf8(std::uint32_t code_point, std::string* out);

}  // namespace narthex::base
