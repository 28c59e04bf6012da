#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "libs/model/histogram.h"
#include "libs/tsdb/bits.h"

/// What differs between the samples of a histogram chunk: the counts of the
/// sample that was written or read last, with all that the next one is
/// encoded against. One type for integer and one for float histograms; both
/// can do the same.
namespace narthex::tsdb {

class IntCounts {
 public:
  using Histogram = model::IntHistogram;

  void WriteFirst(const Histogram& sample, BitWriter* out);
  void WriteNext(const Histogram& sample, BitWriter* out);
  /// Requires: `buckets` is not more than what is left in `*in` allows.
  void ReadFirst(std::size_t buckets, BitCursor* in);
  void ReadNext(BitCursor* in);

  /// The last sample; its layout is left alone. The first `positive` of the
  /// buckets are the positive ones.
  void CopyTo(std::size_t positive, Histogram* sample) const;
  void CopyTo(std::size_t positive, model::FloatHistogram* sample) const;

  double sum() const { return sum_.value(); }
  bool CountFell(const Histogram& sample) const;
  bool ZeroCountFell(const Histogram& sample) const;
  /// Requires: `sample` has the layout of the last one.
  bool AnyBucketFell(const Histogram& sample) const;

 private:
  std::uint64_t count_ = 0;
  std::uint64_t zero_count_ = 0;
  std::uint64_t count_delta_ = 0;
  std::uint64_t zero_count_delta_ = 0;
  XorValue sum_;
  // Each the difference to the bucket before; positive ones come first.
  std::vector<std::int64_t> buckets_;
  std::vector<std::uint64_t> bucket_deltas_;
};

class FloatCounts {
 public:
  using Histogram = model::FloatHistogram;

  void WriteFirst(const Histogram& sample, BitWriter* out);
  void WriteNext(const Histogram& sample, BitWriter* out);
  void ReadFirst(std::size_t buckets, BitCursor* in);
  void ReadNext(BitCursor* in);

  void CopyTo(std::size_t positive, Histogram* sample) const;

  double sum() const { return sum_.value(); }
  bool CountFell(const Histogram& sample) const;
  bool ZeroCountFell(const Histogram& sample) const;
  bool AnyBucketFell(const Histogram& sample) const;

 private:
  XorValue count_;
  XorValue zero_count_;
  XorValue sum_;
  std::vector<XorValue> buckets_;
};

/// The buckets of a side as absolute counts.
std::vector<std::int64_t> PositiveCounts(const model::IntHistogram& sample);
std::vector<std::int64_t> NegativeCounts(const model::IntHistogram& sample);
const std::vector<double>& PositiveCounts(const model::FloatHistogram& sample);
const std::vector<double>& NegativeCounts(const model::FloatHistogram& sample);

/// Moves the buckets of `*sample` to spans that have all of them.
void SpreadTo(const std::vector<model::BucketSpan>& positive,
              const std::vector<model::BucketSpan>& negative,
              model::IntHistogram* sample);
void SpreadTo(const std::vector<model::BucketSpan>& positive,
              const std::vector<model::BucketSpan>& negative,
              model::FloatHistogram* sample);

}  // namespace narthex::tsdb
