#pragma once

#include <vector>

namespace narthex::promql {

/// The phi-quantile of `values` (whose order changes), interpolated between
/// neighbours; NaN counts as the smallest value. NaN for no values or a NaN
/// phi; -Inf and +Inf for phi below 0 and above 1.
double Quantile(double phi, std::vector<double>* values);

/// A bucket of a classic histogram: how many observations were at most
/// `upper_bound`.
struct Bucket {
  double upper_bound = 0;
  double count = 0;
};

/// What had to be changed in buckets whose counts were not cumulative.
struct BucketQuantileResult {
  double quantile = 0;
  bool forced_monotonicity = false;
  double min_bucket = 0;  // Bounds of the changed buckets.
  double max_bucket = 0;
  double max_difference = 0;
};

/// histogram_quantile() of a classic histogram; `buckets` are sorted by bound,
/// not empty, and are changed.
BucketQuantileResult BucketQuantile(double phi, std::vector<Bucket>* buckets);

/// histogram_fraction() of a classic histogram, likewise.
double BucketFraction(double lower, double upper, std::vector<Bucket>* buckets);

}  // namespace narthex::promql
