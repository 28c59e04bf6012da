#include "services/querier/written_histogram.h"

#include <bit>
#include <memory>
#include <utility>
#include <vector>

#include "libs/base/proto_field.h"
#include "libs/base/varint.h"

namespace narthex::querier {
namespace {

bool ReadSpan(absl::string_view bytes, model::BucketSpan* span) {
  base::ProtoField field;
  while (!bytes.empty()) {
    if (!base::ReadField(&bytes, &field)) return false;
    if (field.type != base::kVarint) continue;
    if (field.number == 1) {
      span->offset =
          static_cast<std::int32_t>(base::ZigZag(field.number_value));
    } else if (field.number == 2) {
      span->length = static_cast<std::uint32_t>(field.number_value);
    }
  }
  return true;
}

// All that a message may say, of either kind.
struct Parts {
  model::HistogramLayout layout;
  bool is_float = false;
  std::uint64_t count = 0;
  double float_count = 0;
  std::uint64_t zero_count = 0;
  double float_zero_count = 0;
  double sum = 0;
  std::vector<std::uint64_t> positive_deltas;
  std::vector<std::uint64_t> negative_deltas;
  std::vector<double> positive_counts;
  std::vector<double> negative_counts;
  std::int64_t timestamp_ms = 0;
  std::int64_t start_ms = 0;
};

bool ReadNumber(const base::ProtoField& field, Parts* parts) {
  const auto as_double = [&field] {
    return std::bit_cast<double>(field.number_value);
  };
  switch (field.number) {
    case 1:
      parts->is_float = false;
      parts->count = field.number_value;
      break;
    case 2:
      parts->is_float = true;
      parts->float_count = as_double();
      break;
    case 3:
      parts->sum = as_double();
      break;
    case 4:
      parts->layout.schema =
          static_cast<std::int32_t>(base::ZigZag(field.number_value));
      break;
    case 5:
      parts->layout.zero_threshold = as_double();
      break;
    case 6:
      parts->zero_count = field.number_value;
      break;
    case 7:
      parts->float_zero_count = as_double();
      break;
    case 14:
      if (field.number_value > 3) return false;
      parts->layout.counter_reset =
          static_cast<model::CounterReset>(field.number_value);
      break;
    case 15:
      parts->timestamp_ms = static_cast<std::int64_t>(field.number_value);
      break;
    case 17:
      parts->start_ms = static_cast<std::int64_t>(field.number_value);
      break;
    default:
      break;
  }
  return true;
}

bool ReadPart(const base::ProtoField& field, Parts* parts) {
  switch (field.number) {
    case 8:
      return ReadSpan(field.bytes,
                      &parts->layout.negative_spans.emplace_back());
    case 9:
      return base::ReadVarints(field, &parts->negative_deltas);
    case 10:
      return base::ReadDoubles(field, &parts->negative_counts);
    case 11:
      return ReadSpan(field.bytes,
                      &parts->layout.positive_spans.emplace_back());
    case 12:
      return base::ReadVarints(field, &parts->positive_deltas);
    case 13:
      return base::ReadDoubles(field, &parts->positive_counts);
    case 16:
      return base::ReadDoubles(field, &parts->layout.custom_bounds);
    default:
      return ReadNumber(field, parts);
  }
}

std::vector<std::int64_t> Signed(const std::vector<std::uint64_t>& zigzag) {
  std::vector<std::int64_t> values;
  values.reserve(zigzag.size());
  for (const std::uint64_t value : zigzag) {
    values.push_back(base::ZigZag(value));
  }
  return values;
}

}  // namespace

bool ReadHistogram(absl::string_view bytes, WrittenHistogram* histogram) {
  Parts parts;
  base::ProtoField field;
  while (!bytes.empty()) {
    if (!base::ReadField(&bytes, &field) || !ReadPart(field, &parts)) {
      return false;
    }
  }
  histogram->timestamp_ms = parts.timestamp_ms;
  histogram->start_ms = parts.start_ms;
  if (parts.is_float) {
    auto value = std::make_shared<model::FloatHistogram>();
    static_cast<model::HistogramLayout&>(*value) = std::move(parts.layout);
    value->count = parts.float_count;
    value->zero_count = parts.float_zero_count;
    value->sum = parts.sum;
    value->positive_buckets = std::move(parts.positive_counts);
    value->negative_buckets = std::move(parts.negative_counts);
    histogram->value = {nullptr, std::move(value)};
    return true;
  }
  auto value = std::make_shared<model::IntHistogram>();
  static_cast<model::HistogramLayout&>(*value) = std::move(parts.layout);
  value->count = parts.count;
  value->zero_count = parts.zero_count;
  value->sum = parts.sum;
  value->positive_deltas = Signed(parts.positive_deltas);
  value->negative_deltas = Signed(parts.negative_deltas);
  histogram->value = {std::move(value), nullptr};
  return true;
}

void AppendSpans(std::uint32_t number,
                 const std::vector<model::BucketSpan>& spans,
                 std::string* out) {
  for (const model::BucketSpan& span : spans) {
    std::string message;
    base::AppendVarintField(1, base::ToZigZag(span.offset), &message);
    base::AppendVarintField(2, span.length, &message);
    base::AppendBytesField(number, message, out);
  }
}

namespace {

void AppendDoubles(std::uint32_t number, const std::vector<double>& values,
                   std::string* out) {
  if (values.empty()) return;
  base::AppendBytesField(
      number,
      absl::string_view(reinterpret_cast<const char*>(values.data()),
                        values.size() * sizeof(double)),
      out);
}

void AppendDeltas(std::uint32_t number, const std::vector<std::int64_t>& deltas,
                  std::string* out) {
  if (deltas.empty()) return;
  std::string packed;
  for (const std::int64_t delta : deltas) base::PutVarint(delta, &packed);
  base::AppendBytesField(number, packed, out);
}

void AppendLayout(const model::HistogramLayout& layout, std::string* out) {
  base::AppendVarintField(4, base::ToZigZag(layout.schema), out);
  base::AppendDoubleField(5, layout.zero_threshold, out);
  AppendSpans(8, layout.negative_spans, out);
  AppendSpans(11, layout.positive_spans, out);
  base::AppendVarintField(14, static_cast<std::uint64_t>(layout.counter_reset),
                          out);
  AppendDoubles(16, layout.custom_bounds, out);
}

}  // namespace

void AppendHistogram(const WrittenHistogram& histogram, std::string* out) {
  base::AppendVarintField(
      15, static_cast<std::uint64_t>(histogram.timestamp_ms), out);
  if (histogram.value.integer != nullptr) {
    const model::IntHistogram& value = *histogram.value.integer;
    AppendLayout(value, out);
    base::AppendVarintField(1, value.count, out);
    base::AppendDoubleField(3, value.sum, out);
    base::AppendVarintField(6, value.zero_count, out);
    AppendDeltas(9, value.negative_deltas, out);
    AppendDeltas(12, value.positive_deltas, out);
    return;
  }
  const model::FloatHistogram& value = *histogram.value.floating;
  AppendLayout(value, out);
  base::AppendDoubleField(2, value.count, out);
  base::AppendDoubleField(3, value.sum, out);
  base::AppendDoubleField(7, value.zero_count, out);
  AppendDoubles(10, value.negative_buckets, out);
  AppendDoubles(13, value.positive_buckets, out);
}

}  // namespace narthex::querier
