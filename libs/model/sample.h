#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "libs/model/histogram.h"

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

/// Samples of one series in ascending time, as columns: the form in which
/// decoded chunks travel and the engine computes.
struct SampleColumns {
  std::vector<std::int64_t> timestamps_ms;
  /// As long as the timestamps; 0 where the sample is a histogram.
  std::vector<double> values;
  /// Empty when all samples are floats. Otherwise as long as the timestamps,
  /// with nulls at the floats. A stale histogram is a stale float.
  std::vector<std::shared_ptr<const FloatHistogram>> histograms = {};
  /// When the counter behind each sample began, in ms, 0 where that is not
  /// known. Empty when it is known of none.
  std::vector<std::int64_t> starts_ms = {};

  std::size_t size() const { return timestamps_ms.size(); }
  bool empty() const { return timestamps_ms.empty(); }
  void clear() {
    timestamps_ms.clear();
    values.clear();
    histograms.clear();
    starts_ms.clear();
  }
  /// Requires that no start times are kept.
  void Append(std::int64_t timestamp_ms, double value) {
    timestamps_ms.push_back(timestamp_ms);
    values.push_back(value);
    if (!histograms.empty()) histograms.emplace_back();
  }
  void Append(std::int64_t timestamp_ms,
              std::shared_ptr<const FloatHistogram> histogram) {
    histograms.resize(timestamps_ms.size());
    timestamps_ms.push_back(timestamp_ms);
    values.push_back(0);
    histograms.push_back(std::move(histogram));
  }
  /// Appends the samples [begin, end) of `from`, which is another object.
  void AppendRange(const SampleColumns& from, std::size_t begin,
                   std::size_t end);
  /// Drops all samples but the first `count`.
  void Truncate(std::size_t count);
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
