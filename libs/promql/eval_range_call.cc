#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/promql/eval_nodes.h"
#include "libs/promql/range_functions.h"
#include "libs/promql/range_histograms.h"
#include "libs/promql/range_rate.h"

namespace narthex::promql {
namespace {

absl::Status CheckModifiers(const RangeGeometry& geometry,
                            const RangeFunction& function,
                            absl::string_view name) {
  const auto refuse = [&](absl::string_view modifier,
                          absl::string_view allowed) {
    return absl::FailedPreconditionError(
        absl::StrCat(modifier, " modifier can only be used with: ", allowed,
                     " - not with ", name));
  };
  if (geometry.anchored && !function.allows_anchored) {
    return refuse("anchored", AnchoredFunctionNames());
  }
  if (geometry.smoothed && !function.allows_smoothed) {
    return refuse("smoothed", SmoothedFunctionNames());
  }
  return absl::OkStatus();
}

/// rate() of a metric that does not look like a counter deserves a hint.
void HintAtNonCounter(bool by_type, const model::Labels& labels,
                      PositionRange position, Annotations* annotations) {
  const absl::string_view name = labels.metric_name();
  if (name.empty()) return;
  if (by_type) {
    const absl::string_view type = labels.Get("__type__");
    if (type == "counter" || type == "histogram") return;
    annotations->PossibleNonCounterType(name, type, position);
    return;
  }
  for (const absl::string_view suffix :
       {"_total", "_sum", "_count", "_bucket"}) {
    if (absl::EndsWith(name, suffix)) return;
  }
  annotations->PossibleNonCounter(name, position);
}

/// One series with 1 at every step at which no series of `range` has samples.
absl::Status EvaluateAbsentOverTime(Evaluation& evaluation, const Expr& range,
                                    const RangeFunction& presence,
                                    RangeContext& context, ColumnSink sink) {
  std::vector<bool> found(context.grid.count, false);
  std::vector<double> values(context.grid.count);
  NARTHEX_RETURN_IF_ERROR(
      EvaluateRange(evaluation, range, context.grid, [&](RangeSeries& series) {
        presence.apply(series.samples, context, &values);
        for (std::size_t i = 0; i < values.size(); ++i) {
          if (IsPresent(values[i])) found[i] = true;
        }
        return context.status;
      }));
  evaluation.stats().seen += context.seen;
  if (std::all_of(found.begin(), found.end(), [](bool f) { return f; })) {
    return absl::OkStatus();
  }
  Column column;
  column.labels = LabelsOfAbsent(range);
  column.drop_name = true;
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = found[i] ? Absent() : 1;
  }
  column.values = std::move(values);
  return sink(column);
}

/// What the scalars take is added to `held`.
absl::StatusOr<RangeContext> MakeContext(Evaluation& evaluation,
                                         const Call& call,
                                         std::size_t range_arg,
                                         const StepGrid& grid,
                                         SampleReservation* held) {
  RangeContext context;
  context.grid = grid;
  context.geometry = GeometryOf(Unwrap(*call.args[range_arg]), grid);
  context.annotations = &evaluation.annotations();
  context.evaluation = &evaluation;
  context.tell_steps = evaluation.settings().tell_steps;
  // Prometheus gives a subquery no position once it is evaluated.
  if (const Expr& first = Unwrap(*call.args[0]);
      first.kind != ExprKind::kSubquery) {
    context.position = first.position;
  }
  context.lookback_ms = evaluation.settings().lookback_delta_ms;
  for (std::size_t i = 0; i < call.args.size(); ++i) {
    if (i == range_arg) continue;
    NARTHEX_ASSIGN_OR_RETURN(Scalars scalars,
                             evaluation.Scalar(*call.args[i], grid));
    context.scalars.push_back(std::move(scalars.values));
    held->Take(std::move(scalars.reservation));
  }
  return context;
}

/// Applies a function to the windows of one series after another.
class CallMapper : public RangeMapper {
 public:
  CallMapper(absl::string_view name, const RangeFunction& function,
             const EvaluationSettings& settings, RangeContext context,
             Tally* tally)
      : name_(name),
        function_(function),
        uses_starts_(function.uses_starts && settings.use_start_timestamps),
        hints_(name == "rate" || name == "increase"),
        by_type_(settings.type_and_unit_labels),
        context_(std::move(context)),
        tally_(tally) {
    context_.annotations = &tally->annotations;
  }

  absl::StatusOr<bool> Map(RangeSeries& series, Column* out) override {
    if (!uses_starts_) series.samples.starts_ms.clear();
    out->values.resize(context_.grid.count);
    out->histograms.clear();
    context_.metric_name = series.labels.metric_name();
    if (series.samples.histograms.empty()) {
      if (function_.needs_falls) FindFalls(series.samples, &context_);
      function_.apply(series.samples, context_, &out->values);
    } else {
      ApplyToHistograms(name_, function_, series.samples, context_, out);
    }
    NARTHEX_RETURN_IF_ERROR(context_.status);
    tally_->stats.seen += std::exchange(context_.seen, {});
    if (CountPresent(*out) == 0) return false;
    if (hints_ && CountPresent(out->values) > 0) {
      HintAtNonCounter(by_type_, series.labels, context_.position,
                       &tally_->annotations);
    }
    std::swap(out->labels, series.labels);
    out->drop_name = series.drop_name;
    return true;
  }

 private:
  const absl::string_view name_;
  const RangeFunction& function_;
  const bool uses_starts_;
  const bool hints_;
  const bool by_type_;  // __type__ tells what a counter is.
  RangeContext context_;
  Tally* const tally_;
};

NewRangeMapper MappersOf(const Evaluation& evaluation, const Call& call,
                         const RangeFunction& function, RangeContext context) {
  return [&evaluation, name = absl::string_view(call.function->name), &function,
          context = std::move(context)](Tally* tally) {
    return std::make_unique<CallMapper>(name, function, evaluation.settings(),
                                        context, tally);
  };
}

bool LooksAtNewestOnly(const Call& call) {
  return call.function->name == "last_over_time";
}

}  // namespace

absl::Status EvaluateRangeCall(Evaluation& evaluation, const Call& call,
                               std::size_t range_arg, const StepGrid& grid,
                               ColumnSink sink) {
  const absl::string_view name = call.function->name;
  const RangeFunction* function = FindRangeFunction(name);
  if (function == nullptr) {
    return absl::InternalError(
        absl::StrCat("no implementation of function ", name));
  }
  const Expr& range = Unwrap(*call.args[range_arg]);
  SampleReservation held(&evaluation.budget());
  NARTHEX_ASSIGN_OR_RETURN(
      RangeContext context,
      MakeContext(evaluation, call, range_arg, grid, &held));
  NARTHEX_RETURN_IF_ERROR(CheckModifiers(context.geometry, *function, name));
  if (name == "absent_over_time") {
    return EvaluateAbsentOverTime(evaluation, range, *function, context, sink);
  }
  NameDropper dropper(evaluation, range, NameDropper::Repeats::kRefuse, sink);
  const auto take = [&](Column& column) {
    return function->keeps_name ? sink(column) : dropper.Add(column);
  };
  NARTHEX_RETURN_IF_ERROR(MapRange(
      evaluation, range, grid, LooksAtNewestOnly(call),
      MappersOf(evaluation, call, *function, std::move(context)), take));
  return dropper.Finish();
}

absl::StatusOr<SeriesReading> ReadingOfCall(Evaluation& evaluation,
                                            const Call& call,
                                            std::size_t range_arg,
                                            const StepGrid& grid) {
  const auto held = std::make_shared<SampleReservation>(&evaluation.budget());
  NARTHEX_ASSIGN_OR_RETURN(
      RangeContext context,
      MakeContext(evaluation, call, range_arg, grid, held.get()));
  SeriesReading reading = ReadingOfMatrix(
      evaluation, Unwrap(*call.args[range_arg]).As<MatrixSelector>(), grid,
      LooksAtNewestOnly(call),
      MappersOf(evaluation, call, *FindRangeFunction(call.function->name),
                std::move(context)));
  reading.held = held;
  return reading;
}

}  // namespace narthex::promql
