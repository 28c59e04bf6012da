#include "libs/model/histogram.h"

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "libs/base/status.h"
#include "libs/model/sample.h"

namespace narthex::model {

namespace {

absl::Status CheckSpans(absl::string_view side,
                        const std::vector<BucketSpan>& spans,
                        std::size_t buckets) {
  std::uint64_t needed = 0;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    if (i > 0 && spans[i].offset < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("histogram: ", side, " span ", i + 1,
                       " has the negative offset ", spans[i].offset));
    }
    needed += spans[i].length;
  }
  if (needed != buckets) {
    return absl::InvalidArgumentError(
        absl::StrCat("histogram: ", side, " spans need ", needed,
                     " buckets, there are ", buckets));
  }
  return absl::OkStatus();
}

absl::Status CheckCustomBounds(const HistogramLayout& layout,
                               std::size_t buckets) {
  const std::vector<double>& bounds = layout.custom_bounds;
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    if (std::isnan(bounds[i]) || std::isinf(bounds[i])) {
      return absl::InvalidArgumentError(
          "histogram: custom bounds must be finite");
    }
    if (i > 0 && bounds[i] <= bounds[i - 1]) {
      return absl::InvalidArgumentError(
          absl::StrCat("histogram: custom bounds must ascend, but ",
                       bounds[i - 1], " is followed by ", bounds[i]));
    }
  }
  std::uint64_t end = 0;
  for (const BucketSpan& span : layout.positive_spans) {
    if (span.offset < 0) {
      return absl::InvalidArgumentError(
          "histogram: a custom bucket has a negative index");
    }
    end += static_cast<std::uint32_t>(span.offset);
    end += span.length;
  }
  if (end > bounds.size() + 1 || buckets > bounds.size() + 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("histogram: ", bounds.size(),
                     " custom bounds cannot hold the bucket ", end));
  }
  return absl::OkStatus();
}

absl::Status CheckLayout(const HistogramLayout& layout, std::size_t positive,
                         std::size_t negative, bool zero_bucket_used) {
  NARTHEX_RETURN_IF_ERROR(
      CheckSpans("positive", layout.positive_spans, positive));
  NARTHEX_RETURN_IF_ERROR(
      CheckSpans("negative", layout.negative_spans, negative));
  if (layout.has_custom_bounds()) {
    if (negative > 0 || !layout.negative_spans.empty()) {
      return absl::InvalidArgumentError(
          "histogram: custom bounds allow no negative buckets");
    }
    if (zero_bucket_used || layout.zero_threshold != 0) {
      return absl::InvalidArgumentError(
          "histogram: custom bounds allow no zero bucket");
    }
    return CheckCustomBounds(layout, positive);
  }
  if (!IsExponentialSchema(layout.schema)) {
    return absl::InvalidArgumentError(
        absl::StrCat("histogram: unknown schema ", layout.schema));
  }
  if (!layout.custom_bounds.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "histogram: custom bounds with the schema ", layout.schema));
  }
  return absl::OkStatus();
}

// Adds the counts of one side up to `*total`.
absl::Status SumDeltas(absl::string_view side,
                       const std::vector<std::int64_t>& deltas,
                       std::uint64_t* total) {
  std::int64_t count = 0;
  for (std::size_t i = 0; i < deltas.size(); ++i) {
    if (__builtin_add_overflow(count, deltas[i], &count) || count < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("histogram: ", side, " bucket ", i + 1,
                       " has a count that is negative or too large"));
    }
    *total += static_cast<std::uint64_t>(count);
  }
  return absl::OkStatus();
}

absl::Status CheckCounts(absl::string_view side,
                         const std::vector<double>& counts) {
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("histogram: ", side, " bucket ", i + 1,
                       " has the negative count ", counts[i]));
    }
  }
  return absl::OkStatus();
}

std::vector<double> Accumulate(const std::vector<std::int64_t>& deltas) {
  std::vector<double> counts;
  counts.reserve(deltas.size());
  std::int64_t count = 0;
  for (const std::int64_t delta : deltas) {
    count += delta;
    counts.push_back(static_cast<double>(count));
  }
  return counts;
}

}  // namespace

bool FloatHistogram::stale() const { return IsStaleNan(sum); }
bool IntHistogram::stale() const { return IsStaleNan(sum); }

absl::Status FloatHistogram::Validate() const {
  NARTHEX_RETURN_IF_ERROR(CheckLayout(*this, positive_buckets.size(),
                                      negative_buckets.size(),
                                      zero_count != 0));
  NARTHEX_RETURN_IF_ERROR(CheckCounts("positive", positive_buckets));
  NARTHEX_RETURN_IF_ERROR(CheckCounts("negative", negative_buckets));
  if (zero_count < 0 || count < 0) {
    return absl::InvalidArgumentError("histogram: negative count");
  }
  return absl::OkStatus();
}

absl::Status IntHistogram::Validate() const {
  NARTHEX_RETURN_IF_ERROR(CheckLayout(*this, positive_deltas.size(),
                                      negative_deltas.size(), zero_count != 0));
  std::uint64_t total = zero_count;
  NARTHEX_RETURN_IF_ERROR(SumDeltas("positive", positive_deltas, &total));
  NARTHEX_RETURN_IF_ERROR(SumDeltas("negative", negative_deltas, &total));
  // An observation of NaN is counted, but in no bucket.
  if (std::isnan(sum) ? total > count : total != count) {
    return absl::InvalidArgumentError(
        absl::StrCat("histogram: ", total,
                     " observations in buckets, but the count is ", count));
  }
  return absl::OkStatus();
}

FloatHistogram IntHistogram::ToFloat() const {
  FloatHistogram result;
  static_cast<HistogramLayout&>(result) = *this;
  result.zero_count = static_cast<double>(zero_count);
  result.count = static_cast<double>(count);
  result.sum = sum;
  result.positive_buckets = Accumulate(positive_deltas);
  result.negative_buckets = Accumulate(negative_deltas);
  return result;
}

}  // namespace narthex::model
