#include "libs/base/url_query.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"

namespace narthex::base {

std::string EscapeUrlQuery(absl::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || c == '-' || c == '_' || c == '.' ||
        c == '~') {
      out += c;
    } else if (c == ' ') {
      out += '+';
    } else {
      absl::StrAppendFormat(&out, "%%%02X", byte);
    }
  }
  return out;
}

}  // namespace narthex::base
