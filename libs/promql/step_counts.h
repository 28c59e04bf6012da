#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace narthex::promql {

/// How often something was there at each step. Takes memory for the steps at
/// which it was, until these are many.
class StepCounts {
 public:
  /// Once more at `step` of `steps`, always as many. True when that is the
  /// first time there.
  bool Count(std::size_t step, std::size_t steps);

  /// Estimated.
  std::size_t bytes() const {
    return sizeof(Entry) * entries_.size() + sizeof(double) * dense_.size();
  }

  /// A value for each of `steps` steps, Absent() where it never was. Nothing
  /// is left.
  std::vector<double> Take(std::size_t steps);

 private:
  struct Entry {
    std::size_t step;
    double count;
  };
  // By step; empty once all steps have a place in the other.
  std::vector<Entry> entries_;
  std::vector<double> dense_;
};

}  // namespace narthex::promql
