#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"

/// Native histograms: observations counted in buckets whose bounds grow
/// exponentially, or in buckets with custom bounds.
/// Source: Prometheus's native histogram specification.
namespace narthex::model {

/// Schemas -4 to 8: a bucket's upper bound is 2^(2^-schema) times its lower
/// one. Schemas 9 to 52 are reserved for finer ones.
inline constexpr std::int32_t kMinExponentialSchema = -4;
inline constexpr std::int32_t kMaxExponentialSchema = 8;
/// The schema of histograms whose bounds are in `custom_bounds`.
inline constexpr std::int32_t kCustomBoundsSchema = -53;

inline bool IsExponentialSchema(std::int32_t schema) {
  return schema >= kMinExponentialSchema && schema <= kMaxExponentialSchema;
}

/// What is known of the counter before this sample. The numbers are those of
/// chunk headers and of the wire.
enum class CounterReset : std::uint8_t {
  kUnknown = 0,
  kReset = 1,
  kNotReset = 2,
  kGauge = 3,  ///< Not a counter: it may go down.
};

/// A run of consecutive buckets.
struct BucketSpan {
  /// Of the first span the index of its first bucket; of the others the gap
  /// to the span before, not negative.
  std::int32_t offset = 0;
  std::uint32_t length = 0;
  friend bool operator==(const BucketSpan&, const BucketSpan&) = default;
};

/// What integer and float histograms have in common, up to the type of their
/// counts. The lengths of the spans of a side add up to the size of its
/// buckets. Negative buckets mirror the positive ones; histograms with custom
/// bounds have neither them nor a zero bucket.
struct HistogramLayout {
  CounterReset counter_reset = CounterReset::kUnknown;
  std::int32_t schema = 0;
  /// The zero bucket covers [-zero_threshold, zero_threshold].
  double zero_threshold = 0;
  std::vector<BucketSpan> positive_spans;
  std::vector<BucketSpan> negative_spans;
  /// Ascending upper bounds without +Inf; only with kCustomBoundsSchema.
  std::vector<double> custom_bounds;

  bool has_custom_bounds() const { return schema == kCustomBoundsSchema; }
  friend bool operator==(const HistogramLayout&,
                         const HistogramLayout&) = default;
};

/// With absolute counts of any value: what PromQL computes with.
struct FloatHistogram : HistogramLayout {
  double zero_count = 0;
  double count = 0;
  /// Of the observed values. The staleness marker makes the whole sample one.
  double sum = 0;
  std::vector<double> positive_buckets;
  std::vector<double> negative_buckets;

  bool stale() const;
  /// kInvalidArgument: says what is inconsistent, for example spans that need
  /// another number of buckets, negative counts, bounds not ascending.
  absl::Status Validate() const;
};

/// A histogram that many look at.
using HistogramPtr = std::shared_ptr<const FloatHistogram>;

/// With integer counts, as instrumented programs expose them: each bucket as
/// the difference to the one before.
struct IntHistogram : HistogramLayout {
  std::uint64_t zero_count = 0;
  std::uint64_t count = 0;
  double sum = 0;
  std::vector<std::int64_t> positive_deltas;
  std::vector<std::int64_t> negative_deltas;

  bool stale() const;
  absl::Status Validate() const;
  FloatHistogram ToFloat() const;
};

/// A histogram sample as it is written and stored: exactly one of both is
/// set. Shared, because a batch, the log and the head look at the same one.
struct HistogramValue {
  std::shared_ptr<const IntHistogram> integer;
  std::shared_ptr<const FloatHistogram> floating;

  bool stale() const {
    return integer != nullptr ? integer->stale() : floating->stale();
  }
};

}  // namespace narthex::model
