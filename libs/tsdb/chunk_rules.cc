#include "libs/tsdb/chunk_rules.h"

#include <cmath>
#include <limits>

namespace narthex::tsdb {

std::int64_t RangeEnd(std::int64_t timestamp_ms, const ChunkRules& rules) {
  const std::int64_t start = timestamp_ms / rules.range_ms * rules.range_ms;
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  return start > kMost - rules.range_ms ? kMost : start + rules.range_ms;
}

std::int64_t PredictEnd(std::int64_t start, std::int64_t current,
                        std::int64_t end) {
  const auto span = static_cast<double>(end - start);
  const double chunks = span / (static_cast<double>(current - start + 1) * 4);
  if (chunks <= 1) return end;
  return static_cast<std::int64_t>(static_cast<double>(start) +
                                   span / std::floor(chunks));
}

}  // namespace narthex::tsdb
