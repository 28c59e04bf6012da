#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/model/labels.h"
#include "libs/promql/ast.h"

namespace narthex::promql {

/// Which parts of the language beyond the stable one are accepted.
struct ParserOptions {
  bool experimental_functions = false;
  bool extended_range_selectors = false;  // anchored, smoothed
  bool fill_modifiers = false;            // fill, fill_left, fill_right
  bool duration_expressions = true;

  static ParserOptions All() { return {true, true, true, true}; }
};

/// Parses and type-checks an expression. kInvalidArgument with Prometheus's
/// wording, "1:5: parse error: unexpected ...", line and column from 1.
absl::StatusOr<ExprPtr> Parse(absl::string_view text,
                              const ParserOptions& options = {});

/// Parses `name{a="b"}` alone, as match[] parameters hold it; the matcher of
/// the name is among the result.
absl::StatusOr<std::vector<model::Matcher>> ParseMetricSelector(
    absl::string_view text);

/// Parses a series `name{a="b"}`: only equality.
absl::StatusOr<model::Labels> ParseMetric(absl::string_view text);

/// The same at the front of a text such as a line of a test script; `*length`
/// becomes the number of bytes the series took.
absl::StatusOr<model::Labels> ParseMetricPrefix(absl::string_view text,
                                                std::size_t* length);

/// "line:column" of byte offset `position` in `text`, both from 1.
std::string LineColumn(absl::string_view text, int position);

/// Computes all duration expressions of the tree: `range_ms` is the query's
/// end minus start, `step_ms` its step (0 for an instant query).
/// kInvalidArgument when a result is not finite, out of range, or not positive
/// where it must be.
absl::Status ResolveDurations(std::int64_t range_ms, std::int64_t step_ms,
                              Expr* root);

/// Makes a parsed tree ready for evaluation from `start_ms` to `end_ms`: turns
/// @ start() and @ end() into timestamps, the functions start(), end(),
/// range() and step() into numbers, computes durations and wraps the largest
/// step-invariant subtrees in StepInvariantExpr. Errors as ResolveDurations().
absl::StatusOr<ExprPtr> Prepare(ExprPtr root, std::int64_t start_ms,
                                std::int64_t end_ms, std::int64_t step_ms);

}  // namespace narthex::promql
