#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace narthex::model {

/// The NaN that marks the end of a series: Prometheus writes exactly these
/// bits; every other NaN is an ordinary value.
inline constexpr std::uint64_t kStaleNanBits = 0x7ff0000000000002ULL;
/// The one NaN that is stored for ordinary not-a-numbers.
inline constexpr std::uint64_t kNormalNanBits = 0x7ff8000000000001ULL;

inline double StaleNan() { return std::bit_cast<double>(kStaleNanBits); }
inline double NormalNan() { return std::bit_cast<double>(kNormalNanBits); }
inline bool IsStaleNan(double value) {
  return std::bit_cast<std::uint64_t>(value) == kStaleNanBits;
}

/// Smallest and largest timestamps that can be stored, in ms.
inline constexpr std::int64_t kMinTime =
    std::numeric_limits<std::int64_t>::min();
inline constexpr std::int64_t kMaxTime =
    std::numeric_limits<std::int64_t>::max();

struct Sample {
  std::int64_t timestamp_ms = 0;
  double value = 0;
};

/// Samples of one series in ascending time, as two columns of equal length:
/// the form in which decoded chunks travel and the engine computes.
struct SampleColumns {
  std::vector<std::int64_t> timestamps_ms;
  std::vector<double> values;

  std::size_t size() const { return timestamps_ms.size(); }
  bool empty() const { return timestamps_ms.empty(); }
  void clear() {
    timestamps_ms.clear();
    values.clear();
  }
  void Append(std::int64_t timestamp_ms, double value) {
    timestamps_ms.push_back(timestamp_ms);
    values.push_back(value);
  }
};

enum class MetricType {
  kUnknown,
  kCounter,
  kGauge,
  kHistogram,
  kGaugeHistogram,
  kSummary,
  kInfo,
  kStateset,
};

/// "counter", "gauge" ... as the metadata API prints it.
const char* MetricTypeName(MetricType type);

/// What a target says about a metric family.
struct Metadata {
  std::string metric;
  MetricType type = MetricType::kUnknown;
  std::string help;
  std::string unit;
  friend bool operator==(const Metadata&, const Metadata&) = default;
};

}  // namespace narthex::model
