#include "libs/promql/quantile.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

namespace narthex::promql {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Differences of neighbouring counts below this ratio are rounding errors.
constexpr double kCountTolerance = 1e-12;

bool AlmostEqual(double a, double b) {
  constexpr double kMinNormal = std::numeric_limits<double>::min();
  if (std::isnan(a) && std::isnan(b)) return true;
  if (a == b) return true;
  const double sum = std::fabs(a) + std::fabs(b);
  const double difference = std::fabs(a - b);
  if (a == 0 || b == 0 || sum < kMinNormal) {
    return difference < kCountTolerance * kMinNormal;
  }
  return difference / std::min(sum, std::numeric_limits<double>::max()) <
         kCountTolerance;
}

/// Adds up buckets with one bound.
void MergeEqualBounds(std::vector<Bucket>* buckets) {
  std::size_t last = 0;
  for (std::size_t i = 1; i < buckets->size(); ++i) {
    if ((*buckets)[i].upper_bound == (*buckets)[last].upper_bound) {
      (*buckets)[last].count += (*buckets)[i].count;
    } else {
      (*buckets)[++last] = (*buckets)[i];
    }
  }
  buckets->resize(last + 1);
}

/// Levels rounding errors silently and real decreases noticeably, so that the
/// counts never fall.
void MakeCumulative(std::vector<Bucket>* buckets,
                    BucketQuantileResult* result) {
  result->min_bucket = kInfinity;
  result->max_bucket = -kInfinity;
  double previous = buckets->front().count;
  for (std::size_t i = 1; i < buckets->size(); ++i) {
    Bucket& bucket = (*buckets)[i];
    const double current = bucket.count;
    if (current == previous) continue;
    if (AlmostEqual(previous, current)) {
      bucket.count = previous;
    } else if (current < previous) {
      bucket.count = previous;
      result->forced_monotonicity = true;
      result->min_bucket = std::min(result->min_bucket, bucket.upper_bound);
      result->max_bucket = std::max(result->max_bucket, bucket.upper_bound);
      result->max_difference =
          std::max(result->max_difference, previous - current);
    } else {
      previous = current;
    }
  }
}

/// The quantile of at least two cumulative buckets that end at +Inf.
double Interpolate(double phi, const std::vector<Bucket>& buckets) {
  const double observations = buckets.back().count;
  if (observations == 0) return kNan;
  double rank = phi * observations;
  // Not lower_bound: with NaN counts the halving itself decides the outcome.
  std::size_t low = 0;
  std::size_t high = buckets.size() - 1;
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (buckets[middle].count >= rank) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  if (low == buckets.size() - 1) return buckets[low - 1].upper_bound;
  if (low == 0 && buckets[0].upper_bound <= 0) return buckets[0].upper_bound;
  double start = 0;
  double count = buckets[low].count;
  if (low > 0) {
    start = buckets[low - 1].upper_bound;
    count -= buckets[low - 1].count;
    rank -= buckets[low - 1].count;
  }
  return start + (buckets[low].upper_bound - start) * (rank / count);
}

/// Observations at most `value`, assuming them evenly spread within a bucket;
/// the share of a bucket without a lower bound counts in full.
double RankOf(double value, const std::vector<Bucket>& buckets) {
  const double total = buckets.back().count;
  double below = 0;
  double lower = buckets[0].upper_bound <= 0 ? -kInfinity : 0;
  for (const Bucket& bucket : buckets) {
    if (lower >= value) return std::min(below, total);
    if (bucket.upper_bound > value) {
      if (lower == -kInfinity) return std::min(bucket.count, total);
      const double rank = below + (bucket.count - below) * (value - lower) /
                                      (bucket.upper_bound - lower);
      return rank > total ? total : rank;
    }
    below = bucket.count;
    lower = bucket.upper_bound;
  }
  return total;
}

}  // namespace

double Quantile(double phi, std::vector<double>* values) {
  if (values->empty() || std::isnan(phi)) return kNan;
  if (phi < 0) return -kInfinity;
  if (phi > 1) return kInfinity;
  const auto less = [](double a, double b) {
    if (std::isnan(b)) return false;
    return std::isnan(a) || a < b;
  };
  const double last = static_cast<double>(values->size() - 1);
  const double rank = phi * last;
  const double lower = std::max(0.0, std::floor(rank));
  const double weight = rank - std::floor(rank);
  // Two neighbours in sorted order are all that is needed of it.
  const auto low = values->begin() + static_cast<std::ptrdiff_t>(lower);
  std::nth_element(values->begin(), low, values->end(), less);
  const auto high = low + 1 == values->end()
                        ? low
                        : std::min_element(low + 1, values->end(), less);
  return *low * (1 - weight) + *high * weight;
}

BucketQuantileResult BucketQuantile(double phi, std::vector<Bucket>* buckets) {
  BucketQuantileResult result;
  result.quantile = kNan;
  if (std::isnan(phi)) return result;
  if (phi < 0 || phi > 1) {
    result.quantile = phi < 0 ? -kInfinity : kInfinity;
    return result;
  }
  if (buckets->back().upper_bound != kInfinity) return result;
  MergeEqualBounds(buckets);
  MakeCumulative(buckets, &result);
  if (buckets->size() >= 2) result.quantile = Interpolate(phi, *buckets);
  return result;
}

double BucketFraction(double lower, double upper,
                      std::vector<Bucket>* buckets) {
  if (buckets->back().upper_bound != kInfinity) return kNan;
  MergeEqualBounds(buckets);
  const double count = buckets->back().count;
  if (count == 0 || std::isnan(lower) || std::isnan(upper)) return kNan;
  if (lower >= upper) return 0;
  return (RankOf(upper, *buckets) - RankOf(lower, *buckets)) / count;
}

}  // namespace narthex::promql
