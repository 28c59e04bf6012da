#include "libs/tmpl/internal/ast.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace narthex::tmpl::internal {

bool Tree::IsEmpty() const {
  return std::all_of(root.begin(), root.end(), [](const Statement& statement) {
    return statement.kind == Statement::Kind::kText &&
           absl::StripAsciiWhitespace(statement.text).empty();
  });
}

std::string LineOf(const Tree& tree, std::size_t position) {
  const absl::string_view before =
      absl::string_view(*tree.source).substr(0, position);
  const auto lines = std::count(before.begin(), before.end(), '\n');
  return absl::StrCat(tree.parse_name, ":", lines + 1);
}

std::string PlaceOf(const Tree& tree, std::size_t position) {
  const absl::string_view before =
      absl::string_view(*tree.source).substr(0, position);
  const std::size_t line_end = before.rfind('\n');
  const std::size_t column = line_end == absl::string_view::npos
                                 ? before.size()
                                 : before.size() - line_end;
  return absl::StrCat(LineOf(tree, position), ":", column);
}

}  // namespace narthex::tmpl::internal
