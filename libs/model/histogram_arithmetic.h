#pragma once

#include <cstdint>

#include "libs/model/histogram.h"

/// Arithmetic on native histograms as PromQL defines it. Histograms of
/// different resolution meet at the coarser one, zero buckets at the wider
/// threshold, custom bounds at those they have in common.
/// Source: Prometheus's native histogram specification.
namespace narthex::model {

/// What adding or subtracting came upon.
struct MergeOutcome {
  /// One histogram has custom bounds, the other not: nothing was done.
  bool incompatible = false;
  /// One was marked as a reset, the other as none; the result is unknown.
  bool reset_collision = false;
  /// Only the custom bounds both have remain.
  bool bounds_reconciled = false;
};

MergeOutcome Add(const FloatHistogram& other, FloatHistogram* into);
MergeOutcome Subtract(const FloatHistogram& other, FloatHistogram* from);

/// A negative factor makes a gauge of the histogram.
void Multiply(double factor, FloatHistogram* histogram);
/// Likewise; division by zero leaves no buckets.
void Divide(double divisor, FloatHistogram* histogram);

/// Removes empty buckets and merges spans that touch.
void Compact(FloatHistogram* histogram);

/// Whether both have the same buckets with bitwise the same counts and sums.
/// The counter reset does not matter, nor do spans without buckets.
bool Equal(const FloatHistogram& a, const FloatHistogram& b);

/// Whether the counter began anew between two histograms: as `current` is
/// marked, otherwise when any of its counts is smaller or a populated bucket
/// is gone.
bool DetectReset(const FloatHistogram& previous, const FloatHistogram& current);

/// Merges buckets until the resolution is that of `schema`, which is
/// exponential and at most that of the histogram.
void ReduceResolution(std::int32_t schema, FloatHistogram* histogram);

/// Keeps the observations below (`</`) or above (`>/`) `limit`, interpolating
/// within the bucket that contains it; the sum is then estimated from the
/// buckets.
void TrimAbove(double limit, FloatHistogram* histogram);
void TrimBelow(double limit, FloatHistogram* histogram);

}  // namespace narthex::model
