#include "libs/model/histogram_sum.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "libs/base/kahan.h"
#include "libs/model/histogram_buckets.h"

namespace narthex::model {

namespace {

/// The bounds both lists have.
std::vector<double> CommonBounds(const std::vector<double>& a,
                                 const std::vector<double>& b) {
  std::vector<double> common;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(),
                        std::back_inserter(common));
  return common;
}

}  // namespace

HistogramSum::HistogramSum(const FloatHistogram& first, Precision precision)
    : compensated_(precision == Precision::kCompensated),
      counter_reset_(first.counter_reset),
      schema_(first.schema),
      zero_threshold_(first.zero_threshold),
      zero_count_{first.zero_count, 0},
      count_{first.count, 0},
      sum_{first.sum, 0},
      positive_(SideOf(first.positive_spans, first.positive_buckets)),
      negative_(SideOf(first.negative_spans, first.negative_buckets)),
      custom_bounds_(first.custom_bounds) {}

HistogramSum::Side HistogramSum::SideOf(const std::vector<BucketSpan>& spans,
                                        const std::vector<double>& buckets) {
  Side side;
  side.indexes.reserve(buckets.size());
  side.counts.reserve(buckets.size());
  BucketCursor cursor(spans, buckets);
  while (cursor.Next()) {
    side.indexes.push_back(cursor.index());
    side.counts.push_back({cursor.count(), 0});
  }
  return side;
}

void HistogramSum::FoldSide(const Side& side, std::vector<BucketSpan>* spans,
                            std::vector<double>* buckets) {
  buckets->reserve(side.counts.size());
  std::int64_t next = 0;
  for (std::size_t i = 0; i < side.indexes.size(); ++i) {
    const std::int32_t index = side.indexes[i];
    if (spans->empty() || index != next) {
      spans->push_back({static_cast<std::int32_t>(index - next), 0});
    }
    ++spans->back().length;
    next = std::int64_t{index} + 1;
    buckets->push_back(side.counts[i].value + side.counts[i].lost);
  }
}

FloatHistogram HistogramSum::Total() const {
  FloatHistogram total;
  total.counter_reset = counter_reset_;
  total.schema = schema_;
  total.zero_threshold = zero_threshold_;
  total.zero_count = zero_count_.value + zero_count_.lost;
  total.count = count_.value + count_.lost;
  total.sum = sum_.value + sum_.lost;
  total.custom_bounds = custom_bounds_;
  FoldSide(positive_, &total.positive_spans, &total.positive_buckets);
  FoldSide(negative_, &total.negative_spans, &total.negative_buckets);
  return total;
}

MergeOutcome HistogramSum::Merge(const FloatHistogram& other, double sign) {
  MergeOutcome outcome;
  const bool custom = schema_ == kCustomBoundsSchema;
  if (custom != other.has_custom_bounds()) {
    outcome.incompatible = true;
    return outcome;
  }
  outcome.reset_collision = MergeReset(other.counter_reset);
  Increment(sign * other.count, &count_);
  Increment(sign * other.sum, &sum_);
  if (custom) {
    outcome.bounds_reconciled = MergeCustom(other, sign);
  } else {
    MergeExponential(other, sign);
  }
  return outcome;
}

/// Adding to a gauge, or adding one, gives a gauge; otherwise only what both
/// agree on is known.
bool HistogramSum::MergeReset(CounterReset other) {
  if (other == counter_reset_ || counter_reset_ == CounterReset::kGauge) {
    return false;
  }
  if (other == CounterReset::kGauge) {
    counter_reset_ = CounterReset::kGauge;
    return false;
  }
  const bool known = other != CounterReset::kUnknown &&
                     counter_reset_ != CounterReset::kUnknown;
  counter_reset_ = CounterReset::kUnknown;
  return known;
}

void HistogramSum::Increment(double value, Count* count) const {
  if (compensated_) {
    base::KahanAdd(value, &count->value, &count->lost);
  } else {
    count->value += value;
  }
}

void HistogramSum::AddCount(const Count& other, double sign,
                            Count* into) const {
  Increment(sign * other.value, into);
  if (other.lost != 0) Increment(sign * other.lost, into);
}

void HistogramSum::MergeExponential(const FloatHistogram& other, double sign) {
  HistogramSum added(
      other, compensated_ ? Precision::kCompensated : Precision::kPlain);
  ReconcileZero(&added);
  AddCount(added.zero_count_, sign, &zero_count_);
  ReduceTo(added.schema_);
  added.ReduceTo(schema_);
  AddSide(added.positive_, sign, &positive_);
  AddSide(added.negative_, sign, &negative_);
}

/// Whether bounds had to be given up.
bool HistogramSum::MergeCustom(const FloatHistogram& other, double sign) {
  const Side added = SideOf(other.positive_spans, other.positive_buckets);
  if (custom_bounds_ == other.custom_bounds) {
    AddSide(added, sign, &positive_);
    return false;
  }
  std::vector<double> common = CommonBounds(custom_bounds_,  //
                                            other.custom_bounds);
  std::vector<Count> counts(common.size() + 1);
  MapToBounds(positive_, custom_bounds_, common, 1, &counts);
  MapToBounds(added, other.custom_bounds, common, sign, &counts);
  positive_ = {};
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i].value == 0 && counts[i].lost == 0) continue;
    positive_.indexes.push_back(static_cast<std::int32_t>(i));
    positive_.counts.push_back(counts[i]);
  }
  custom_bounds_ = std::move(common);
  return true;
}

/// Adds each bucket to that of `to` which contains it.
void HistogramSum::MapToBounds(const Side& side,
                               const std::vector<double>& from,
                               const std::vector<double>& to, double sign,
                               std::vector<Count>* into) const {
  std::size_t target = 0;
  for (std::size_t i = 0; i < side.indexes.size(); ++i) {
    const auto index = static_cast<std::size_t>(side.indexes[i]);
    if (index < from.size()) {
      while (target < to.size() && to[target] < from[index]) ++target;
    } else {
      target = to.size();
    }
    AddCount(side.counts[i], sign, &(*into)[target]);
  }
}

void HistogramSum::AddSide(const Side& other, double sign, Side* into) const {
  std::size_t first = 0;
  if (schema_ != kCustomBoundsSchema) {
    // What lies within the zero bucket was added to it.
    while (first < other.indexes.size() &&
           ExponentialBound(other.indexes[first], schema_) <= zero_threshold_) {
      ++first;
    }
  }
  if (first == 0 && other.indexes == into->indexes) {
    for (std::size_t i = 0; i < other.counts.size(); ++i) {
      AddCount(other.counts[i], sign, &into->counts[i]);
    }
    return;
  }
  Side merged;
  merged.indexes.reserve(into->indexes.size() + other.indexes.size());
  merged.counts.reserve(merged.indexes.capacity());
  std::size_t own = 0;
  for (std::size_t i = first; i < other.indexes.size(); ++i) {
    while (own < into->indexes.size() &&
           into->indexes[own] < other.indexes[i]) {
      merged.indexes.push_back(into->indexes[own]);
      merged.counts.push_back(into->counts[own++]);
    }
    const Count& count = other.counts[i];
    merged.indexes.push_back(other.indexes[i]);
    if (own < into->indexes.size() && into->indexes[own] == other.indexes[i]) {
      merged.counts.push_back(into->counts[own++]);
      AddCount(count, sign, &merged.counts.back());
    } else {
      merged.counts.push_back({sign * count.value, sign * count.lost});
    }
  }
  for (; own < into->indexes.size(); ++own) {
    merged.indexes.push_back(into->indexes[own]);
    merged.counts.push_back(into->counts[own]);
  }
  *into = std::move(merged);
}

void HistogramSum::ReduceTo(std::int32_t schema) {
  if (schema >= schema_) return;
  ReduceSide(schema, &positive_);
  ReduceSide(schema, &negative_);
  schema_ = schema;
}

void HistogramSum::ReduceSide(std::int32_t to, Side* side) const {
  Side reduced;
  for (std::size_t i = 0; i < side->indexes.size(); ++i) {
    const std::int32_t index = CoarserIndex(side->indexes[i], schema_, to);
    if (!reduced.indexes.empty() && reduced.indexes.back() == index) {
      AddCount(side->counts[i], 1, &reduced.counts.back());
    } else {
      reduced.indexes.push_back(index);
      reduced.counts.push_back(side->counts[i]);
    }
  }
  *side = std::move(reduced);
}

/// Counts the buckets of a side that begin within `*threshold`. When that lies
/// in a populated bucket it is raised to its bound; then true.
bool HistogramSum::TakeIntoZero(const Side& side, double* threshold,
                                Count* count) const {
  for (std::size_t i = 0; i < side.indexes.size(); ++i) {
    if (ExponentialBound(side.indexes[i] - 1, schema_) >= *threshold) break;
    AddCount(side.counts[i], 1, count);
    const double upper = ExponentialBound(side.indexes[i], schema_);
    if (upper <= *threshold) continue;
    if (side.counts[i].value == 0) break;
    *threshold = upper;
    return true;
  }
  return false;
}

void HistogramSum::WidenZero(double threshold) {
  if (threshold == zero_threshold_) return;
  Count count;
  do {
    count = zero_count_;
    TakeIntoZero(positive_, &threshold, &count);
    // A threshold raised on this side may take in more of the other.
  } while (TakeIntoZero(negative_, &threshold, &count));
  zero_count_ = count;
  zero_threshold_ = threshold;
}

void HistogramSum::DropWithinZero() {
  for (Side* side : {&positive_, &negative_}) {
    Side kept;
    for (std::size_t i = 0; i < side->indexes.size(); ++i) {
      if (side->counts[i].value == 0) continue;
      if (ExponentialBound(side->indexes[i] - 1, schema_) < zero_threshold_) {
        continue;
      }
      kept.indexes.push_back(side->indexes[i]);
      kept.counts.push_back(side->counts[i]);
    }
    *side = std::move(kept);
  }
}

/// Widens both zero buckets until they are equal. Of `*other` the buckets stay;
/// AddSide() leaves out those that are within.
void HistogramSum::ReconcileZero(HistogramSum* other) {
  const double threshold = other->zero_threshold_;
  const Count count = other->zero_count_;
  while (other->zero_threshold_ != zero_threshold_) {
    if (zero_threshold_ > other->zero_threshold_) {
      other->zero_threshold_ = threshold;
      other->zero_count_ = count;
      other->WidenZero(zero_threshold_);
    }
    if (other->zero_threshold_ > zero_threshold_) {
      WidenZero(other->zero_threshold_);
      DropWithinZero();
    }
  }
}

template <typename Function>
void HistogramSum::ForEachCount(const Function& function) {
  for (Count* count : {&zero_count_, &count_, &sum_}) function(count);
  for (Count& count : positive_.counts) function(&count);
  for (Count& count : negative_.counts) function(&count);
}

void HistogramSum::Scale(double factor) {
  ForEachCount([factor](Count* count) {
    count->value *= factor;
    count->lost *= factor;
  });
}

void HistogramSum::Divide(double divisor) {
  ForEachCount([divisor](Count* count) {
    count->value /= divisor;
    count->lost /= divisor;
  });
}

bool HistogramSum::HasOverflow() const {
  const auto overflows = [](const Count& c) { return std::isinf(c.value); };
  const auto any = [&](const Side& side) {
    return std::any_of(side.counts.begin(), side.counts.end(), overflows);
  };
  return overflows(zero_count_) || overflows(count_) || overflows(sum_) ||
         any(positive_) || any(negative_);
}

MergeOutcome HistogramMean::Add(const FloatHistogram& other) {
  count_ += 1;
  if (!incremental_) {
    HistogramSum sum = sum_;
    const MergeOutcome outcome = sum.Add(other);
    if (outcome.incompatible || !sum.HasOverflow()) {
      sum_ = std::move(sum);
      return outcome;
    }
    incremental_ = true;
    sum_.Divide(count_ - 1);
  }
  sum_.Scale((count_ - 1) / count_);
  FloatHistogram share = other;
  Divide(count_, &share);
  return sum_.Add(share);
}

FloatHistogram HistogramMean::Mean() const {
  if (incremental_) return sum_.Total();
  HistogramSum mean = sum_;
  mean.Divide(count_);
  return mean.Total();
}

}  // namespace narthex::model
