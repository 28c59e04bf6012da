#pragma once

#include <cstddef>
#include <cstdint>

namespace narthex::promql {

/// The times at which an expression is evaluated: `count` of them, `step_ms`
/// apart, the first at `start_ms`. An instant query is a grid of one.
struct StepGrid {
  std::int64_t start_ms = 0;
  std::int64_t step_ms = 1;
  std::size_t count = 1;

  std::int64_t At(std::size_t step) const {
    return start_ms + static_cast<std::int64_t>(step) * step_ms;
  }
  bool operator==(const StepGrid&) const = default;
  std::int64_t end_ms() const { return At(count - 1); }
  /// The first step alone.
  StepGrid First() const { return {start_ms, step_ms, 1}; }

  /// All steps from `start_ms` up to and including `end_ms`; none when that
  /// lies before. `step_ms` is positive.
  static StepGrid Between(std::int64_t start_ms, std::int64_t end_ms,
                          std::int64_t step_ms) {
    if (end_ms < start_ms) return {start_ms, step_ms, 0};
    return {start_ms, step_ms,
            static_cast<std::size_t>((end_ms - start_ms) / step_ms) + 1};
  }
};

}  // namespace narthex::promql
