#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/model/sample.h"
#include "libs/storage/storage.h"

namespace narthex::tsdb {

/// Appends the samples of an XOR2 chunk inside `range` to `*out`: floats with
/// the times at which their counters began, where those are known. kDataLoss
/// for corrupt bytes; `*out` is then as before.
/// Source: Prometheus 3.14, tsdb/docs/format/chunks.md.
absl::Status DecodeXor2Chunk(absl::string_view bytes,
                             const storage::TimeRange& range,
                             model::SampleColumns* out);

/// Appends the XOR2 chunk of `samples` (1 to kMaxSamplesPerChunk floats,
/// ascending), with their start times, to `*out`. Bit by bit what Prometheus
/// 3.14 writes.
void EncodeXor2Chunk(const model::SampleColumns& samples, std::string* out);

}  // namespace narthex::tsdb
