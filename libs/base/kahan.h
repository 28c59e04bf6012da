#pragma once

#include <cmath>
#include <limits>

namespace narthex::base {

/// Adds `increment` to the compensated sum (`sum`, `compensation`), Neumaier's
/// variant of Kahan's algorithm. An overflowed sum has no compensation.
inline void KahanAdd(double increment, double* sum, double* compensation) {
  constexpr double kMax = std::numeric_limits<double>::max();
  const double total = *sum + increment;
  if (total > kMax || total < -kMax) {
    *compensation = 0;
  } else if (std::fabs(*sum) >= std::fabs(increment)) {
    *compensation += (*sum - total) + increment;
  } else {
    *compensation += (increment - total) + *sum;
  }
  *sum = total;
}

}  // namespace narthex::base
