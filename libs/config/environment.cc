#include "libs/config/environment.h"

#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace narthex::config {
namespace {

bool IsNameCharacter(char c) {
  return c == '_' || absl::ascii_isalnum(static_cast<unsigned char>(c));
}

/// The name of a variable at the front of `text` and the bytes it takes, for
/// text that follows a dollar sign. As Go's os.Expand: special characters and
/// digits are names of one character; no bytes and no name is a lone dollar.
std::string TakeName(absl::string_view text, std::size_t* size) {
  *size = 0;
  if (text.empty()) return "";
  if (text[0] == '{') {
    const std::size_t close = text.find('}');
    if (close == absl::string_view::npos) {
      *size = 1;  // Bad syntax; the brace is eaten.
      return "";
    }
    *size = close + 1;
    return std::string(text.substr(1, close - 1));
  }
  if (absl::string_view("*#$@!?-0123456789").find(text[0]) !=
      absl::string_view::npos) {
    *size = 1;
    return std::string(1, text[0]);
  }
  while (*size < text.size() && IsNameCharacter(text[*size])) ++*size;
  return std::string(text.substr(0, *size));
}

}  // namespace

std::string ExpandEnvironment(absl::string_view text,
                              std::vector<std::string>* empty) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 == text.size()) {
      out.push_back(text[i]);
      continue;
    }
    std::size_t size = 0;
    const std::string name = TakeName(text.substr(i + 1), &size);
    i += size;
    if (name == "$") {
      out.push_back('$');
    } else if (name.empty()) {
      // A dollar that begins no name stays; bad syntax disappears.
      if (size == 0) out.push_back('$');
    } else {
      const char* value = std::getenv(name.c_str());
      if (value == nullptr || *value == '\0') {
        empty->push_back(name);
      } else {
        absl::StrAppend(&out, value);
      }
    }
  }
  return out;
}

}  // namespace narthex::config
