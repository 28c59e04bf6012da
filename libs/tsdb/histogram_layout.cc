#include "libs/tsdb/histogram_layout.h"

#include <cmath>
#include <cstdlib>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/model/histogram_arithmetic.h"

namespace narthex::tsdb {
namespace {

using model::BucketSpan;

// A zero threshold that is a power of two in this range takes one byte: its
// binary exponent plus a bias. The bytes at the ends mean zero and any other.
constexpr int kMinThresholdExponent = -242;
constexpr int kMaxThresholdExponent = 11;
constexpr int kThresholdBias = 243;
constexpr std::uint64_t kOtherThreshold = 255;

// Far above what the finest schema needs, so that gaps between any two buckets
// fit into a span.
constexpr std::int64_t kMostIndex = std::int64_t{1} << 29;

// A custom bound that is a multiple of a thousandth up to this many is stored
// as that multiple plus one.
constexpr double kBoundUnits = 1000;
constexpr double kMaxBoundUnits = 33554430;

void WriteZeroThreshold(double threshold, BitWriter* out) {
  if (threshold == 0) return out->Bits(0, 8);
  int exponent = 0;
  const double fraction = std::frexp(threshold, &exponent);
  if (fraction == 0.5 && exponent >= kMinThresholdExponent &&
      exponent <= kMaxThresholdExponent) {
    return out->Bits(static_cast<std::uint64_t>(exponent + kThresholdBias), 8);
  }
  out->Bits(kOtherThreshold, 8);
  out->Float(threshold);
}

double ReadZeroThreshold(BitCursor* in) {
  const std::uint64_t byte = in->Bits(8);
  if (byte == 0) return 0;
  if (byte == kOtherThreshold) return in->Float();
  return std::ldexp(0.5, static_cast<int>(byte) - kThresholdBias);
}

void WriteSpans(const std::vector<BucketSpan>& spans, BitWriter* out) {
  out->VarbitUint(spans.size());
  for (const BucketSpan& span : spans) {
    out->VarbitUint(span.length);
    out->VarbitInt(span.offset);
  }
}

absl::Status ReadSpans(BitCursor* in, std::vector<BucketSpan>* spans) {
  const std::uint64_t count = in->VarbitUint();
  std::uint64_t buckets = 0;
  std::int64_t index = 0;
  // Two bits a span and one a bucket at least: what claims more is corrupt.
  if (count > in->remaining() / 2) return absl::DataLossError("spans cut off");
  spans->resize(static_cast<std::size_t>(count));
  for (BucketSpan& span : *spans) {
    const std::uint64_t length = in->VarbitUint();
    const std::int64_t offset = in->VarbitInt();
    if (length > kMostIndex || std::abs(offset) > kMostIndex) {
      return absl::DataLossError("impossible span");
    }
    span.length = static_cast<std::uint32_t>(length);
    span.offset = static_cast<std::int32_t>(offset);
    buckets += length;
    index += offset + static_cast<std::int64_t>(length);
    if (std::abs(index) > kMostIndex) {
      return absl::DataLossError("impossible span");
    }
  }
  if (buckets > in->remaining()) return absl::DataLossError("buckets cut off");
  return absl::OkStatus();
}

void WriteBound(double bound, BitWriter* out) {
  const double units = bound * kBoundUnits;
  if (units >= 0 && units <= kMaxBoundUnits &&
      std::round(units) / kBoundUnits == bound) {
    return out->VarbitUint(static_cast<std::uint64_t>(std::round(units)) + 1);
  }
  out->Bits(0, 1);
  out->Float(bound);
}

double ReadBound(BitCursor* in) {
  const std::uint64_t units = in->VarbitUint();
  return units == 0 ? in->Float()
                    : static_cast<double>(units - 1) / kBoundUnits;
}

absl::Status ReadBounds(BitCursor* in, std::vector<double>* bounds) {
  const std::uint64_t count = in->VarbitUint();
  if (count > in->remaining()) return absl::DataLossError("bounds cut off");
  bounds->resize(static_cast<std::size_t>(count));
  for (double& bound : *bounds) bound = ReadBound(in);
  return absl::OkStatus();
}

template <typename Count>
std::vector<Count> Spread(const std::vector<Count>& counts,
                          const std::vector<BucketSpan>& from,
                          const std::vector<BucketSpan>& to) {
  std::vector<Count> spread(BucketCount(to));
  BucketIndexes at(to);
  std::size_t position = 0;
  std::size_t next = 0;
  for (BucketIndexes wanted(from); !wanted.done(); wanted.Next()) {
    while (at.index() != wanted.index()) {
      at.Next();
      ++position;
    }
    spread[position] = counts[next++];
  }
  return spread;
}

void AddBucket(std::int64_t index, std::int64_t* end,
               std::vector<BucketSpan>* spans) {
  if (!spans->empty() && index == *end) {
    ++spans->back().length;
  } else {
    spans->push_back({static_cast<std::int32_t>(index - *end), 1});
  }
  *end = index + 1;
}

// Counts of hostile input wrap around instead of overflowing.
void Add(std::int64_t count, std::int64_t* sum) {
  *sum = static_cast<std::int64_t>(static_cast<std::uint64_t>(*sum) +
                                   static_cast<std::uint64_t>(count));
}
void Add(double count, double* sum) { *sum += count; }

/// Merges buckets so that each spans `factor_bits` doublings of old ones.
void MergeBuckets(int factor_bits, std::vector<BucketSpan>* spans,
                  std::vector<std::int64_t>* deltas) {
  const std::vector<std::int64_t> counts = AbsoluteCounts(*deltas);
  std::vector<BucketSpan> merged;
  std::vector<std::int64_t> merged_counts;
  std::int64_t end = 0;
  std::size_t next = 0;
  for (BucketIndexes old(*spans); !old.done(); old.Next()) {
    // A bucket's index is that of its upper bound.
    const std::int64_t index = ((old.index() - 1) >> factor_bits) + 1;
    if (merged.empty() || index >= end) {
      AddBucket(index, &end, &merged);
      merged_counts.push_back(0);
    }
    Add(counts[next++], &merged_counts.back());
  }
  *spans = std::move(merged);
  *deltas = CountDeltas(merged_counts);
}

template <typename Count>
void StraightenSide(std::vector<BucketSpan>* spans,
                    std::vector<Count>* counts) {
  std::map<std::int64_t, Count> sums;
  std::int64_t index = 0;
  std::size_t next = 0;
  for (const BucketSpan& span : *spans) {
    index += span.offset;
    for (std::uint32_t i = 0; i < span.length; ++i) {
      Add((*counts)[next++], &sums[index++]);
    }
  }
  spans->clear();
  counts->clear();
  std::int64_t end = 0;
  for (const auto& [bucket, count] : sums) {
    AddBucket(bucket, &end, spans);
    counts->push_back(count);
  }
}

void StraightenDeltas(std::vector<BucketSpan>* spans,
                      std::vector<std::int64_t>* deltas) {
  std::vector<std::int64_t> counts = AbsoluteCounts(*deltas);
  StraightenSide(spans, &counts);
  *deltas = CountDeltas(counts);
}

}  // namespace

bool IsCrooked(const std::vector<BucketSpan>& spans) {
  for (std::size_t i = 1; i < spans.size(); ++i) {
    if (spans[i].offset < 0) return true;
  }
  return false;
}

void Straighten(model::IntHistogram* histogram) {
  StraightenDeltas(&histogram->positive_spans, &histogram->positive_deltas);
  StraightenDeltas(&histogram->negative_spans, &histogram->negative_deltas);
}

void Straighten(model::FloatHistogram* histogram) {
  StraightenSide(&histogram->positive_spans, &histogram->positive_buckets);
  StraightenSide(&histogram->negative_spans, &histogram->negative_buckets);
}

bool IsReadableSchema(std::int64_t schema) {
  return schema == model::kCustomBoundsSchema ||
         (schema >= model::kMinExponentialSchema &&
          schema <= kMaxReservedSchema);
}

void ReduceReservedSchema(model::IntHistogram* histogram) {
  const int bits = histogram->schema - model::kMaxExponentialSchema;
  if (bits <= 0) return;
  MergeBuckets(bits, &histogram->positive_spans, &histogram->positive_deltas);
  MergeBuckets(bits, &histogram->negative_spans, &histogram->negative_deltas);
  histogram->schema = model::kMaxExponentialSchema;
}

void ReduceReservedSchema(model::FloatHistogram* histogram) {
  if (histogram->schema <= model::kMaxExponentialSchema) return;
  model::ReduceResolution(model::kMaxExponentialSchema, histogram);
}

void WriteHistogramLayout(const model::HistogramLayout& layout,
                          BitWriter* out) {
  WriteZeroThreshold(layout.zero_threshold, out);
  out->VarbitInt(layout.schema);
  WriteSpans(layout.positive_spans, out);
  WriteSpans(layout.negative_spans, out);
  if (!layout.has_custom_bounds()) return;
  out->VarbitUint(layout.custom_bounds.size());
  for (const double bound : layout.custom_bounds) WriteBound(bound, out);
}

absl::Status ReadHistogramLayout(BitCursor* in,
                                 model::HistogramLayout* layout) {
  layout->zero_threshold = ReadZeroThreshold(in);
  const std::int64_t schema = in->VarbitInt();
  if (!IsReadableSchema(schema)) {
    return absl::DataLossError(
        absl::StrCat("unknown histogram schema ", schema));
  }
  layout->schema = static_cast<std::int32_t>(schema);
  NARTHEX_RETURN_IF_ERROR(ReadSpans(in, &layout->positive_spans));
  NARTHEX_RETURN_IF_ERROR(ReadSpans(in, &layout->negative_spans));
  if (layout->has_custom_bounds())
    return ReadBounds(in, &layout->custom_bounds);
  return absl::OkStatus();
}

std::size_t BucketCount(const std::vector<BucketSpan>& spans) {
  std::size_t count = 0;
  for (const BucketSpan& span : spans) count += span.length;
  return count;
}

BucketIndexes::BucketIndexes(const std::vector<BucketSpan>& spans)
    : spans_(spans) {
  if (done()) return;
  index_ = spans_[0].offset;
  SkipEmptySpans();
}

void BucketIndexes::Next() {
  ++index_;
  ++in_span_;
  SkipEmptySpans();
}

void BucketIndexes::SkipEmptySpans() {
  while (in_span_ == spans_[span_].length) {
    in_span_ = 0;
    if (++span_ == spans_.size()) return;
    index_ += spans_[span_].offset;
  }
}

std::vector<BucketSpan> UnionOfSpans(const std::vector<BucketSpan>& a,
                                     const std::vector<BucketSpan>& b) {
  std::vector<BucketSpan> spans;
  std::int64_t end = 0;
  BucketIndexes in_a(a);
  BucketIndexes in_b(b);
  while (!in_a.done() || !in_b.done()) {
    const bool take_a =
        !in_a.done() && (in_b.done() || in_a.index() <= in_b.index());
    const bool take_b =
        !in_b.done() && (in_a.done() || in_b.index() <= in_a.index());
    AddBucket(take_a ? in_a.index() : in_b.index(), &end, &spans);
    if (take_a) in_a.Next();
    if (take_b) in_b.Next();
  }
  return spans;
}

std::vector<std::int64_t> AbsoluteCounts(
    const std::vector<std::int64_t>& deltas) {
  std::vector<std::int64_t> counts;
  counts.reserve(deltas.size());
  std::uint64_t count = 0;
  for (const std::int64_t delta : deltas) {
    count += static_cast<std::uint64_t>(delta);
    counts.push_back(static_cast<std::int64_t>(count));
  }
  return counts;
}

std::vector<std::int64_t> CountDeltas(const std::vector<std::int64_t>& counts) {
  std::vector<std::int64_t> deltas;
  deltas.reserve(counts.size());
  std::uint64_t before = 0;
  for (const std::int64_t count : counts) {
    const auto now = static_cast<std::uint64_t>(count);
    deltas.push_back(static_cast<std::int64_t>(now - before));
    before = now;
  }
  return deltas;
}

std::vector<std::int64_t> SpreadBuckets(const std::vector<std::int64_t>& deltas,
                                        const std::vector<BucketSpan>& from,
                                        const std::vector<BucketSpan>& to) {
  return CountDeltas(Spread(AbsoluteCounts(deltas), from, to));
}

std::vector<double> SpreadBuckets(const std::vector<double>& counts,
                                  const std::vector<BucketSpan>& from,
                                  const std::vector<BucketSpan>& to) {
  return Spread(counts, from, to);
}

}  // namespace narthex::tsdb
