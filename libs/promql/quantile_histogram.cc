#include "libs/promql/quantile_histogram.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "libs/base/kahan.h"
#include "libs/model/histogram_buckets.h"

namespace narthex::promql {
namespace {

using model::FloatHistogram;
using model::HistogramBucket;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// The zero bucket ends at zero on a side without buckets.
void NarrowZeroBucket(const FloatHistogram& histogram,
                      HistogramBucket* bucket) {
  const bool positive = !histogram.positive_buckets.empty();
  const bool negative = !histogram.negative_buckets.empty();
  if (positive && !negative) bucket->lower = 0;
  if (negative && !positive) bucket->upper = 0;
}

/// Where in a bucket, from 0 to 1, the wanted rank lies; as a value.
double ValueWithin(const HistogramBucket& bucket, double fraction,
                   bool linear) {
  if (linear || (bucket.lower <= 0 && bucket.upper >= 0)) {
    return bucket.lower + (bucket.upper - bucket.lower) * fraction;
  }
  const double lower = std::log2(std::fabs(bucket.lower));
  const double upper = std::log2(std::fabs(bucket.upper));
  if (bucket.lower > 0) return std::exp2(lower + (upper - lower) * fraction);
  return -std::exp2(upper + (lower - upper) * (1 - fraction));
}

/// A walk over the populated buckets up to a rank.
struct Walk {
  HistogramBucket bucket;  // The last one looked at.
  double count = 0;        // Of all looked at.
  std::size_t next = 0;    // What was not looked at.
};

Walk WalkTo(double rank, const std::vector<HistogramBucket>& buckets) {
  Walk walk;
  while (walk.next < buckets.size()) {
    const HistogramBucket& bucket = buckets[walk.next++];
    walk.bucket = bucket;
    if (bucket.count == 0) continue;
    walk.count += bucket.count;
    if (walk.count >= rank) break;
  }
  return walk;
}

/// The observations at most at one value, in one pass together with another.
class RankFinder {
 public:
  explicit RankFinder(double value) : value_(value) {}

  bool found() const { return found_; }
  double rank() const { return rank_; }

  /// `below` observations are in buckets before this one.
  void Look(const HistogramBucket& bucket, double below, bool linear) {
    if (found_) return;
    if (bucket.lower >= value_) {
      rank_ = below;
      found_ = true;
    } else if (bucket.upper > value_) {
      // Where in an infinitely wide bucket the value lies cannot be told.
      rank_ = linear && bucket.lower == -kInfinity
                  ? bucket.count
                  : below + bucket.count * bucket.FractionBelow(value_, linear);
      found_ = true;
    }
  }

 private:
  const double value_;
  double rank_ = 0;
  bool found_ = false;
};

}  // namespace

HistogramEstimate HistogramQuantile(double phi,
                                    const FloatHistogram& histogram) {
  if (phi < 0) return {-kInfinity};
  if (phi > 1) return {kInfinity};
  if (histogram.count == 0 || std::isnan(phi)) return {kNan};
  const bool custom = histogram.has_custom_bounds();
  // With observations of NaN the end from above is not known.
  const bool may_have_nan = std::isnan(histogram.sum);
  const bool forward = may_have_nan || phi < 0.5;
  std::vector<HistogramBucket> buckets;
  model::AllBuckets(histogram, &buckets);
  if (!forward) std::reverse(buckets.begin(), buckets.end());
  double rank = (forward ? phi : 1 - phi) * histogram.count;
  Walk walk = WalkTo(rank, buckets);
  HistogramBucket& bucket = walk.bucket;
  if (!custom && bucket.lower < 0 && bucket.upper > 0) {
    NarrowZeroBucket(histogram, &bucket);
  } else if (custom && bucket.lower == -kInfinity) {
    if (bucket.upper <= 0) return {bucket.upper};
    bucket.lower = 0;
  } else if (custom && bucket.upper == kInfinity) {
    return {bucket.lower};
  }
  walk.count = std::min(walk.count, histogram.count);
  if (walk.count < rank) {
    if (may_have_nan) return {kNan, NanEffect::kResultIsNan};
    return {bucket.upper};
  }
  rank = forward ? rank - (walk.count - bucket.count) : walk.count - rank;
  HistogramEstimate estimate;
  const HistogramBucket last = bucket;
  if (may_have_nan) {
    double count = walk.count;
    for (std::size_t i = walk.next; i < buckets.size(); ++i) {
      count += buckets[i].count;
    }
    if (count < histogram.count) estimate.nan = NanEffect::kSkewed;
  }
  estimate.value = ValueWithin(last, rank / last.count, custom);
  return estimate;
}

HistogramEstimate HistogramFraction(double lower, double upper,
                                    const FloatHistogram& histogram) {
  if (histogram.count == 0 || std::isnan(lower) || std::isnan(upper)) {
    return {kNan};
  }
  if (lower >= upper) return {0};
  const bool custom = histogram.has_custom_bounds();
  std::vector<HistogramBucket> buckets;
  model::AllBuckets(histogram, &buckets);
  RankFinder from(lower);
  RankFinder to(upper);
  double below = 0;
  double count = 0;
  for (HistogramBucket& bucket : buckets) {
    count += bucket.count;
    if (from.found() && to.found()) continue;
    const bool zero = bucket.lower <= 0 && bucket.upper >= 0;
    if (zero) NarrowZeroBucket(histogram, &bucket);
    from.Look(bucket, below, custom || zero);
    to.Look(bucket, below, custom || zero);
    below += bucket.count;
  }
  HistogramEstimate estimate;
  if (std::isnan(histogram.sum)) {
    if (count < histogram.count) estimate.nan = NanEffect::kExcluded;
  } else {
    count = histogram.count;
  }
  const auto rank_of = [count](const RankFinder& finder) {
    return !finder.found() || finder.rank() > count ? count : finder.rank();
  };
  estimate.value = (rank_of(to) - rank_of(from)) / histogram.count;
  return estimate;
}

double HistogramVariance(const FloatHistogram& histogram) {
  const double mean = histogram.sum / histogram.count;
  std::vector<HistogramBucket> buckets;
  model::AllBuckets(histogram, &buckets);
  double sum = 0;
  double compensation = 0;
  for (const HistogramBucket& bucket : buckets) {
    if (bucket.count == 0) continue;
    double middle = 0;
    if (histogram.has_custom_bounds()) {
      middle = (bucket.upper + bucket.lower) / 2;
    } else if (bucket.lower > 0 || bucket.upper < 0) {
      middle = std::sqrt(bucket.upper * bucket.lower);
      if (bucket.upper < 0) middle = -middle;
    }
    const double delta = middle - mean;
    base::KahanAdd(bucket.count * delta * delta, &sum, &compensation);
  }
  return (sum + compensation) / histogram.count;
}

}  // namespace narthex::promql
