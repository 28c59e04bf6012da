#include "libs/model/histogram_arithmetic.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <utility>

#include "libs/model/histogram_buckets.h"
#include "libs/model/histogram_sum.h"

namespace narthex::model {

namespace {

template <typename Function>
void ForEachCount(FloatHistogram* histogram, const Function& function) {
  function(&histogram->zero_count);
  function(&histogram->count);
  function(&histogram->sum);
  for (double& count : histogram->positive_buckets) function(&count);
  for (double& count : histogram->negative_buckets) function(&count);
}

void CompactSide(std::vector<BucketSpan>* spans, std::vector<double>* buckets) {
  if (spans->size() <= 1 &&
      std::none_of(buckets->begin(), buckets->end(),
                   [](double count) { return count == 0; })) {
    if (buckets->empty()) spans->clear();
    return;
  }
  std::vector<BucketSpan> kept_spans;
  std::vector<double> kept;
  std::int64_t next = 0;
  BucketCursor cursor(*spans, *buckets);
  while (cursor.Next()) {
    if (cursor.count() == 0) continue;
    if (kept_spans.empty() || cursor.index() != next) {
      kept_spans.push_back(
          {static_cast<std::int32_t>(cursor.index() - next), 0});
    }
    ++kept_spans.back().length;
    kept.push_back(cursor.count());
    next = std::int64_t{cursor.index()} + 1;
  }
  *spans = std::move(kept_spans);
  *buckets = std::move(kept);
}

bool EqualBits(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

bool EqualSides(const std::vector<BucketSpan>& a_spans,
                const std::vector<double>& a_buckets,
                const std::vector<BucketSpan>& b_spans,
                const std::vector<double>& b_buckets) {
  if (a_buckets.size() != b_buckets.size()) return false;
  BucketCursor a(a_spans, a_buckets);
  BucketCursor b(b_spans, b_buckets);
  while (true) {
    const bool more = a.Next();
    if (more != b.Next()) return false;
    if (!more) return true;
    if (a.index() != b.index() || !EqualBits(a.count(), b.count())) {
      return false;
    }
  }
}

/// Walks one side at a coarser resolution, leaving out buckets that end within
/// `start`.
class CoarseCursor {
 public:
  CoarseCursor(const FloatHistogram& histogram, bool positive,
               std::int32_t schema, double start)
      : cursor_(
            positive ? histogram.positive_spans : histogram.negative_spans,
            positive ? histogram.positive_buckets : histogram.negative_buckets),
        from_(histogram.schema),
        to_(schema),
        start_(start),
        more_(cursor_.Next()) {}

  bool Next() {
    do {
      if (!more_) return false;
      index_ = IndexHere();
      count_ = 0;
      do {
        count_ += cursor_.count();
        more_ = cursor_.Next();
      } while (more_ && IndexHere() == index_);
    } while (to_ != kCustomBoundsSchema && start_ > 0 &&
             ExponentialBound(index_, to_) <= start_);
    start_ = 0;
    return true;
  }
  std::int32_t index() const { return index_; }
  double count() const { return count_; }

 private:
  std::int32_t IndexHere() const {
    return from_ == to_ ? cursor_.index()
                        : CoarserIndex(cursor_.index(), from_, to_);
  }

  BucketCursor cursor_;
  const std::int32_t from_;
  const std::int32_t to_;
  double start_;
  bool more_;
  std::int32_t index_ = 0;
  double count_ = 0;
};

/// Whether a bucket of `current` has less than its counterpart.
bool AnySmaller(const FloatHistogram& previous, const FloatHistogram& current,
                bool positive) {
  CoarseCursor before(previous, positive, current.schema,
                      current.zero_threshold);
  CoarseCursor after(current, positive, current.schema, current.zero_threshold);
  bool more = after.Next();
  while (before.Next()) {
    while (more && after.index() < before.index()) more = after.Next();
    if (more && after.index() == before.index()) {
      if (after.count() < before.count()) return true;
    } else if (before.count() != 0) {
      return true;
    }
  }
  return false;
}

/// The number of observations of custom buckets up to each of `bounds`, which
/// are among those of the histogram, and in all.
std::vector<double> CountsUpTo(const FloatHistogram& histogram,
                               const std::vector<double>& bounds) {
  std::vector<double> counts(bounds.size() + 1, 0);
  std::size_t target = 0;
  BucketCursor cursor(histogram.positive_spans, histogram.positive_buckets);
  while (cursor.Next()) {
    const double upper = UpperBound(histogram, cursor.index());
    while (target < bounds.size() && bounds[target] < upper) ++target;
    counts[target] += cursor.count();
  }
  return counts;
}

bool AnySmallerOfCommon(const FloatHistogram& previous,
                        const FloatHistogram& current) {
  std::vector<double> common;
  std::set_intersection(
      previous.custom_bounds.begin(), previous.custom_bounds.end(),
      current.custom_bounds.begin(), current.custom_bounds.end(),
      std::back_inserter(common));
  const std::vector<double> before = CountsUpTo(previous, common);
  const std::vector<double> after = CountsUpTo(current, common);
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (after[i] < before[i]) return true;
  }
  return false;
}

}  // namespace

MergeOutcome Add(const FloatHistogram& other, FloatHistogram* into) {
  HistogramSum sum(*into, HistogramSum::Precision::kPlain);
  const MergeOutcome outcome = sum.Add(other);
  if (!outcome.incompatible) *into = sum.Total();
  return outcome;
}

MergeOutcome Subtract(const FloatHistogram& other, FloatHistogram* from) {
  HistogramSum difference(*from, HistogramSum::Precision::kPlain);
  const MergeOutcome outcome = difference.Subtract(other);
  if (!outcome.incompatible) *from = difference.Total();
  return outcome;
}

void Multiply(double factor, FloatHistogram* histogram) {
  ForEachCount(histogram, [factor](double* count) { *count *= factor; });
  if (factor < 0) histogram->counter_reset = CounterReset::kGauge;
}

void Divide(double divisor, FloatHistogram* histogram) {
  if (divisor == 0) {
    histogram->positive_spans.clear();
    histogram->positive_buckets.clear();
    histogram->negative_spans.clear();
    histogram->negative_buckets.clear();
  }
  ForEachCount(histogram, [divisor](double* count) { *count /= divisor; });
  if (divisor < 0) histogram->counter_reset = CounterReset::kGauge;
}

void Compact(FloatHistogram* histogram) {
  CompactSide(&histogram->positive_spans, &histogram->positive_buckets);
  CompactSide(&histogram->negative_spans, &histogram->negative_buckets);
}

bool Equal(const FloatHistogram& a, const FloatHistogram& b) {
  return a.schema == b.schema && EqualBits(a.count, b.count) &&
         EqualBits(a.sum, b.sum) &&
         (!a.has_custom_bounds() || a.custom_bounds == b.custom_bounds) &&
         a.zero_threshold == b.zero_threshold &&
         EqualBits(a.zero_count, b.zero_count) &&
         EqualSides(a.negative_spans, a.negative_buckets, b.negative_spans,
                    b.negative_buckets) &&
         EqualSides(a.positive_spans, a.positive_buckets, b.positive_spans,
                    b.positive_buckets);
}

bool DetectReset(const FloatHistogram& previous,
                 const FloatHistogram& current) {
  if (current.counter_reset == CounterReset::kReset) return true;
  if (current.counter_reset == CounterReset::kNotReset) return false;
  if (current.count < previous.count) return true;
  if (current.has_custom_bounds() != previous.has_custom_bounds()) return true;
  if (current.has_custom_bounds() &&
      current.custom_bounds != previous.custom_bounds) {
    return AnySmallerOfCommon(previous, current);
  }
  // Programs only ever get coarser without a restart.
  if (current.schema > previous.schema) return true;
  if (current.zero_threshold < previous.zero_threshold) return true;
  double zero_count = previous.zero_count;
  if (current.zero_threshold > previous.zero_threshold) {
    HistogramSum widened(previous, HistogramSum::Precision::kPlain);
    widened.WidenZero(current.zero_threshold);
    if (widened.zero_threshold() != current.zero_threshold) return true;
    zero_count = widened.zero_count();
  }
  if (current.zero_count < zero_count) return true;
  return AnySmaller(previous, current, true) ||
         AnySmaller(previous, current, false);
}

void ReduceResolution(std::int32_t schema, FloatHistogram* histogram) {
  if (histogram->has_custom_bounds() || schema >= histogram->schema) return;
  HistogramSum sum(*histogram, HistogramSum::Precision::kPlain);
  sum.ReduceTo(schema);
  *histogram = sum.Total();
}

}  // namespace narthex::model
