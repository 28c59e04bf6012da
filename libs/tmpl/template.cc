#include "libs/tmpl/template.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/tmpl/internal/ast.h"
#include "libs/tmpl/internal/executor.h"
#include "libs/tmpl/internal/parser.h"

namespace narthex::tmpl {

using internal::Tree;

TemplateSet::TemplateSet(FuncMap functions)
    : functions_(std::make_shared<const FuncMap>(std::move(functions))) {}

absl::Status TemplateSet::Parse(absl::string_view name,
                                absl::string_view text) {
  NARTHEX_ASSIGN_OR_RETURN(std::vector<Tree> parsed,
                           internal::Parse(name, text, *functions_));
  for (Tree& tree : parsed) {
    auto it = trees_.find(tree.name);
    // A file that only defines templates must not empty one of its own name.
    if (it != trees_.end() && tree.IsEmpty()) continue;
    std::string key = tree.name;
    trees_.insert_or_assign(std::move(key),
                            std::make_shared<const Tree>(std::move(tree)));
  }
  return absl::OkStatus();
}

bool TemplateSet::Has(absl::string_view name) const {
  return trees_.find(name) != trees_.end();
}

absl::StatusOr<std::string> TemplateSet::Execute(
    absl::string_view name, const Value& data,
    const ExecuteOptions& options) const {
  const auto find = [this](absl::string_view wanted) -> const Tree* {
    const auto it = trees_.find(wanted);
    return it == trees_.end() ? nullptr : it->second.get();
  };
  const Tree* tree = find(name);
  if (tree == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("template: no template ", base::Quote(name)));
  }
  return internal::Execute(*tree, find, *functions_, data, options);
}

absl::StatusOr<std::string> TemplateSet::ExecuteText(
    absl::string_view name, absl::string_view text, const Value& data,
    const ExecuteOptions& options) const {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<Tree> parsed,
                           internal::Parse(name, text, *functions_));
  const auto find = [&](absl::string_view wanted) -> const Tree* {
    for (const Tree& tree : parsed) {
      if (tree.name == wanted && !(tree.IsEmpty() && Has(wanted))) {
        return &tree;
      }
    }
    const auto it = trees_.find(wanted);
    return it == trees_.end() ? nullptr : it->second.get();
  };
  return internal::Execute(parsed[0], find, *functions_, data, options);
}

}  // namespace narthex::tmpl
