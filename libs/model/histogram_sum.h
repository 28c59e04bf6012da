#pragma once

#include <cstdint>
#include <vector>

#include "libs/model/histogram.h"
#include "libs/model/histogram_arithmetic.h"

namespace narthex::model {

/// A running sum of histograms; with compensated additions when many are added.
class HistogramSum {
 public:
  enum class Precision { kPlain, kCompensated };

  explicit HistogramSum(const FloatHistogram& first,
                        Precision precision = Precision::kCompensated);

  MergeOutcome Add(const FloatHistogram& other) { return Merge(other, 1); }
  MergeOutcome Subtract(const FloatHistogram& other) {
    return Merge(other, -1);
  }
  void Scale(double factor);
  void Divide(double divisor);
  /// Whether anything has become infinite.
  bool HasOverflow() const;
  /// The sum; not compacted.
  FloatHistogram Total() const;

  /// Reduces the resolution to that of the exponential `schema`.
  void ReduceTo(std::int32_t schema);
  /// Widens the zero bucket to at least `threshold`, which is not smaller than
  /// its own, and to the bound of the populated bucket that this falls into.
  /// The buckets that it takes in are counted in both.
  void WidenZero(double threshold);
  double zero_threshold() const { return zero_threshold_; }
  double zero_count() const { return zero_count_.value; }

 private:
  /// A count and what rounding has taken from it.
  struct Count {
    double value = 0;
    double lost = 0;
  };
  /// The buckets of one side, each with its index, ascending.
  struct Side {
    std::vector<std::int32_t> indexes;
    std::vector<Count> counts;
  };

  static Side SideOf(const std::vector<BucketSpan>& spans,
                     const std::vector<double>& buckets);
  static void FoldSide(const Side& side, std::vector<BucketSpan>* spans,
                       std::vector<double>* buckets);

  MergeOutcome Merge(const FloatHistogram& other, double sign);
  bool MergeReset(CounterReset other);
  void Increment(double value, Count* count) const;
  void MergeExponential(const FloatHistogram& other, double sign);
  bool MergeCustom(const FloatHistogram& other, double sign);
  void AddSide(const Side& other, double sign, Side* into) const;
  void AddCount(const Count& other, double sign, Count* into) const;
  void ReduceSide(std::int32_t to, Side* side) const;
  void MapToBounds(const Side& side, const std::vector<double>& from,
                   const std::vector<double>& to, double sign,
                   std::vector<Count>* into) const;
  bool TakeIntoZero(const Side& side, double* threshold, Count* count) const;
  void DropWithinZero();
  void ReconcileZero(HistogramSum* other);
  template <typename Function>
  void ForEachCount(const Function& function);

  bool compensated_;
  CounterReset counter_reset_;
  std::int32_t schema_;
  double zero_threshold_;
  Count zero_count_;
  Count count_;
  Count sum_;
  Side positive_;
  Side negative_;
  std::vector<double> custom_bounds_;
};

/// The mean of histograms taken one after another, from their compensated sum
/// as long as that is finite, from then on incrementally.
class HistogramMean {
 public:
  explicit HistogramMean(const FloatHistogram& first) : sum_(first) {}

  MergeOutcome Add(const FloatHistogram& other);
  /// Not compacted.
  FloatHistogram Mean() const;

 private:
  HistogramSum sum_;  // The running mean once incremental.
  double count_ = 1;
  bool incremental_ = false;
};

}  // namespace narthex::model
