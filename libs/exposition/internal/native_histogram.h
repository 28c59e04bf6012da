#pragma once

#include <optional>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/model/histogram.h"

namespace narthex::exposition::internal {

/// A bucket of a classic histogram.
struct ClassicBucket {
  double upper_bound = 0;
  double count = 0;            ///< Cumulative.
  absl::string_view exemplar;  ///< Encoded; empty: none.
};

/// An io.prometheus.client.Histogram, which may be a classic histogram, a
/// native one or both.
struct HistogramMessage {
  double count = 0;
  double sum = 0;
  std::vector<ClassicBucket> buckets;
  /// Encoded, beside those of buckets.
  std::vector<absl::string_view> exemplars;
  /// When the histogram was created; 0: not told.
  std::int64_t start_ms = 0;
  /// Null when the message has no native histogram. Empty buckets are left
  /// out.
  std::optional<model::HistogramValue> native;
};

/// False when `bytes` are malformed. `gauge`: the histogram is no counter.
bool ReadHistogramMessage(absl::string_view bytes, bool gauge,
                          HistogramMessage* message);

/// Reads a google.protobuf.Timestamp. False when it is malformed.
bool ReadTimestamp(absl::string_view bytes, std::int64_t* unix_ms);

}  // namespace narthex::exposition::internal
