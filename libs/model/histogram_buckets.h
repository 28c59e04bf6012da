#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "libs/model/histogram.h"

/// The buckets of native histograms with their bounds.
namespace narthex::model {

/// A bucket and how many observations fell between its bounds.
struct HistogramBucket {
  double lower = 0;
  double upper = 0;
  bool lower_inclusive = false;
  bool upper_inclusive = false;
  double count = 0;

  /// "(1,2]:5", with brackets at the inclusive bounds.
  std::string ToString() const;
  /// The share of the bucket's width at or below `value`, which lies strictly
  /// within its finite bounds. On a logarithmic scale unless `linear`.
  double FractionBelow(double value, bool linear) const;
};

/// The upper bound of the positive bucket `index` of exponential schema
/// `schema`. The last bucket of finite observations ends at the largest
/// double; that of infinite ones follows.
double ExponentialBound(std::int32_t index, std::int32_t schema);

/// The upper bound of the positive bucket `index`; of the last custom one +Inf,
/// of index -1 there -Inf.
double UpperBound(const HistogramLayout& layout, std::int32_t index);

/// The index of the bucket of the coarser (or same) schema `to` that contains
/// the bucket `index` of schema `from`.
inline std::int32_t CoarserIndex(std::int32_t index, std::int32_t from,
                                 std::int32_t to) {
  return static_cast<std::int32_t>(((std::int64_t{index} - 1) >> (from - to)) +
                                   1);
}

/// Walks the buckets of one side by ascending index; ends early when there are
/// fewer counts than the spans say.
class BucketCursor {
 public:
  BucketCursor(const std::vector<BucketSpan>& spans,
               const std::vector<double>& counts)
      : spans_(spans), counts_(counts) {}

  /// Moves to the next (at first: the first) bucket; false at the end.
  bool Next();
  std::int32_t index() const { return index_; }
  /// The position of the bucket among the counts.
  std::size_t position() const { return position_ - 1; }
  double count() const { return counts_[position_ - 1]; }

 private:
  const std::vector<BucketSpan>& spans_;
  const std::vector<double>& counts_;
  std::size_t span_ = 0;
  std::uint32_t in_span_ = 0;
  std::size_t position_ = 0;
  std::int32_t index_ = -1;
};

/// The positive (or negative) bucket `index` with `count` observations.
HistogramBucket BucketAt(const HistogramLayout& layout, bool positive,
                         std::int32_t index, double count);

/// The zero bucket; not of histograms with custom bounds.
HistogramBucket ZeroBucket(const FloatHistogram& histogram);

/// Fills `*out` with the negative buckets, the zero bucket when it has
/// observations, and the positive ones, in ascending order. Buckets that reach
/// into the zero bucket are cut at its threshold.
void AllBuckets(const FloatHistogram& histogram,
                std::vector<HistogramBucket>* out);

/// "{count:3, sum:2.5, (1,2]:3}": only populated buckets. The text that
/// count_values() makes a label of.
std::string ToString(const FloatHistogram& histogram);

}  // namespace narthex::model
