#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/promql/annotations.h"
#include "libs/promql/column.h"
#include "libs/promql/evaluation.h"
#include "libs/promql/parser.h"
#include "libs/promql/step_grid.h"
#include "libs/storage/storage.h"

/// Parts of a query that are evaluated where the data is.
namespace narthex::promql {

/// One node of a query's prepared tree, to be evaluated at the steps of a
/// grid. It comes with the whole query, so that positions, @ start() and the
/// like mean the same everywhere.
struct Fragment {
  std::string expression;
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 0;
  std::int64_t step_ms = 0;  // 0: an instant query.
  ParserOptions parser;
  /// Bounds of the evaluation; its `step_ms` is the one above.
  EvaluationSettings settings;

  std::uint32_t node = 0;  // As PlanNode() numbers it.
  std::string node_text;
  /// Of an aggregation its parts are wanted: see Merge::kParts.
  bool part = false;
  StepGrid grid;
  /// The tree was prepared with PropagateMatchers().
  bool propagate_matchers = false;
  /// How many places the plan that this fragment is of was made for.
  std::size_t places = 1;
};

/// What one place says beside the columns.
struct FragmentReply {
  std::string place;
  Annotations annotations;  // With positions in the whole query.
  SampleStats stats;
  std::int64_t duration_ns = 0;
  std::vector<NodeTrace> nodes;  // When the settings ask for it.
};

/// That a fragment was evaluated elsewhere, and what came of it.
struct FragmentTrace {
  std::uint32_t node = 0;
  std::size_t columns = 0;
  std::int64_t duration_ns = 0;
  std::vector<FragmentReply> replies;
};

/// Evaluates fragments in the places that hold the data. Thread-safe.
class FragmentEvaluator {
 public:
  virtual ~FragmentEvaluator() = default;

  /// In how many places the data is, no series in two of them. 0: fragments
  /// cannot be evaluated there, and WhyNowhere() says why.
  virtual std::size_t places() const = 0;
  virtual std::string WhyNowhere() const { return ""; }

  /// Evaluates `fragment` in all places at once and streams their columns,
  /// place by place. Besides the errors of an evaluation:
  ///   kUnimplemented  it must be evaluated over selections instead;
  ///   kUnavailable    a place, which is named, did not answer.
  virtual absl::StatusOr<std::vector<FragmentReply>> Evaluate(
      const Fragment& fragment, ColumnSink sink) = 0;
};

/// The other side: evaluates `fragment` over `storage`. kUnimplemented when
/// the tree prepared here has another node in that place.
absl::StatusOr<FragmentReply> EvaluateFragment(const Fragment& fragment,
                                               storage::Queryable& storage,
                                               const base::Clock& clock,
                                               ColumnSink sink);

}  // namespace narthex::promql
