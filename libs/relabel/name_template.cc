#include "libs/relabel/name_template.h"

#include "absl/strings/ascii.h"

namespace narthex::relabel {
namespace {

bool IsWordCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
}

std::size_t WordLength(absl::string_view text) {
  std::size_t n = 0;
  while (n < text.size() && IsWordCharacter(text[n])) ++n;
  return n;
}

/// Bytes of the reference ("$1", "${name}") at the front of `text`, which
/// begins with a dollar sign; 0 when it is malformed.
std::size_t ReferenceLength(absl::string_view text) {
  const bool braces = text.size() > 1 && text[1] == '{';
  const std::size_t start = braces ? 2 : 1;
  const std::size_t word = WordLength(text.substr(start));
  if (word == 0) return 0;
  if (!braces) return start + word;
  const std::size_t end = start + word;
  return end < text.size() && text[end] == '}' ? end + 1 : 0;
}

/// Name characters and references only; a digit cannot come first.
bool IsLegacyTemplate(absl::string_view text) {
  if (text.empty() || absl::ascii_isdigit(static_cast<unsigned char>(text[0])))
    return false;
  while (!text.empty()) {
    const std::size_t n = text[0] == '$' ? ReferenceLength(text)
                                         : (IsWordCharacter(text[0]) ? 1u : 0u);
    if (n == 0) return false;
    text.remove_prefix(n);
  }
  return true;
}

}  // namespace

bool IsValidNameTemplate(absl::string_view text, NameValidation validation) {
  return validation == NameValidation::kUtf8 ? model::IsUtf8Name(text)
                                             : IsLegacyTemplate(text);
}

}  // namespace narthex::relabel
