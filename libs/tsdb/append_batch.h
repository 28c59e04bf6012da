#pragma once

#include <cstdint>

#include "absl/types/span.h"
#include "libs/storage/storage.h"
#include "libs/tsdb/append_rules.h"
#include "libs/tsdb/wal_histogram_records.h"
#include "libs/tsdb/wal_records.h"

namespace narthex::tsdb {

/// What is appended together: all of it is visible at once. Samples,
/// histograms and exemplars are numbered through in this order, for
/// rejections.
struct AppendBatch {
  absl::Span<const RefSample> samples;
  /// Of as many samples when the counter behind each began, 0: not known; or
  /// none.
  absl::Span<const std::int64_t> starts_ms = {};
  absl::Span<const RefHistogram> histograms;
  absl::Span<const RefExemplar> exemplars;
  absl::Span<const RefMetadata> metadata;
  AppendRules rules = {};

  bool empty() const {
    return samples.empty() && histograms.empty() && exemplars.empty() &&
           metadata.empty();
  }
};

}  // namespace narthex::tsdb
