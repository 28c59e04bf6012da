#pragma once

#include "libs/model/histogram.h"

/// Estimates from native histograms. Within a bucket of an exponential schema
/// observations are taken to spread evenly over a finer histogram, in the zero
/// bucket and between custom bounds evenly.
namespace narthex::promql {

/// What observations of NaN have done to an estimate.
enum class NanEffect {
  kNone,
  kResultIsNan,  ///< The quantile lies among them.
  kSkewed,       ///< They count as larger than all others.
  kExcluded,     ///< They are in no fraction.
};

struct HistogramEstimate {
  double value = 0;
  NanEffect nan = NanEffect::kNone;
};

/// histogram_quantile(): NaN of no observations or a NaN phi; -Inf and +Inf for
/// phi below 0 and above 1.
HistogramEstimate HistogramQuantile(double phi,
                                    const model::FloatHistogram& histogram);

/// histogram_fraction(): the share of observations between two values.
HistogramEstimate HistogramFraction(double lower, double upper,
                                    const model::FloatHistogram& histogram);

/// histogram_stdvar(): from the middles of the buckets.
double HistogramVariance(const model::FloatHistogram& histogram);

}  // namespace narthex::promql
