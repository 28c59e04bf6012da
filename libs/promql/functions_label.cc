#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/status.h"
#include "libs/model/matcher.h"
#include "libs/promql/eval_nodes.h"

namespace narthex::promql {
namespace {

/// Changes the labels of every series of a vector. Series that become equal are
/// merged.
absl::Status ChangeLabels(Evaluation& evaluation, const Expr& vector,
                          const StepGrid& grid, ColumnSink sink,
                          absl::FunctionRef<void(Column& column)> change) {
  ColumnMerger changed;
  NARTHEX_RETURN_IF_ERROR(evaluation.Vector(vector, grid, [&](Column& column) {
    change(column);
    return changed.Add(column);
  }));
  for (Column& column : changed.columns()) {
    NARTHEX_RETURN_IF_ERROR(sink(column));
  }
  return absl::OkStatus();
}

void SetLabel(const std::string& name, absl::string_view value,
              Column* column) {
  model::LabelsBuilder builder(column->labels);
  builder.Set(name, value);
  column->labels = builder.Build();
  if (name == model::kMetricName) column->drop_name = false;
}

absl::Status CheckLabelName(absl::string_view name, absl::string_view what,
                            absl::string_view function) {
  if (model::IsUtf8Name(name)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "invalid ", what, " label name in ", function, "(): ", name));
}

/// label_replace(v, dst, replacement, src, regex)
absl::Status LabelReplace(Evaluation& evaluation, const Call& call,
                          const StepGrid& grid, ColumnSink sink) {
  const std::string& destination = StringArgument(call, 1);
  const std::string& replacement = StringArgument(call, 2);
  const std::string& source = StringArgument(call, 3);
  const std::string& pattern = StringArgument(call, 4);
  const auto regex = model::AnchoredRegex::Create(pattern);
  if (!regex.ok()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "invalid regular expression in label_replace(): ", pattern));
  }
  NARTHEX_RETURN_IF_ERROR(
      CheckLabelName(destination, "destination", "label_replace"));
  std::string value;
  return ChangeLabels(
      evaluation, *call.args[0], grid, sink, [&](Column& column) {
        value.clear();
        if (regex->Expand(column.labels.Get(source), replacement, &value)) {
          SetLabel(destination, value, &column);
        }
      });
}

/// label_join(v, dst, separator, src...)
absl::Status LabelJoin(Evaluation& evaluation, const Call& call,
                       const StepGrid& grid, ColumnSink sink) {
  const std::string& destination = StringArgument(call, 1);
  const std::string& separator = StringArgument(call, 2);
  std::vector<absl::string_view> sources;
  for (std::size_t i = 3; i < call.args.size(); ++i) {
    sources.push_back(StringArgument(call, i));
    NARTHEX_RETURN_IF_ERROR(
        CheckLabelName(sources.back(), "source", "label_join"));
  }
  NARTHEX_RETURN_IF_ERROR(
      CheckLabelName(destination, "destination", "label_join"));
  return ChangeLabels(
      evaluation, *call.args[0], grid, sink, [&](Column& column) {
        const std::string value = absl::StrJoin(
            sources, separator, [&](std::string* out, absl::string_view name) {
              absl::StrAppend(out, column.labels.Get(name));
            });
        SetLabel(destination, value, &column);
      });
}

}  // namespace

VectorFunction FindLabelFunction(absl::string_view name) {
  if (name == "label_replace") return LabelReplace;
  if (name == "label_join") return LabelJoin;
  return nullptr;
}

}  // namespace narthex::promql
