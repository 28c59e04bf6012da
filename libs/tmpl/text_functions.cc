#include "libs/tmpl/text_functions.h"

#include <cctype>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/letter_case.h"
#include "libs/base/status.h"
#include "libs/tmpl/humanize.h"
#include "re2/re2.h"

namespace narthex::tmpl {
namespace {

using Args = absl::Span<const Value>;

re2::StringPiece Piece(absl::string_view text) {
  return {text.data(), text.size()};
}

absl::Status CheckRegex(const re2::RE2& regex) {
  if (regex.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("error parsing regexp: ", regex.error()));
}

// The number of the group a replacement names; -1 when there is none.
int GroupOf(const re2::RE2& regex, absl::string_view name) {
  int number = -1;
  if (absl::SimpleAtoi(name, &number)) return number;
  const auto& groups = regex.NamedCapturingGroups();
  const auto it = groups.find(std::string(name));
  return it == groups.end() ? -1 : it->second;
}

// Appends `replacement` with $name and ${name} filled in.
void AppendExpanded(const re2::RE2& regex, absl::string_view replacement,
                    const std::vector<re2::StringPiece>& groups,
                    std::string* out) {
  for (std::size_t i = 0; i < replacement.size();) {
    const char c = replacement[i++];
    if (c != '$' || i >= replacement.size()) {
      *out += c;
      continue;
    }
    if (replacement[i] == '$') {
      *out += '$';
      ++i;
      continue;
    }
    const bool braces = replacement[i] == '{';
    std::size_t end = i + (braces ? 1 : 0);
    const std::size_t begin = end;
    while (end < replacement.size() &&
           (replacement[end] == '_' ||
            std::isalnum(static_cast<unsigned char>(replacement[end])) != 0)) {
      ++end;
    }
    if (end == begin ||
        (braces && (end >= replacement.size() || replacement[end] != '}'))) {
      *out += '$';
      continue;
    }
    const int group = GroupOf(regex, replacement.substr(begin, end - begin));
    if (group >= 0 && static_cast<std::size_t>(group) < groups.size()) {
      const re2::StringPiece& match = groups[static_cast<std::size_t>(group)];
      out->append(match.data(), match.size());
    }
    i = end + (braces ? 1 : 0);
  }
}

std::size_t RuneSize(absl::string_view text, std::size_t at) {
  std::size_t size = 1;
  while (at + size < text.size() &&
         (static_cast<unsigned char>(text[at + size]) & 0xC0) == 0x80) {
    ++size;
  }
  return size;
}

absl::StatusOr<Value> ReplaceAll(Args args) {
  const re2::RE2 regex(args[0].string_value(), re2::RE2::Quiet);
  NARTHEX_RETURN_IF_ERROR(CheckRegex(regex));
  const absl::string_view replacement = args[1].string_value();
  const absl::string_view text = args[2].string_value();
  std::vector<re2::StringPiece> groups(
      static_cast<std::size_t>(regex.NumberOfCapturingGroups()) + 1);
  std::string out;
  std::size_t at = 0;
  std::size_t copied = 0;
  while (at <= text.size() &&
         regex.Match(Piece(text), at, text.size(), re2::RE2::UNANCHORED,
                     groups.data(), static_cast<int>(groups.size()))) {
    const auto begin = static_cast<std::size_t>(groups[0].data() - text.data());
    const std::size_t size = groups[0].size();
    absl::StrAppend(&out, text.substr(copied, begin - copied));
    // An empty match right after another one does not count.
    if (size > 0 || begin > copied || copied == 0) {
      AppendExpanded(regex, replacement, groups, &out);
    }
    copied = begin + size;
    at = size > 0
             ? copied
             : copied + (copied < text.size() ? RuneSize(text, copied) : 1);
  }
  absl::StrAppend(&out, text.substr(copied));
  return Value::String(std::move(out));
}

absl::StatusOr<Value> Match(Args args) {
  const re2::RE2 regex(args[0].string_value(), re2::RE2::Quiet);
  NARTHEX_RETURN_IF_ERROR(CheckRegex(regex));
  return Value::Bool(
      re2::RE2::PartialMatch(Piece(args[1].string_value()), regex));
}

}  // namespace

std::string Title(absl::string_view text, bool lower_rest) {
  std::string out;
  bool begins = true;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t size = RuneSize(text, i);
    const std::string letter(text.substr(i, size));
    if (begins) {
      out += base::ToUpper(letter);
    } else {
      out += lower_rest ? base::ToLower(letter) : letter;
    }
    const char c = letter[0];
    const bool word = size > 1 ||
                      absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                      c == '_' || (lower_rest && c == '\'');
    begins = !word;
    i += size;
  }
  return out;
}

FuncMap TextFunctions() {
  return {
      {"toUpper",
       {"s",
        [](Args args) {
          return Value::String(base::ToUpper(args[0].string_value()));
        }}},
      {"toLower",
       {"s",
        [](Args args) {
          return Value::String(base::ToLower(args[0].string_value()));
        }}},
      {"match", {"ss", Match}},
      {"reReplaceAll", {"sss", ReplaceAll}},
      {"safeHtml",
       {"s",
        [](Args args) {
          return Value::String(args[0].string_value(), Safety::kHtml);
        }}},
      {"humanizeDuration",
       {"a",
        [](Args args) -> absl::StatusOr<Value> {
          NARTHEX_ASSIGN_OR_RETURN(const double v, ToNumber(args[0]));
          return Value::String(HumanizeDuration(v));
        }}},
  };
}

}  // namespace narthex::tmpl
