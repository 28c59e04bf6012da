#pragma once

#include <cmath>

#include "libs/base/kahan.h"

namespace narthex::promql {

using base::KahanAdd;

/// A mean of values taken one after another: from the compensated sum as long
/// as that is finite, from then on incrementally, as Prometheus 3.x computes
/// avg and avg_over_time.
struct CompensatedMean {
  double sum = 0;  // The running mean once `incremental`.
  double compensation = 0;
  double count = 0;
  bool incremental = false;

  void Add(double value) {
    count += 1;
    if (count == 1) {
      sum = value;
      return;
    }
    if (!incremental) {
      double new_sum = sum;
      double new_compensation = compensation;
      KahanAdd(value, &new_sum, &new_compensation);
      if (!std::isinf(new_sum)) {
        sum = new_sum;
        compensation = new_compensation;
        return;
      }
      incremental = true;
      sum /= count - 1;
      compensation /= count - 1;
    }
    const double weight = (count - 1) / count;
    sum *= weight;
    compensation *= weight;
    KahanAdd(value / count, &sum, &compensation);
  }

  double Mean() const {
    if (incremental) return sum + compensation;
    return sum / count + compensation / count;
  }
};

}  // namespace narthex::promql
