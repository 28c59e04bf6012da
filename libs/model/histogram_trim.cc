#include <cmath>

#include "libs/model/histogram_arithmetic.h"
#include "libs/model/histogram_buckets.h"

namespace narthex::model {

namespace {

/// What is left of a bucket and where its observations lie on average.
struct Kept {
  double count = 0;
  double middle = 0;
};

double ZeroIfInfinite(double value) { return std::isinf(value) ? 0 : value; }

/// The representative of the observations between two bounds.
double Middle(double lower, double upper, bool positive, bool linear) {
  if (std::isinf(lower)) {
    if (std::isinf(upper)) return 0;
    return upper > 0 ? upper / 2 : upper;
  }
  if (std::isinf(upper)) return lower;
  if (linear) return (lower + upper) / 2;
  const double mean = std::sqrt(std::fabs(lower * upper));
  return positive ? mean : -mean;
}

/// Of a bucket without a lower bound that contains the limit.
Kept TrimUnboundedBelow(const HistogramBucket& bucket, double limit,
                        bool above) {
  const bool finite = !std::isinf(bucket.upper);
  if (above) {
    // With an upper bound above zero the lower one is taken for zero.
    if (limit > 0 && bucket.upper > 0 && finite) {
      return {bucket.count * limit / bucket.upper, limit / 2};
    }
    if (bucket.upper <= 0) return {bucket.count, limit};
    return {0, ZeroIfInfinite(bucket.upper)};
  }
  if (limit <= bucket.lower) return {bucket.count, 0};
  if (limit >= 0 && bucket.upper > limit && finite) {
    return {bucket.count * (1 - limit / bucket.upper),
            (limit + bucket.upper) / 2};
  }
  return {0, ZeroIfInfinite(bucket.upper)};
}

/// Of a bucket that contains the limit strictly.
Kept TrimWithin(const HistogramBucket& bucket, double limit, bool above,
                bool positive, bool linear) {
  if (std::isinf(bucket.lower)) {
    return TrimUnboundedBelow(bucket, limit, above);
  }
  if (std::isinf(bucket.upper)) {
    // Where in it the observations are is not known.
    if (above) return {0, ZeroIfInfinite(bucket.lower)};
    return limit >= bucket.lower ? Kept{bucket.count, limit}
                                 : Kept{0, ZeroIfInfinite(bucket.lower)};
  }
  const double below = limit <= bucket.lower ? 0
                       : limit >= bucket.upper
                           ? bucket.count
                           : bucket.count * bucket.FractionBelow(limit, linear);
  return above ? Kept{below, Middle(bucket.lower, limit, positive, linear)}
               : Kept{bucket.count - below,
                      Middle(limit, bucket.upper, positive, linear)};
}

Kept TrimZero(HistogramBucket zero, double limit, bool above) {
  const double middle = (zero.lower + zero.upper) / 2;
  const double width = zero.upper - zero.lower;
  if (above) {
    if (limit <= zero.lower) return {0, 0};
    if (limit >= zero.upper) return {zero.count, middle};
    return {zero.count * ((limit - zero.lower) / width),
            (zero.lower + limit) / 2};
  }
  if (limit <= zero.lower) return {zero.count, middle};
  if (limit >= zero.upper) return {0, 0};
  return {zero.count * ((zero.upper - limit) / width),
          (limit + zero.upper) / 2};
}

/// Trims a histogram bucket by bucket and keeps the books.
class Trimmer {
 public:
  Trimmer(double limit, bool above, FloatHistogram* histogram)
      : limit_(limit), above_(above), histogram_(*histogram) {}

  void Trim() {
    const bool positive =
        TrimSide(true, histogram_.positive_spans, &histogram_.positive_buckets);
    const bool negative = TrimSide(false, histogram_.negative_spans,
                                   &histogram_.negative_buckets);
    if (histogram_.zero_count > 0) {
      HistogramBucket zero = ZeroBucket(histogram_);
      if (negative && !positive) zero.upper = 0;
      if (positive && !negative) zero.lower = 0;
      Take(TrimZero(zero, limit_, above_), &histogram_.zero_count);
    }
    if (!trimmed_) return;
    histogram_.count = count_;
    histogram_.sum = sum_;
    Compact(&histogram_);
  }

 private:
  /// Whether the side has observations.
  bool TrimSide(bool positive, const std::vector<BucketSpan>& spans,
                std::vector<double>* buckets) {
    const bool linear = histogram_.has_custom_bounds();
    bool populated = false;
    BucketCursor cursor(spans, *buckets);
    while (cursor.Next()) {
      if (cursor.count() == 0) continue;
      populated = true;
      const HistogramBucket bucket =
          BucketAt(histogram_, positive, cursor.index(), cursor.count());
      const bool whole =
          above_ ? bucket.upper <= limit_ : bucket.lower >= limit_;
      const bool part = above_ ? bucket.lower < limit_ : bucket.upper > limit_;
      Kept kept;
      if (whole) {
        kept = {bucket.count,
                Middle(bucket.lower, bucket.upper, positive, linear)};
      } else if (part) {
        kept = TrimWithin(bucket, limit_, above_, positive, linear);
      } else {
        trimmed_ = true;
      }
      Take(kept, &(*buckets)[cursor.position()]);
    }
    return populated;
  }

  void Take(const Kept& kept, double* count) {
    if (*count != kept.count) {
      *count = kept.count;
      trimmed_ = true;
    }
    count_ += kept.count;
    sum_ += kept.middle * kept.count;
  }

  const double limit_;
  const bool above_;
  FloatHistogram& histogram_;
  double count_ = 0;
  double sum_ = 0;
  bool trimmed_ = false;
};

}  // namespace

void TrimAbove(double limit, FloatHistogram* histogram) {
  Trimmer(limit, true, histogram).Trim();
}

void TrimBelow(double limit, FloatHistogram* histogram) {
  Trimmer(limit, false, histogram).Trim();
}

}  // namespace narthex::model
