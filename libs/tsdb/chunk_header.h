#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/storage/storage.h"

namespace narthex::tsdb {

/// Samples of one chunk at most: what its 16-bit count can hold.
inline constexpr int kMaxSamplesPerChunk = 65535;

/// Number of samples as the chunk's header says. kDataLoss when there is no
/// header or the encoding is not known.
absl::StatusOr<int> ChunkSampleCount(storage::Encoding encoding,
                                     absl::string_view bytes);

/// Whether the encoding is one that can be decoded.
bool IsKnownEncoding(storage::Encoding encoding);

/// Whether chunks of the encoding hold histograms, not floats.
bool IsHistogramEncoding(storage::Encoding encoding);

/// Whether chunks of the encoding can hold start times.
bool HasStartTimes(storage::Encoding encoding);

}  // namespace narthex::tsdb
