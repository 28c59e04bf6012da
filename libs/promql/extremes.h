#pragma once

#include <cmath>
#include <limits>

namespace narthex::promql {

/// The larger of two values, where NaN wins over all but +Inf, as Go orders.
inline double MaxOf(double a, double b) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (a == kInfinity || b == kInfinity) return kInfinity;
  if (std::isnan(a) || std::isnan(b)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  return a > b ? a : b;
}

/// The smaller of two values, where NaN wins over all but -Inf.
inline double MinOf(double a, double b) { return -MaxOf(-a, -b); }

}  // namespace narthex::promql
