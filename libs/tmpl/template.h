#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/tmpl/value.h"

namespace narthex::tmpl {

/// What `.key` gives on a map that lacks the key.
enum class MissingKey {
  kDefault,  ///< Nil, printed as "<no value>".
  kZero,     ///< The zero value of the map's elements: "" for labels.
  kError,    ///< The template fails.
};

struct ExecuteOptions {
  /// Escape values for the place in HTML where they are written.
  bool html = false;
  MissingKey missing_key = MissingKey::kDefault;
  /// Functions for this execution alone; they win over those of the set.
  const FuncMap* functions = nullptr;
};

namespace internal {
struct Tree;
}

/// Named templates in Go's template language that can call each other.
/// Execution is const and thread-safe; Parse() is not. Copies are cheap.
class TemplateSet {
 public:
  /// `functions` are known besides those built into the language.
  explicit TemplateSet(FuncMap functions);

  /// Adds the template `name` and those it defines; one that exists already
  /// is replaced, unless the new one is nothing but space. kInvalidArgument as
  /// "template: NAME:LINE: reason".
  absl::Status Parse(absl::string_view name, absl::string_view text);

  bool Has(absl::string_view name) const;

  /// Runs the template `name` on `data` (the dot). kInvalidArgument as
  /// "template: NAME:LINE:COLUMN: executing "NAME" at <EXPRESSION>: reason".
  absl::StatusOr<std::string> Execute(absl::string_view name, const Value& data,
                                      const ExecuteOptions& options = {}) const;

  /// Parses and runs `text`, which may call the templates of the set and
  /// define its own; the set stays as it is.
  absl::StatusOr<std::string> ExecuteText(
      absl::string_view name, absl::string_view text, const Value& data,
      const ExecuteOptions& options = {}) const;

 private:
  using Trees =
      std::map<std::string, std::shared_ptr<const internal::Tree>, std::less<>>;

  std::shared_ptr<const FuncMap> functions_;
  Trees trees_;
};

}  // namespace narthex::tmpl
