#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/model/histogram.h"

namespace narthex::promql {

/// A native histogram as test scripts and rule unit tests write it down.
struct HistogramDescription {
  model::FloatHistogram histogram;
  /// Whether `counter_reset_hint` was among the keys.
  bool names_counter_reset = false;
};

/// Parses `{{schema:1 sum:-0.3 count:3 z_bucket:1 z_bucket_w:0.1 buckets:[1 2]
/// offset:-3 n_buckets:[4] n_offset:1 counter_reset_hint:gauge
/// custom_values:[1 2]}}`: keys in any order, bucket counts absolute.
/// kInvalidArgument naming what is not understood.
absl::StatusOr<HistogramDescription> ParseHistogram(absl::string_view text);

/// In the same notation, as promtool prints what a test has got.
std::string DescribeHistogram(const model::FloatHistogram& histogram);

}  // namespace narthex::promql
