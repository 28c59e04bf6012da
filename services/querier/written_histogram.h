#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/model/histogram.h"

namespace narthex::querier {

/// A native histogram of a remote-write request.
struct WrittenHistogram {
  std::int64_t timestamp_ms = 0;
  model::HistogramValue value;
  std::int64_t start_ms = 0;  ///< Of version 2; 0: not told.
};

/// Reads a prometheus.Histogram, which io.prometheus.write.v2.Histogram equals
/// field by field but for the start time that it has beside them. False when it
/// is malformed; whether the histogram is consistent is another question.
bool ReadHistogram(absl::string_view bytes, WrittenHistogram* histogram);
/// Appends spans as messages of an offset and a length, the same in remote
/// write and in expositions.
void AppendSpans(std::uint32_t number,
                 const std::vector<model::BucketSpan>& spans, std::string* out);
/// Appends the fields of that message.
void AppendHistogram(const WrittenHistogram& histogram, std::string* out);

}  // namespace narthex::querier
