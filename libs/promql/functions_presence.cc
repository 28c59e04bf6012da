#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "libs/base/status.h"
#include "libs/promql/eval_nodes.h"

namespace narthex::promql {
namespace {

/// One series with 1 wherever the vector is empty.
absl::Status AbsentFunction(Evaluation& evaluation, const Call& call,
                            const StepGrid& grid, ColumnSink sink) {
  Column absent;
  absent.labels = LabelsOfAbsent(Unwrap(*call.args[0]));
  absent.values.assign(grid.count, 1);
  NARTHEX_RETURN_IF_ERROR(
      evaluation.Vector(*call.args[0], grid, [&](Column& column) {
        for (std::size_t i = 0; i < grid.count; ++i) {
          if (column.Has(i)) absent.values[i] = Absent();
        }
        return absl::OkStatus();
      }));
  if (CountPresent(absent.values) == 0) return absl::OkStatus();
  return sink(absent);
}

}  // namespace

model::Labels LabelsOfAbsent(const Expr& argument) {
  const VectorSelector* selector = nullptr;
  if (argument.kind == ExprKind::kVectorSelector) {
    selector = &argument.As<VectorSelector>();
  } else if (argument.kind == ExprKind::kMatrixSelector) {
    selector = argument.As<MatrixSelector>().selector.get();
  }
  if (selector == nullptr) return {};
  model::LabelsBuilder builder;
  absl::flat_hash_set<absl::string_view> seen;
  for (const model::Matcher& matcher : selector->matchers) {
    if (matcher.name() == model::kMetricName) continue;
    // Two conditions on one label say nothing certain about its value.
    if (matcher.type() == model::MatchType::kEqual &&
        seen.insert(matcher.name()).second) {
      builder.Set(matcher.name(), matcher.value());
    } else {
      builder.Del(matcher.name());
    }
  }
  return builder.Build();
}

VectorFunction FindPresenceFunction(absl::string_view name) {
  if (name == "absent") return AbsentFunction;
  if (name == "info") return EvaluateInfo;
  return nullptr;
}

}  // namespace narthex::promql
