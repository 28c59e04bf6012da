#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "libs/model/histogram.h"
#include "libs/tsdb/bits.h"

/// The layout that all samples of a histogram chunk share, and what happens
/// to buckets when layouts meet.
namespace narthex::tsdb {

/// Schemas above the finest one in use, up to this, are reserved: histograms
/// of them are read, at the finest resolution in use.
inline constexpr std::int32_t kMaxReservedSchema = 52;

/// Whether histograms of a schema can be read.
bool IsReadableSchema(std::int64_t schema);

/// Merges buckets until the schema is one in use. Requires: a valid histogram
/// but for its schema, which is readable.
void ReduceReservedSchema(model::IntHistogram* histogram);
void ReduceReservedSchema(model::FloatHistogram* histogram);

/// Appends zero threshold, schema, spans and custom bounds.
void WriteHistogramLayout(const model::HistogramLayout& layout, BitWriter* out);

/// Reads them; the counter reset is left alone. The spans may be crooked.
/// kDataLoss when they make no sense or need more than the rest of `*in` can
/// hold, or for a schema that cannot be read.
absl::Status ReadHistogramLayout(BitCursor* in, model::HistogramLayout* layout);

/// Whether spans go back to buckets before them. Some versions of Prometheus
/// write a bucket twice so (seen: 3.5.3), when a chunk gets new buckets while
/// the new sample lacks empty ones.
bool IsCrooked(const std::vector<model::BucketSpan>& spans);

/// Gives buckets that come twice as one, their sum, in ascending order.
void Straighten(model::IntHistogram* histogram);
void Straighten(model::FloatHistogram* histogram);

/// Number of buckets of a side.
std::size_t BucketCount(const std::vector<model::BucketSpan>& spans);

/// Walks over the buckets of one side in ascending order of their indices.
class BucketIndexes {
 public:
  explicit BucketIndexes(const std::vector<model::BucketSpan>& spans);

  bool done() const { return span_ == spans_.size(); }
  /// Requires: not done.
  std::int64_t index() const { return index_; }
  void Next();

 private:
  void SkipEmptySpans();

  const std::vector<model::BucketSpan>& spans_;
  std::size_t span_ = 0;
  std::uint32_t in_span_ = 0;
  std::int64_t index_ = 0;
};

/// The fewest spans with the buckets of both.
std::vector<model::BucketSpan> UnionOfSpans(
    const std::vector<model::BucketSpan>& a,
    const std::vector<model::BucketSpan>& b);

/// Buckets of a side as absolute counts, from the differences between them,
/// and back.
std::vector<std::int64_t> AbsoluteCounts(
    const std::vector<std::int64_t>& deltas);
std::vector<std::int64_t> CountDeltas(const std::vector<std::int64_t>& counts);

/// The buckets of a side moved from one layout to another that has all of
/// them; the others are 0. Integer buckets are differences.
std::vector<std::int64_t> SpreadBuckets(
    const std::vector<std::int64_t>& deltas,
    const std::vector<model::BucketSpan>& from,
    const std::vector<model::BucketSpan>& to);
std::vector<double> SpreadBuckets(const std::vector<double>& counts,
                                  const std::vector<model::BucketSpan>& from,
                                  const std::vector<model::BucketSpan>& to);

}  // namespace narthex::tsdb
