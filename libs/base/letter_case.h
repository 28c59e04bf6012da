#pragma once

#include <string>

namespace narthex::base {

/// UTF-8 text with every letter mapped on its own, whatever the locale.
std::string ToLower(std::string text);
std::string ToUpper(std::string text);

}  // namespace narthex::base
