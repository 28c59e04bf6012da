#include "libs/model/histogram_resolution.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "libs/model/histogram_arithmetic.h"
#include "libs/model/histogram_buckets.h"

namespace narthex::model {
namespace {

constexpr std::int32_t kMaxReservedSchema = 52;

struct Side {
  std::vector<BucketSpan> spans;
  std::vector<std::int64_t> deltas;
};

Side Coarser(const std::vector<BucketSpan>& spans,
             const std::vector<std::int64_t>& deltas, std::int32_t from,
             std::int32_t to) {
  // The cursor wants counts; none is lost up to 2^53, so they are summed here.
  const std::vector<double> places(deltas.size());
  BucketCursor at(spans, places);
  std::vector<std::pair<std::int32_t, std::int64_t>> counts;
  std::int64_t count = 0;
  while (at.Next()) {
    count += deltas[at.position()];
    if (count == 0) continue;
    const std::int32_t index = CoarserIndex(at.index(), from, to);
    if (counts.empty() || counts.back().first != index) {
      counts.emplace_back(index, 0);
    }
    counts.back().second += count;
  }
  Side side;
  std::int64_t before = 0;
  std::int32_t end = 0;
  for (const auto& [index, sum] : counts) {
    if (side.spans.empty() || index != end) {
      side.spans.push_back({index - end, 0});
    }
    ++side.spans.back().length;
    end = index + 1;
    side.deltas.push_back(sum - before);
    before = sum;
  }
  return side;
}

// Histograms are shared: what changes is a copy.
void Reduce(std::int32_t schema, HistogramValue* value) {
  if (value->integer != nullptr) {
    auto reduced = std::make_shared<IntHistogram>(*value->integer);
    ReduceResolution(schema, reduced.get());
    value->integer = std::move(reduced);
  } else {
    auto reduced = std::make_shared<FloatHistogram>(*value->floating);
    ReduceResolution(schema, reduced.get());
    value->floating = std::move(reduced);
  }
}

std::int32_t SchemaOf(const HistogramValue& value) {
  return value.integer != nullptr ? value.integer->schema
                                  : value.floating->schema;
}

std::size_t BucketsOf(const HistogramValue& value) {
  return value.integer != nullptr ? value.integer->positive_deltas.size() +
                                        value.integer->negative_deltas.size()
                                  : value.floating->positive_buckets.size() +
                                        value.floating->negative_buckets.size();
}

}  // namespace

void ReduceResolution(std::int32_t schema, IntHistogram* histogram) {
  Side positive = Coarser(histogram->positive_spans, histogram->positive_deltas,
                          histogram->schema, schema);
  Side negative = Coarser(histogram->negative_spans, histogram->negative_deltas,
                          histogram->schema, schema);
  histogram->positive_spans = std::move(positive.spans);
  histogram->positive_deltas = std::move(positive.deltas);
  histogram->negative_spans = std::move(negative.spans);
  histogram->negative_deltas = std::move(negative.deltas);
  histogram->schema = schema;
}

void LimitSchema(std::int32_t max_schema, HistogramValue* value) {
  const std::int32_t schema = SchemaOf(*value);
  if (schema > max_schema && schema <= kMaxReservedSchema) {
    Reduce(max_schema, value);
  }
}

bool LimitBuckets(std::size_t limit, HistogramValue* value) {
  while (BucketsOf(*value) > limit) {
    const std::int32_t schema = SchemaOf(*value);
    if (schema <= kMinExponentialSchema) return false;
    Reduce(schema - 1, value);
  }
  return true;
}

std::int32_t SchemaForFactor(double factor) {
  if (factor <= 1) return kMaxExponentialSchema;
  const double schema = std::floor(-std::log2(std::log2(factor)));
  return static_cast<std::int32_t>(
      std::clamp<double>(schema, kMinExponentialSchema, kMaxExponentialSchema));
}

}  // namespace narthex::model
