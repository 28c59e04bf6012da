#include "libs/promql/aggregate_histogram.h"

#include <algorithm>
#include <utility>

namespace narthex::promql {

void HistogramGroup::Add(const Column& column,
                         absl::FunctionRef<bool(std::size_t step)> had_float,
                         Annotations* annotations) {
  for (std::size_t i = 0; i < column.histograms.size(); ++i) {
    const model::HistogramPtr& histogram = column.histograms[i];
    Step& step = steps_[i];
    if (histogram == nullptr || step.incompatible) continue;
    const bool first = !step.has_histogram;
    step.has_histogram = true;
    // Behind a float nothing is added up: the step is lost anyway.
    if (first) step.has_float = had_float(i);
    if (step.has_float) continue;
    if (histogram->counter_reset == model::CounterReset::kReset) {
      step.saw_reset = true;
    } else if (histogram->counter_reset == model::CounterReset::kNotReset) {
      step.saw_no_reset = true;
    }
    const model::MergeOutcome outcome = AddTo(*histogram, &step);
    if (outcome.incompatible) {
      annotations->MixedSchemas(column.labels.metric_name(), position_);
      step.incompatible = true;
      step.has_float = had_float(i);
    }
    if (outcome.bounds_reconciled) {
      annotations->BoundsReconciled("aggregation", position_);
    }
  }
}

model::MergeOutcome HistogramGroup::AddTo(
    const model::FloatHistogram& histogram, Step* step) const {
  if (kind_ == Kind::kSum) {
    if (step->sum != nullptr) return step->sum->Add(histogram);
    step->sum = std::make_unique<model::HistogramSum>(histogram);
  } else {
    if (step->mean != nullptr) return step->mean->Add(histogram);
    step->mean = std::make_unique<model::HistogramMean>(histogram);
  }
  return {};
}

bool HistogramGroup::Conflicts(
    absl::FunctionRef<bool(std::size_t step)> has_float) const {
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    if (!step.has_histogram) continue;
    if (step.has_float || step.incompatible || has_float(i)) return true;
  }
  return false;
}

bool HistogramGroup::KnowsResets() const {
  return std::any_of(steps_.begin(), steps_.end(), [](const Step& step) {
    return step.saw_reset || step.saw_no_reset;
  });
}

void HistogramGroup::Finish(Column* column, Annotations* annotations) const {
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    if (!step.has_histogram) continue;
    const bool has_float =
        step.has_float || (!step.incompatible && IsPresent(column->values[i]));
    if (has_float) annotations->MixedInAggregation(position_);
    column->values[i] = Absent();
    if (has_float || step.incompatible) continue;
    if (step.saw_reset && step.saw_no_reset) {
      annotations->ResetCollision("aggregation", position_);
    }
    auto result = std::make_shared<model::FloatHistogram>(
        kind_ == Kind::kSum ? step.sum->Total() : step.mean->Mean());
    model::Compact(result.get());
    column->SetHistogram(i, std::move(result));
  }
}

}  // namespace narthex::promql
