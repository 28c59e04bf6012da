#include "libs/tsdb/wal_histogram_records.h"

#include <bit>
#include <memory>
#include <utility>

#include "libs/base/status.h"
#include "libs/base/varint.h"
#include "libs/tsdb/histogram_layout.h"
#include "libs/tsdb/wal_fields.h"
#include "libs/tsdb/wal_records.h"

namespace narthex::tsdb {
namespace {

using model::BucketSpan;
using model::FloatHistogram;
using model::HistogramLayout;
using model::IntHistogram;

void PutFloat(double value, std::string* out) {
  base::PutBe64(std::bit_cast<std::uint64_t>(value), out);
}

double GetFloat(base::ByteReader* in) {
  return std::bit_cast<double>(in->Be64());
}

void PutSpans(const std::vector<BucketSpan>& spans, std::string* out) {
  base::PutUvarint(spans.size(), out);
  for (const BucketSpan& span : spans) {
    base::PutVarint(span.offset, out);
    base::PutUvarint(span.length, out);
  }
}

/// The number of entries that follow, each of `bytes` at least; fails when
/// they cannot all be there.
std::size_t GetCount(std::size_t bytes, base::ByteReader* in) {
  const std::uint64_t count = in->Uvarint();
  if (count <= in->remaining() / bytes) return static_cast<std::size_t>(count);
  in->Bytes(in->remaining() + 1);
  return 0;
}

void GetSpans(base::ByteReader* in, std::vector<BucketSpan>* spans) {
  spans->resize(GetCount(2, in));
  for (BucketSpan& span : *spans) {
    span.offset = static_cast<std::int32_t>(in->Varint());
    span.length = static_cast<std::uint32_t>(in->Uvarint());
  }
}

void PutFloats(const std::vector<double>& values, std::string* out) {
  base::PutUvarint(values.size(), out);
  for (const double value : values) PutFloat(value, out);
}

void GetFloats(base::ByteReader* in, std::vector<double>* values) {
  values->resize(GetCount(sizeof(double), in));
  for (double& value : *values) value = GetFloat(in);
}

void PutDeltas(const std::vector<std::int64_t>& deltas, std::string* out) {
  base::PutUvarint(deltas.size(), out);
  for (const std::int64_t delta : deltas) base::PutVarint(delta, out);
}

void GetDeltas(base::ByteReader* in, std::vector<std::int64_t>* deltas) {
  deltas->resize(GetCount(1, in));
  for (std::int64_t& delta : *deltas) delta = in->Varint();
}

// The fields that integer and float histograms have in common come first and
// last, those that differ in type in two places between.
void PutStart(const HistogramLayout& layout, std::string* out) {
  out->push_back(static_cast<char>(layout.counter_reset));
  base::PutVarint(layout.schema, out);
  PutFloat(layout.zero_threshold, out);
}

void GetStart(base::ByteReader* in, HistogramLayout* layout) {
  layout->counter_reset = static_cast<model::CounterReset>(in->Byte() & 3);
  layout->schema = static_cast<std::int32_t>(in->Varint());
  layout->zero_threshold = GetFloat(in);
}

void GetHistogram(base::ByteReader* in, IntHistogram* histogram) {
  GetStart(in, histogram);
  histogram->zero_count = in->Uvarint();
  histogram->count = in->Uvarint();
  histogram->sum = GetFloat(in);
  GetSpans(in, &histogram->positive_spans);
  GetSpans(in, &histogram->negative_spans);
  GetDeltas(in, &histogram->positive_deltas);
  GetDeltas(in, &histogram->negative_deltas);
  if (histogram->has_custom_bounds()) GetFloats(in, &histogram->custom_bounds);
}

void GetHistogram(base::ByteReader* in, FloatHistogram* histogram) {
  GetStart(in, histogram);
  histogram->zero_count = GetFloat(in);
  histogram->count = GetFloat(in);
  histogram->sum = GetFloat(in);
  GetSpans(in, &histogram->positive_spans);
  GetSpans(in, &histogram->negative_spans);
  GetFloats(in, &histogram->positive_buckets);
  GetFloats(in, &histogram->negative_buckets);
  if (histogram->has_custom_bounds()) GetFloats(in, &histogram->custom_bounds);
}

bool SpansHold(const std::vector<BucketSpan>& spans, std::size_t buckets) {
  for (std::size_t i = 1; i < spans.size(); ++i) {
    if (spans[i].offset < 0) return false;
  }
  return BucketCount(spans) == buckets;
}

/// Whether a histogram can be appended to a chunk.
bool IsUsable(const HistogramLayout& layout, std::size_t positive,
              std::size_t negative) {
  return IsReadableSchema(layout.schema) &&
         SpansHold(layout.positive_spans, positive) &&
         SpansHold(layout.negative_spans, negative);
}

bool IsUsable(const IntHistogram& histogram) {
  return IsUsable(histogram, histogram.positive_deltas.size(),
                  histogram.negative_deltas.size());
}

bool IsUsable(const FloatHistogram& histogram) {
  return IsUsable(histogram, histogram.positive_buckets.size(),
                  histogram.negative_buckets.size());
}

const HistogramLayout& LayoutOf(const RefHistogram& one) {
  if (one.value.integer != nullptr) return *one.value.integer;
  return *one.value.floating;
}

void PutValue(const RefHistogram& one, std::string* out) {
  if (one.value.integer != nullptr) {
    PutHistogram(*one.value.integer, out);
  } else {
    PutHistogram(*one.value.floating, out);
  }
}

std::string EncodeWithoutStarts(const std::vector<const RefHistogram*>& list,
                                WalRecordType type) {
  std::string out(1, static_cast<char>(type));
  const RefHistogram& first = *list.front();
  base::PutBe64(first.ref, &out);
  base::PutBe64(static_cast<std::uint64_t>(first.timestamp_ms), &out);
  for (const RefHistogram* one : list) {
    base::PutVarint(Difference(one->ref, first.ref), &out);
    base::PutVarint(Difference(one->timestamp_ms, first.timestamp_ms), &out);
    PutValue(*one, &out);
  }
  return out;
}

std::string EncodeWithStarts(const std::vector<const RefHistogram*>& list,
                             WalRecordType type) {
  std::string out(1, static_cast<char>(type));
  StartingFields fields;
  for (const RefHistogram* one : list) {
    fields.Put({one->ref, one->timestamp_ms, one->start_ms}, &out);
    PutValue(*one, &out);
  }
  return out;
}

template <typename Histogram>
bool Take(base::ByteReader* in, std::shared_ptr<const Histogram>* value,
          std::size_t* skipped) {
  auto histogram = std::make_shared<Histogram>();
  GetHistogram(in, histogram.get());
  if (!in->ok()) return false;
  if (!IsUsable(*histogram)) {
    ++*skipped;
    return false;
  }
  ReduceReservedSchema(histogram.get());
  *value = std::move(histogram);
  return true;
}

bool HoldsFloats(WalRecordType type) {
  return type == WalRecordType::kFloatHistograms ||
         type == WalRecordType::kCustomBucketFloatHistograms ||
         type == WalRecordType::kFloatHistogramsV2;
}

bool HoldsStarts(WalRecordType type) {
  return type == WalRecordType::kHistogramsV2 ||
         type == WalRecordType::kFloatHistogramsV2;
}

}  // namespace

void PutHistogram(const IntHistogram& histogram, std::string* out) {
  PutStart(histogram, out);
  base::PutUvarint(histogram.zero_count, out);
  base::PutUvarint(histogram.count, out);
  PutFloat(histogram.sum, out);
  PutSpans(histogram.positive_spans, out);
  PutSpans(histogram.negative_spans, out);
  PutDeltas(histogram.positive_deltas, out);
  PutDeltas(histogram.negative_deltas, out);
  if (histogram.has_custom_bounds()) PutFloats(histogram.custom_bounds, out);
}

void PutHistogram(const FloatHistogram& histogram, std::string* out) {
  PutStart(histogram, out);
  PutFloat(histogram.zero_count, out);
  PutFloat(histogram.count, out);
  PutFloat(histogram.sum, out);
  PutSpans(histogram.positive_spans, out);
  PutSpans(histogram.negative_spans, out);
  PutFloats(histogram.positive_buckets, out);
  PutFloats(histogram.negative_buckets, out);
  if (histogram.has_custom_bounds()) PutFloats(histogram.custom_bounds, out);
}

void EncodeHistograms(absl::Span<const RefHistogram> histograms,
                      std::vector<std::string>* records) {
  for (const bool floats : {false, true}) {
    std::vector<const RefHistogram*> plain;
    std::vector<const RefHistogram*> custom;
    std::vector<const RefHistogram*> all;
    bool any_start = false;
    for (const RefHistogram& one : histograms) {
      if ((one.value.integer == nullptr) != floats) continue;
      any_start = any_start || one.start_ms != 0;
      all.push_back(&one);
      (LayoutOf(one).has_custom_bounds() ? custom : plain).push_back(&one);
    }
    if (any_start) {
      records->push_back(
          EncodeWithStarts(all, floats ? WalRecordType::kFloatHistogramsV2
                                       : WalRecordType::kHistogramsV2));
      continue;
    }
    if (!plain.empty()) {
      records->push_back(
          EncodeWithoutStarts(plain, floats ? WalRecordType::kFloatHistograms
                                            : WalRecordType::kHistograms));
    }
    if (!custom.empty()) {
      records->push_back(EncodeWithoutStarts(
          custom, floats ? WalRecordType::kCustomBucketFloatHistograms
                         : WalRecordType::kCustomBucketHistograms));
    }
  }
}

bool IsHistogramRecord(absl::string_view record) {
  const auto type = static_cast<WalRecordType>(WalRecordTypeOf(record));
  return (type >= WalRecordType::kHistograms &&
          type <= WalRecordType::kCustomBucketFloatHistograms) ||
         HoldsStarts(type);
}

absl::Status DecodeHistograms(absl::string_view record,
                              std::vector<RefHistogram>* out,
                              std::size_t* skipped) {
  const auto type = static_cast<WalRecordType>(WalRecordTypeOf(record));
  base::ByteReader reader = BodyOfRecord(record);
  if (reader.remaining() == 0) return absl::OkStatus();
  StartingFields starting;
  RecordBase base;
  if (!HoldsStarts(type)) base = RecordBase::Get(&reader);
  while (reader.ok() && reader.remaining() > 0) {
    const SampleFields fields =
        HoldsStarts(type) ? starting.Get(&reader) : base.Next(&reader);
    RefHistogram one;
    one.ref = fields.ref;
    one.timestamp_ms = fields.timestamp_ms;
    one.start_ms = fields.start_ms;
    const bool taken = HoldsFloats(type)
                           ? Take(&reader, &one.value.floating, skipped)
                           : Take(&reader, &one.value.integer, skipped);
    if (taken) out->push_back(std::move(one));
  }
  if (!reader.ok()) return MalformedRecord("histograms", record);
  return absl::OkStatus();
}

}  // namespace narthex::tsdb
