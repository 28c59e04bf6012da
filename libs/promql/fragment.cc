#include "libs/promql/fragment.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/promql/plan.h"
#include "libs/promql/propagate.h"

namespace narthex::promql {

absl::StatusOr<FragmentReply> EvaluateFragment(const Fragment& fragment,
                                               storage::Queryable& storage,
                                               const base::Clock& clock,
                                               ColumnSink sink) {
  const std::int64_t begin_ns = clock.MonotonicNs();
  NARTHEX_ASSIGN_OR_RETURN(ExprPtr root,
                           Parse(fragment.expression, fragment.parser));
  NARTHEX_ASSIGN_OR_RETURN(root, Prepare(std::move(root), fragment.start_ms,
                                         fragment.end_ms, fragment.step_ms));
  if (fragment.propagate_matchers) PropagateMatchers(root.get());
  const Expr* node = PlanNode(*root, fragment.node);
  if (node == nullptr || node->type() != ValueType::kVector ||
      (fragment.node != 0 && node->String() != fragment.node_text)) {
    return absl::UnimplementedError(absl::StrCat(
        "node ", fragment.node, " of the query is not ", fragment.node_text));
  }
  Evaluation evaluation(fragment.settings, storage, clock, *root);
  evaluation.ShareNodes(*node);
  if (!fragment.part) {
    NARTHEX_RETURN_IF_ERROR(evaluation.Vector(*node, fragment.grid, sink));
  } else if (node->kind == ExprKind::kAggregate && fragment.grid.count > 0) {
    NARTHEX_RETURN_IF_ERROR(
        evaluation.Parts(node->As<AggregateExpr>(), fragment.grid, sink));
  } else {
    return absl::UnimplementedError("the node has no parts");
  }
  FragmentReply reply;
  reply.annotations = evaluation.annotations();
  reply.stats = evaluation.stats();
  reply.stats.peak = evaluation.budget().peak();
  reply.nodes = evaluation.node_traces();
  reply.duration_ns = clock.MonotonicNs() - begin_ns;
  return reply;
}

}  // namespace narthex::promql
