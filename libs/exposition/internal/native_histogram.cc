#include "libs/exposition/internal/native_histogram.h"

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "libs/base/proto_field.h"
#include "libs/model/sample.h"

namespace narthex::exposition::internal {
namespace {

using base::ProtoField;

double DoubleOf(const ProtoField& field) {
  return std::bit_cast<double>(field.number_value);
}

// The native part as it is sent.
struct NativeFields {
  std::int32_t schema = 0;
  double zero_threshold = 0;
  std::uint64_t zero_count = 0;
  double zero_count_float = 0;
  std::vector<model::BucketSpan> positive_spans;
  std::vector<model::BucketSpan> negative_spans;
  std::vector<std::uint64_t> positive_deltas;  // Zigzag.
  std::vector<std::uint64_t> negative_deltas;
  std::vector<double> positive_counts;
  std::vector<double> negative_counts;

  // An empty native histogram is told by a span without buckets.
  bool any() const {
    return !positive_spans.empty() || !negative_spans.empty() ||
           zero_threshold > 0 || zero_count > 0 || zero_count_float > 0;
  }
};

bool ReadSpan(absl::string_view bytes, std::vector<model::BucketSpan>* spans) {
  model::BucketSpan& span = spans->emplace_back();
  ProtoField field;
  while (!bytes.empty()) {
    if (!base::ReadField(&bytes, &field)) return false;
    if (field.number == 1) {
      span.offset = static_cast<std::int32_t>(base::ZigZag(field.number_value));
    } else if (field.number == 2) {
      span.length = static_cast<std::uint32_t>(field.number_value);
    }
  }
  return true;
}

bool ReadBucket(absl::string_view bytes, ClassicBucket* bucket) {
  ProtoField field;
  double whole = 0;
  double fraction = 0;
  while (!bytes.empty()) {
    if (!base::ReadField(&bytes, &field)) return false;
    switch (field.number) {
      case 1:
        whole = static_cast<double>(field.number_value);
        break;
      case 2:
        bucket->upper_bound = DoubleOf(field);
        break;
      case 3:
        bucket->exemplar = field.bytes;
        break;
      case 4:
        fraction = DoubleOf(field);
        break;
      default:
        break;
    }
  }
  bucket->count = fraction > 0 ? fraction : whole;
  return true;
}

bool ReadNative(const ProtoField& field, NativeFields* native) {
  switch (field.number) {
    case 5:
      native->schema =
          static_cast<std::int32_t>(base::ZigZag(field.number_value));
      return true;
    case 6:
      native->zero_threshold = DoubleOf(field);
      return true;
    case 7:
      native->zero_count = field.number_value;
      return true;
    case 8:
      native->zero_count_float = DoubleOf(field);
      return true;
    case 9:
      return ReadSpan(field.bytes, &native->negative_spans);
    case 10:
      return base::ReadVarints(field, &native->negative_deltas);
    case 11:
      return base::ReadDoubles(field, &native->negative_counts);
    case 12:
      return ReadSpan(field.bytes, &native->positive_spans);
    case 13:
      return base::ReadVarints(field, &native->positive_deltas);
    case 14:
      return base::ReadDoubles(field, &native->positive_counts);
    default:
      return true;
  }
}

// Lets `visit(index, count)` see each bucket that the spans name; false when
// there are not as many counts.
template <typename Count, typename Visit>
bool ForEachBucket(const std::vector<model::BucketSpan>& spans,
                   const std::vector<Count>& counts, const Visit& visit) {
  std::size_t next = 0;
  std::int64_t index = 0;
  for (const model::BucketSpan& span : spans) {
    index += span.offset;
    if (span.length > counts.size() - next) return false;
    for (std::uint32_t i = 0; i < span.length; ++i) {
      visit(index++, counts[next++]);
    }
  }
  return next == counts.size();
}

// Buckets without observations say nothing and are left out.
template <typename Count, typename Add>
bool Compact(const std::vector<model::BucketSpan>& spans,
             const std::vector<Count>& counts, const Add& add,
             std::vector<model::BucketSpan>* compact) {
  std::int64_t end = 0;  // Of the last span made.
  return ForEachBucket(spans, counts, [&](std::int64_t index, Count count) {
    if (count == 0) return;
    if (compact->empty() || index != end) {
      compact->push_back({static_cast<std::int32_t>(index - end), 0});
    }
    ++compact->back().length;
    end = index + 1;
    add(count);
  });
}

bool CompactSide(const std::vector<model::BucketSpan>& spans,
                 const std::vector<std::uint64_t>& deltas,
                 std::vector<model::BucketSpan>* compact_spans,
                 std::vector<std::int64_t>* compact) {
  std::vector<std::int64_t> counts;
  counts.reserve(deltas.size());
  std::int64_t count = 0;
  for (const std::uint64_t delta : deltas) {
    if (__builtin_add_overflow(count, base::ZigZag(delta), &count)) {
      return false;
    }
    counts.push_back(count);
  }
  std::int64_t before = 0;
  return Compact(
      spans, counts,
      [&](std::int64_t one) {
        compact->push_back(one - before);
        before = one;
      },
      compact_spans);
}

bool CompactSide(const std::vector<model::BucketSpan>& spans,
                 const std::vector<double>& counts,
                 std::vector<model::BucketSpan>* compact_spans,
                 std::vector<double>* compact) {
  return Compact(
      spans, counts, [&](double one) { compact->push_back(one); },
      compact_spans);
}

void FillLayout(const NativeFields& native, bool gauge,
                model::HistogramLayout* layout) {
  layout->schema = native.schema;
  layout->zero_threshold = native.zero_threshold;
  if (gauge) layout->counter_reset = model::CounterReset::kGauge;
}

bool MakeNative(const NativeFields& native, bool gauge, std::uint64_t count,
                double count_float, HistogramMessage* message) {
  if (count_float > 0 || native.zero_count_float > 0) {
    auto made = std::make_shared<model::FloatHistogram>();
    FillLayout(native, gauge, made.get());
    made->count = count_float;
    made->zero_count = native.zero_count_float;
    made->sum = message->sum;
    if (!CompactSide(native.positive_spans, native.positive_counts,
                     &made->positive_spans, &made->positive_buckets) ||
        !CompactSide(native.negative_spans, native.negative_counts,
                     &made->negative_spans, &made->negative_buckets)) {
      return false;
    }
    message->native = model::HistogramValue{nullptr, std::move(made)};
    return true;
  }
  auto made = std::make_shared<model::IntHistogram>();
  FillLayout(native, gauge, made.get());
  made->count = count;
  made->zero_count = native.zero_count;
  made->sum = message->sum;
  if (!CompactSide(native.positive_spans, native.positive_deltas,
                   &made->positive_spans, &made->positive_deltas) ||
      !CompactSide(native.negative_spans, native.negative_deltas,
                   &made->negative_spans, &made->negative_deltas)) {
    return false;
  }
  message->native = model::HistogramValue{std::move(made), nullptr};
  return true;
}

}  // namespace

bool ReadTimestamp(absl::string_view bytes, std::int64_t* unix_ms) {
  std::int64_t seconds = 0;
  std::int64_t nanos = 0;
  ProtoField field;
  while (!bytes.empty()) {
    if (!base::ReadField(&bytes, &field)) return false;
    const auto number = static_cast<std::int64_t>(field.number_value);
    if (field.number == 1) seconds = number;
    if (field.number == 2) nanos = number;
  }
  constexpr std::int64_t kMostSeconds = INT64_MAX / 1000 - 1;
  if (seconds < -kMostSeconds || seconds > kMostSeconds) return false;
  *unix_ms = seconds * 1000 + static_cast<std::int32_t>(nanos) / 1'000'000;
  return true;
}

bool ReadHistogramMessage(absl::string_view bytes, bool gauge,
                          HistogramMessage* message) {
  *message = HistogramMessage();
  NativeFields native;
  std::uint64_t count = 0;
  double count_float = 0;
  ProtoField field;
  while (!bytes.empty()) {
    if (!base::ReadField(&bytes, &field)) return false;
    switch (field.number) {
      case 1:
        count = field.number_value;
        break;
      case 2:
        message->sum = DoubleOf(field);
        break;
      case 3:
        if (!ReadBucket(field.bytes, &message->buckets.emplace_back())) {
          return false;
        }
        break;
      case 4:
        count_float = DoubleOf(field);
        break;
      case 15:
        if (!ReadTimestamp(field.bytes, &message->start_ms)) return false;
        break;
      case 16:
        message->exemplars.push_back(field.bytes);
        break;
      default:
        if (!ReadNative(field, &native)) return false;
    }
  }
  // Only one not-a-number is stored for those that are no markers.
  if (std::isnan(message->sum)) message->sum = model::NormalNan();
  message->count = count_float > 0 ? count_float : static_cast<double>(count);
  return !native.any() ||
         MakeNative(native, gauge, count, count_float, message);
}

}  // namespace narthex::exposition::internal
