#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/status.h"
#include "libs/promql/eval_nodes.h"
#include "re2/re2.h"

namespace narthex::promql {
namespace {

constexpr absl::string_view kTargetInfo = "target_info";

/// The labels by which info series are joined.
const std::vector<std::string>& IdentifyingLabels() {
  static const auto* const kLabels =
      new std::vector<std::string>{"instance", "job"};
  return *kLabels;
}

/// At what time the first selector within `expr` looks: info series are taken
/// from there, too. Offsets of subqueries add up until an @ fixes the time.
/// False when there is no selector.
bool FindReferenceTime(const Expr& expr, TimeModifiers* time) {
  if (expr.kind == ExprKind::kVectorSelector) {
    const TimeModifiers& own = expr.As<VectorSelector>().time;
    time->at = own.at;
    time->at_ms = own.at_ms;
    time->offset_ms = own.offset_ms;
    return true;
  }
  for (const Expr* child : Children(expr)) {
    if (!FindReferenceTime(*child, time)) continue;
    if (expr.kind == ExprKind::kSubquery &&
        time->at == TimeModifiers::At::kNone) {
      const TimeModifiers& outer = expr.As<SubqueryExpr>().time;
      time->offset_ms += outer.offset_ms;
      time->at = outer.at;
      time->at_ms = outer.at_ms;
    }
    return true;
  }
  return false;
}

/// What the second argument of info() asks for.
struct InfoRequest {
  std::vector<model::Matcher> names;  // On the name of info metrics.
  std::map<std::string, std::vector<model::Matcher>> labels;

  bool MatchesName(absl::string_view name) const {
    return std::all_of(names.begin(), names.end(),
                       [&](const auto& m) { return m.Matches(name); });
  }
  bool Wants(absl::string_view label) const {
    return labels.empty() || labels.count(std::string(label)) > 0;
  }
  /// Whether series without any info are to stay.
  bool AllowsNothing() const {
    for (const auto& [name, matchers] : labels) {
      for (const model::Matcher& matcher : matchers) {
        if (!matcher.MatchesEmpty()) return false;
      }
    }
    return true;
  }
};

absl::StatusOr<InfoRequest> RequestOf(const Call& call) {
  InfoRequest request;
  bool positive = false;
  if (call.args.size() > 1) {
    const auto& selector = Unwrap(*call.args[1]).As<VectorSelector>();
    for (const model::Matcher& matcher : selector.matchers) {
      if (matcher.name() != model::kMetricName) {
        request.labels[matcher.name()].push_back(matcher);
        continue;
      }
      request.names.push_back(matcher);
      positive = positive || matcher.type() == model::MatchType::kEqual ||
                 matcher.type() == model::MatchType::kRegex;
    }
  }
  if (request.names.empty()) {
    request.names.push_back(
        model::Matcher::Equal(model::kMetricName, kTargetInfo));
  } else if (!positive) {
    NARTHEX_ASSIGN_OR_RETURN(
        model::Matcher any,
        model::Matcher::Create(model::MatchType::kRegex, model::kMetricName,
                               ".+_info"));
    request.names.insert(request.names.begin(), std::move(any));
  }
  return request;
}

/// One info series over all steps; its values are times of samples.
using InfoSeries = Column;

/// The info series of one identity, by metric name.
using InfoByName = std::map<std::string, std::vector<const InfoSeries*>>;

/// Selects info series that may belong to any of `bases`.
absl::StatusOr<std::vector<InfoSeries>> FetchInfo(
    Evaluation& evaluation, const Expr& argument, const InfoRequest& request,
    const std::vector<const Column*>& bases, const StepGrid& grid) {
  std::vector<InfoSeries> found;
  VectorSelector selector;
  FindReferenceTime(argument, &selector.time);
  for (const std::string& label : IdentifyingLabels()) {
    std::set<std::string> values;
    for (const Column* base : bases) {
      const absl::string_view value = base->labels.Get(label);
      if (value.empty()) continue;
      values.insert(re2::RE2::QuoteMeta({value.data(), value.size()}));
    }
    if (values.empty()) continue;
    NARTHEX_ASSIGN_OR_RETURN(
        model::Matcher any,
        model::Matcher::Create(model::MatchType::kRegex, label,
                               absl::StrJoin(values, "|")));
    selector.matchers.push_back(std::move(any));
  }
  if (selector.matchers.empty()) return found;
  for (const auto& [name, matchers] : request.labels) {
    selector.matchers.insert(selector.matchers.end(), matchers.begin(),
                             matchers.end());
  }
  selector.matchers.insert(selector.matchers.end(), request.names.begin(),
                           request.names.end());
  NARTHEX_RETURN_IF_ERROR(EvaluateSelectorFloatTimes(
      evaluation, selector, grid, [&](Column& column) -> absl::Status {
        if (!column.histograms.empty()) {
          return absl::FailedPreconditionError(absl::StrCat(
              "this should be an info metric, with float samples: ",
              column.labels.ToString()));
        }
        found.push_back(std::move(column));
        return absl::OkStatus();
      }));
  return found;
}

absl::Status ConflictError(const InfoSeries& a, const InfoSeries& b,
                           double seconds) {
  const auto time_ms = static_cast<std::int64_t>(std::llround(seconds * 1000));
  return absl::FailedPreconditionError(absl::StrCat(
      "found duplicate series for info metric: existing ", a.labels.ToString(),
      " @ ", time_ms, ", new ", b.labels.ToString(), " @ ", time_ms));
}

/// Adds info labels to base series.
class Enricher {
 public:
  Enricher(const InfoRequest& request, const std::vector<InfoSeries>& info,
           const StepGrid& grid)
      : request_(request), steps_(grid.count) {
    for (const InfoSeries& series : info) {
      by_identity_[series.labels.Of(IdentifyingLabels())]
                  [std::string(series.labels.metric_name())]
                      .push_back(&series);
    }
  }

  absl::Status Enrich(const Column& base) {
    const auto it = by_identity_.find(base.labels.Of(IdentifyingLabels()));
    static const InfoByName kNone;
    const InfoByName& info = it == by_identity_.end() ? kNone : it->second;
    std::vector<const InfoSeries*> chosen;
    std::vector<const InfoSeries*> previous;
    std::optional<model::Labels> labels;
    bool first = true;
    for (std::size_t step = 0; step < steps_; ++step) {
      if (!base.Has(step)) continue;
      NARTHEX_RETURN_IF_ERROR(Choose(info, step, &chosen));
      if (first || chosen != previous) {
        NARTHEX_ASSIGN_OR_RETURN(labels, Combine(base.labels, chosen));
        previous = chosen;
        first = false;
      }
      if (!labels.has_value()) continue;
      Column& column = merger_.Get(*labels, base.drop_name, steps_);
      if (column.Has(step)) return RepeatedLabelsError();
      column.Copy(base, step);
    }
    return absl::OkStatus();
  }

  absl::Status Keep(Column& base) { return merger_.Add(base); }
  std::vector<Column>& columns() { return merger_.columns(); }

 private:
  /// The newest series of each info metric at a step.
  static absl::Status Choose(const InfoByName& info, std::size_t step,
                             std::vector<const InfoSeries*>* chosen) {
    chosen->clear();
    for (const auto& [name, list] : info) {
      const InfoSeries* best = nullptr;
      for (const InfoSeries* series : list) {
        const double time = series->values[step];
        if (IsAbsent(time)) continue;
        if (best != nullptr && best->values[step] == time) {
          return ConflictError(*best, *series, time);
        }
        if (best == nullptr || best->values[step] < time) best = series;
      }
      if (best != nullptr) chosen->push_back(best);
    }
    return absl::OkStatus();
  }

  /// None when the series is to be dropped.
  absl::StatusOr<std::optional<model::Labels>> Combine(
      const model::Labels& base,
      const std::vector<const InfoSeries*>& chosen) const {
    if (chosen.empty() && !request_.AllowsNothing()) {
      return std::optional<model::Labels>();
    }
    model::LabelsBuilder added;
    for (const InfoSeries* series : chosen) {
      for (const model::Label& label : series->labels) {
        if (label.name == model::kMetricName || !request_.Wants(label.name)) {
          continue;
        }
        const absl::string_view other = added.Get(label.name);
        if (!other.empty() && other != label.value) {
          return absl::FailedPreconditionError(
              absl::StrCat("conflicting label: ", label.name));
        }
        if (!base.Has(label.name)) added.Set(label.name, label.value);
      }
    }
    model::LabelsBuilder builder(base);
    for (const auto& [name, value] : added.pairs()) builder.Set(name, value);
    return std::optional<model::Labels>(builder.Build());
  }

  const InfoRequest& request_;
  const std::size_t steps_;
  absl::flat_hash_map<model::Labels, InfoByName> by_identity_;
  ColumnMerger merger_;
};

}  // namespace

absl::Status EvaluateInfo(Evaluation& evaluation, const Call& call,
                          const StepGrid& grid, ColumnSink sink) {
  NARTHEX_ASSIGN_OR_RETURN(const InfoRequest request, RequestOf(call));
  NARTHEX_ASSIGN_OR_RETURN(Columns columns,
                           evaluation.Collect(*call.args[0], grid));
  // Info series themselves are not enriched.
  const auto is_info = [&](const Column& column) {
    return request.MatchesName(column.labels.metric_name());
  };
  std::vector<const Column*> bases;
  for (const Column& column : columns.list) {
    if (!is_info(column)) bases.push_back(&column);
  }
  NARTHEX_ASSIGN_OR_RETURN(
      const std::vector<InfoSeries> info,
      FetchInfo(evaluation, *call.args[0], request, bases, grid));
  Enricher enricher(request, info, grid);
  AliveCheck alive(evaluation);
  for (Column& column : columns.list) {
    NARTHEX_RETURN_IF_ERROR(alive.Pass(grid.count));
    NARTHEX_RETURN_IF_ERROR(is_info(column) ? enricher.Keep(column)
                                            : enricher.Enrich(column));
  }
  for (Column& column : enricher.columns()) {
    NARTHEX_RETURN_IF_ERROR(sink(column));
  }
  return absl::OkStatus();
}

}  // namespace narthex::promql
