#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/promql/engine.h"
#include "libs/promql/script_load.h"
#include "libs/promql/series_description.h"
#include "libs/promql/step_grid.h"
#include "libs/storage/memory_storage.h"

/// Runs Prometheus's test scripts for PromQL: load series, evaluate, compare.
/// For tests only.
namespace narthex::promql {

/// An expectation on an annotation or an error: any, this text, or a pattern.
struct TextExpectation {
  enum class Kind { kAny, kEqual, kPattern };
  Kind kind = Kind::kAny;
  std::string text;

  bool Matches(absl::string_view actual) const;
};

/// An `eval` block.
struct EvalCommand {
  std::size_t line = 0;
  std::string query;
  bool is_range = false;
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 0;
  std::int64_t step_ms = 0;

  bool ordered = false;
  bool fails = false;
  bool no_warn = false;
  bool no_info = false;
  std::optional<TextExpectation> failure;
  std::vector<TextExpectation> warnings;
  std::vector<TextExpectation> infos;
  std::optional<double> scalar;
  std::optional<std::string> text;
  /// Of an instant query that gives a range vector: where its values lie.
  std::optional<StepGrid> matrix_grid;
  std::vector<SeriesDescription> series;
};

/// How a script went.
struct ScriptReport {
  int passed = 0;
  int failed = 0;
  std::vector<std::string> failures;
};

class Script {
 public:
  /// kInvalidArgument, naming the line, when the text is no script.
  static absl::StatusOr<Script> Parse(absl::string_view text);

  /// Runs it with a storage of its own, or with the given one.
  ScriptReport Run(Engine& engine) const;
  ScriptReport Run(Engine& engine, ScriptStorage& storage) const;

 private:
  struct Command {
    enum class Kind { kClear, kLoad, kEval };
    Kind kind = Kind::kClear;
    LoadCommand load;
    std::size_t line = 0;
    EvalCommand eval;
  };
  friend class ScriptParser;

  std::vector<Command> commands_;
};

/// Evaluates one command in all its forms; an empty text when each gives what
/// is expected, otherwise what differs.
std::string CheckEval(Engine& engine, storage::Queryable& storage,
                      const EvalCommand& eval);

}  // namespace narthex::promql
