#pragma once

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace narthex::http {

/// Compresses into the gzip format at zlib's fastest level, appending to
/// `*out`.
void GzipCompress(absl::string_view data, std::string* out);

/// Appends the content of a gzip stream (one or more members) to `*out`.
/// kInvalidArgument when it is malformed, kResourceExhausted when it holds
/// more than `max_bytes` (0: no limit).
absl::Status GzipDecompress(absl::string_view data, std::size_t max_bytes,
                            std::string* out);

}  // namespace narthex::http
