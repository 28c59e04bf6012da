#include "libs/model/histogram_buckets.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "libs/base/float_format.h"
#include "libs/model/internal/exponential_bounds.h"

namespace narthex::model {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// Where the largest double would be rounded up to a power of two.
constexpr std::int32_t kOverflowExponent = 1024;
/// Cuts a bucket that reaches into the zero bucket at its threshold.
void CutAtZero(double threshold, HistogramBucket* bucket) {
  if (bucket->upper < 0 && bucket->upper > -threshold) {
    bucket->upper = -threshold;
  } else if (bucket->lower > 0 && bucket->lower < threshold) {
    bucket->lower = threshold;
  }
}

}  // namespace

std::string HistogramBucket::ToString() const {
  return absl::StrCat(lower_inclusive ? "[" : "(", base::FormatFloatG(lower),
                      ",", base::FormatFloatG(upper),
                      upper_inclusive ? "]" : ")", ":",
                      base::FormatFloatG(count));
}

double HistogramBucket::FractionBelow(double value, bool linear) const {
  if (linear) return (value - lower) / (upper - lower);
  const double log_lower = std::log2(std::fabs(lower));
  const double log_upper = std::log2(std::fabs(upper));
  const double log_value = std::log2(std::fabs(value));
  if (value > 0) return (log_value - log_lower) / (log_upper - log_lower);
  return 1 - (log_value - log_upper) / (log_lower - log_upper);
}

double ExponentialBound(std::int32_t index, std::int32_t schema) {
  double fraction = 1;
  std::int64_t exponent = 0;
  if (schema <= 0) {
    exponent = static_cast<std::int64_t>(index)
               << std::min(-schema, -kMinExponentialSchema);
  } else {
    const std::int32_t steps = std::int32_t{1} << schema;
    const auto step = static_cast<std::size_t>(index & (steps - 1));
    fraction = 2 * kExponentialBounds[step * (kExponentialBounds.size() /
                                              static_cast<std::size_t>(steps))];
    exponent = index >> schema;
  }
  if (fraction == 1 && exponent == kOverflowExponent) {
    return std::numeric_limits<double>::max();
  }
  constexpr std::int64_t kFarBeyond = 4096;
  return std::ldexp(fraction, static_cast<int>(std::clamp(exponent, -kFarBeyond,
                                                          kFarBeyond)));
}

double UpperBound(const HistogramLayout& layout, std::int32_t index) {
  if (!layout.has_custom_bounds()) {
    return ExponentialBound(index, layout.schema);
  }
  if (index < 0) return -kInfinity;
  const auto position = static_cast<std::size_t>(index);
  return position < layout.custom_bounds.size() ? layout.custom_bounds[position]
                                                : kInfinity;
}

bool BucketCursor::Next() {
  if (position_ >= counts_.size()) return false;
  index_ = static_cast<std::int32_t>(std::int64_t{index_} + 1);
  while (true) {
    if (span_ >= spans_.size()) return false;
    if (in_span_ == 0) {
      // Before the first bucket the index is -1 and the offset absolute.
      index_ = static_cast<std::int32_t>(std::int64_t{index_} +
                                         spans_[span_].offset);
    }
    if (in_span_ < spans_[span_].length) break;
    ++span_;
    in_span_ = 0;
  }
  ++in_span_;
  ++position_;
  if (in_span_ == spans_[span_].length) {
    ++span_;
    in_span_ = 0;
  }
  return true;
}

HistogramBucket BucketAt(const HistogramLayout& layout, bool positive,
                         std::int32_t index, double count) {
  HistogramBucket bucket;
  bucket.count = count;
  bucket.upper = UpperBound(layout, index);
  bucket.lower = UpperBound(layout, index - 1);
  if (!positive) {
    std::swap(bucket.lower, bucket.upper);
    bucket.lower = -bucket.lower;
    bucket.upper = -bucket.upper;
  }
  if (layout.has_custom_bounds()) {
    bucket.lower_inclusive = index == 0;
    bucket.upper_inclusive = true;
  } else {
    bucket.lower_inclusive = bucket.lower < 0;
    bucket.upper_inclusive = bucket.upper > 0;
  }
  return bucket;
}

HistogramBucket ZeroBucket(const FloatHistogram& histogram) {
  return {-histogram.zero_threshold, histogram.zero_threshold, true, true,
          histogram.zero_count};
}

void AllBuckets(const FloatHistogram& histogram,
                std::vector<HistogramBucket>* out) {
  out->clear();
  out->reserve(histogram.negative_buckets.size() + 1 +
               histogram.positive_buckets.size());
  BucketCursor negative(histogram.negative_spans, histogram.negative_buckets);
  while (negative.Next()) {
    out->push_back(
        BucketAt(histogram, false, negative.index(), negative.count()));
    CutAtZero(histogram.zero_threshold, &out->back());
  }
  std::reverse(out->begin(), out->end());
  if (histogram.zero_count > 0) out->push_back(ZeroBucket(histogram));
  BucketCursor positive(histogram.positive_spans, histogram.positive_buckets);
  while (positive.Next()) {
    out->push_back(
        BucketAt(histogram, true, positive.index(), positive.count()));
    CutAtZero(histogram.zero_threshold, &out->back());
  }
}

std::string ToString(const FloatHistogram& histogram) {
  std::string text =
      absl::StrCat("{count:", base::FormatFloatG(histogram.count),
                   ", sum:", base::FormatFloatG(histogram.sum));
  std::vector<std::string> negative;
  BucketCursor below(histogram.negative_spans, histogram.negative_buckets);
  while (below.Next()) {
    if (below.count() == 0) continue;
    negative.push_back(
        BucketAt(histogram, false, below.index(), below.count()).ToString());
  }
  for (auto it = negative.rbegin(); it != negative.rend(); ++it) {
    absl::StrAppend(&text, ", ", *it);
  }
  if (histogram.zero_count != 0) {
    absl::StrAppend(&text, ", ", ZeroBucket(histogram).ToString());
  }
  BucketCursor above(histogram.positive_spans, histogram.positive_buckets);
  while (above.Next()) {
    if (above.count() == 0) continue;
    absl::StrAppend(
        &text, ", ",
        BucketAt(histogram, true, above.index(), above.count()).ToString());
  }
  return text + "}";
}

}  // namespace narthex::model
