#include "libs/model/name_escaping.h"

#include <cstdint>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "libs/base/quote.h"
#include "libs/base/utf8.h"

namespace narthex::model {

std::string UnescapeName(absl::string_view name) {
  absl::string_view rest = name;
  if (!absl::ConsumePrefix(&rest, "U__")) return std::string(name);
  std::string out;
  while (!rest.empty()) {
    if (!absl::ConsumePrefix(&rest, "_")) {
      out.push_back(rest.front());
      rest.remove_prefix(1);
      continue;
    }
    if (absl::ConsumePrefix(&rest, "_")) {
      out.push_back('_');
      continue;
    }
    const auto end = rest.find('_');
    std::uint32_t code = 0;
    if (end == absl::string_view::npos || end == 0 || end > 6 ||
        !absl::SimpleHexAtoi(rest.substr(0, end), &code) || code > 0x10ffff ||
        (code >= 0xd800 && code < 0xe000)) {
      return std::string(name);
    }
    base::AppendUtf8(code, &out);
    rest.remove_prefix(end + 1);
  }
  return base::IsValidUtf8(out) ? out : std::string(name);
}

}  // namespace narthex::model
