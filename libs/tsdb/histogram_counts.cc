#include "libs/tsdb/histogram_counts.h"

#include "libs/model/sample.h"
#include "libs/tsdb/histogram_layout.h"

namespace narthex::tsdb {
namespace {

// Differences wrap around: gauges go down and input may be hostile.
std::int64_t Signed(std::uint64_t bits) {
  return static_cast<std::int64_t>(bits);
}

/// Writes how far `next` is from going on as before, and moves there.
void WriteDod(std::uint64_t next, std::uint64_t* value, std::uint64_t* delta,
              BitWriter* out) {
  const std::uint64_t next_delta = next - *value;
  out->VarbitInt(Signed(next_delta - *delta));
  *value = next;
  *delta = next_delta;
}

void ReadDod(BitCursor* in, std::uint64_t* value, std::uint64_t* delta) {
  *delta += static_cast<std::uint64_t>(in->VarbitInt());
  *value += *delta;
}

template <typename Visit>
void ForEachBucket(const model::IntHistogram& sample, Visit visit) {
  for (const std::int64_t bucket : sample.positive_deltas) visit(bucket);
  for (const std::int64_t bucket : sample.negative_deltas) visit(bucket);
}

template <typename Visit>
void ForEachBucket(const model::FloatHistogram& sample, Visit visit) {
  for (const double bucket : sample.positive_buckets) visit(bucket);
  for (const double bucket : sample.negative_buckets) visit(bucket);
}

XorValue StartOf(double value) {
  XorValue start;
  start.set_value(value);
  return start;
}

}  // namespace

void IntCounts::WriteFirst(const Histogram& sample, BitWriter* out) {
  *this = {};
  count_ = sample.count;
  zero_count_ = sample.zero_count;
  sum_.set_value(sample.sum);
  out->VarbitUint(count_);
  out->VarbitUint(zero_count_);
  out->Float(sample.sum);
  ForEachBucket(sample, [&](std::int64_t bucket) {
    out->VarbitInt(bucket);
    buckets_.push_back(bucket);
  });
  bucket_deltas_.resize(buckets_.size());
}

void IntCounts::WriteNext(const Histogram& sample, BitWriter* out) {
  if (sample.stale()) {
    // Only its sum says something.
    out->VarbitInt(0);
    out->VarbitInt(0);
    return out->Xor(sample.sum, &sum_);
  }
  WriteDod(sample.count, &count_, &count_delta_, out);
  WriteDod(sample.zero_count, &zero_count_, &zero_count_delta_, out);
  out->Xor(sample.sum, &sum_);
  std::size_t i = 0;
  ForEachBucket(sample, [&](std::int64_t bucket) {
    auto value = static_cast<std::uint64_t>(buckets_[i]);
    WriteDod(static_cast<std::uint64_t>(bucket), &value, &bucket_deltas_[i],
             out);
    buckets_[i] = Signed(value);
    ++i;
  });
}

void IntCounts::ReadFirst(std::size_t buckets, BitCursor* in) {
  count_ = in->VarbitUint();
  zero_count_ = in->VarbitUint();
  sum_.set_value(in->Float());
  buckets_.resize(buckets);
  bucket_deltas_.resize(buckets);
  for (std::int64_t& bucket : buckets_) bucket = in->VarbitInt();
}

void IntCounts::ReadNext(BitCursor* in) {
  ReadDod(in, &count_, &count_delta_);
  ReadDod(in, &zero_count_, &zero_count_delta_);
  in->Xor(&sum_);
  if (model::IsStaleNan(sum())) return;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    auto value = static_cast<std::uint64_t>(buckets_[i]);
    ReadDod(in, &value, &bucket_deltas_[i]);
    buckets_[i] = Signed(value);
  }
}

void IntCounts::CopyTo(std::size_t positive, Histogram* sample) const {
  const auto middle = buckets_.begin() + static_cast<std::ptrdiff_t>(positive);
  sample->count = count_;
  sample->zero_count = zero_count_;
  sample->sum = sum();
  sample->positive_deltas.assign(buckets_.begin(), middle);
  sample->negative_deltas.assign(middle, buckets_.end());
}

void IntCounts::CopyTo(std::size_t positive,
                       model::FloatHistogram* sample) const {
  sample->count = static_cast<double>(count_);
  sample->zero_count = static_cast<double>(zero_count_);
  sample->sum = sum();
  const auto accumulate = [this](std::size_t begin, std::size_t end,
                                 std::vector<double>* counts) {
    counts->resize(end - begin);
    std::uint64_t count = 0;
    for (std::size_t i = begin; i < end; ++i) {
      count += static_cast<std::uint64_t>(buckets_[i]);
      (*counts)[i - begin] = static_cast<double>(Signed(count));
    }
  };
  accumulate(0, positive, &sample->positive_buckets);
  accumulate(positive, buckets_.size(), &sample->negative_buckets);
}

bool IntCounts::CountFell(const Histogram& sample) const {
  return sample.count < count_;
}

bool IntCounts::ZeroCountFell(const Histogram& sample) const {
  return sample.zero_count < zero_count_;
}

bool IntCounts::AnyBucketFell(const Histogram& sample) const {
  std::size_t i = 0;
  const auto fell = [&](const std::vector<std::int64_t>& side) {
    // The difference of the absolute counts.
    std::uint64_t grown = 0;
    for (const std::int64_t bucket : side) {
      grown += static_cast<std::uint64_t>(bucket) -
               static_cast<std::uint64_t>(buckets_[i++]);
      if (Signed(grown) < 0) return true;
    }
    return false;
  };
  return fell(sample.positive_deltas) || fell(sample.negative_deltas);
}

void FloatCounts::WriteFirst(const Histogram& sample, BitWriter* out) {
  *this = {};
  count_.set_value(sample.count);
  zero_count_.set_value(sample.zero_count);
  sum_.set_value(sample.sum);
  out->Float(sample.count);
  out->Float(sample.zero_count);
  out->Float(sample.sum);
  ForEachBucket(sample, [&](double bucket) {
    out->Float(bucket);
    buckets_.push_back(StartOf(bucket));
  });
}

void FloatCounts::WriteNext(const Histogram& sample, BitWriter* out) {
  const bool stale = sample.stale();
  out->Xor(stale ? 0 : sample.count, &count_);
  out->Xor(stale ? 0 : sample.zero_count, &zero_count_);
  out->Xor(sample.sum, &sum_);
  if (stale) return;
  std::size_t i = 0;
  ForEachBucket(sample,
                [&](double bucket) { out->Xor(bucket, &buckets_[i++]); });
}

void FloatCounts::ReadFirst(std::size_t buckets, BitCursor* in) {
  count_.set_value(in->Float());
  zero_count_.set_value(in->Float());
  sum_.set_value(in->Float());
  buckets_.resize(buckets);
  for (XorValue& bucket : buckets_) bucket.set_value(in->Float());
}

void FloatCounts::ReadNext(BitCursor* in) {
  in->Xor(&count_);
  in->Xor(&zero_count_);
  in->Xor(&sum_);
  if (model::IsStaleNan(sum())) return;
  for (XorValue& bucket : buckets_) in->Xor(&bucket);
}

void FloatCounts::CopyTo(std::size_t positive, Histogram* sample) const {
  sample->count = count_.value();
  sample->zero_count = zero_count_.value();
  sample->sum = sum();
  sample->positive_buckets.resize(positive);
  sample->negative_buckets.resize(buckets_.size() - positive);
  for (std::size_t i = 0; i < positive; ++i) {
    sample->positive_buckets[i] = buckets_[i].value();
  }
  for (std::size_t i = positive; i < buckets_.size(); ++i) {
    sample->negative_buckets[i - positive] = buckets_[i].value();
  }
}

bool FloatCounts::CountFell(const Histogram& sample) const {
  return sample.count < count_.value();
}

bool FloatCounts::ZeroCountFell(const Histogram& sample) const {
  return sample.zero_count < zero_count_.value();
}

bool FloatCounts::AnyBucketFell(const Histogram& sample) const {
  std::size_t i = 0;
  bool fell = false;
  ForEachBucket(sample, [&](double bucket) {
    fell = fell || bucket < buckets_[i].value();
    ++i;
  });
  return fell;
}

std::vector<std::int64_t> PositiveCounts(const model::IntHistogram& sample) {
  return AbsoluteCounts(sample.positive_deltas);
}
std::vector<std::int64_t> NegativeCounts(const model::IntHistogram& sample) {
  return AbsoluteCounts(sample.negative_deltas);
}
const std::vector<double>& PositiveCounts(const model::FloatHistogram& sample) {
  return sample.positive_buckets;
}
const std::vector<double>& NegativeCounts(const model::FloatHistogram& sample) {
  return sample.negative_buckets;
}

void SpreadTo(const std::vector<model::BucketSpan>& positive,
              const std::vector<model::BucketSpan>& negative,
              model::IntHistogram* sample) {
  sample->positive_deltas =
      SpreadBuckets(sample->positive_deltas, sample->positive_spans, positive);
  sample->negative_deltas =
      SpreadBuckets(sample->negative_deltas, sample->negative_spans, negative);
  sample->positive_spans = positive;
  sample->negative_spans = negative;
}

void SpreadTo(const std::vector<model::BucketSpan>& positive,
              const std::vector<model::BucketSpan>& negative,
              model::FloatHistogram* sample) {
  sample->positive_buckets =
      SpreadBuckets(sample->positive_buckets, sample->positive_spans, positive);
  sample->negative_buckets =
      SpreadBuckets(sample->negative_buckets, sample->negative_spans, negative);
  sample->positive_spans = positive;
  sample->negative_spans = negative;
}

}  // namespace narthex::tsdb
