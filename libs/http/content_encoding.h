#pragma once

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace narthex::http {

/// Whether a body with this Content-Encoding is to be decoded: gzip and zstd
/// are. Any other is taken as it is, as Prometheus does.
bool IsDecodable(absl::string_view encoding);

/// Appends what `data`, encoded as `encoding` says, holds to `*out`; nothing
/// of it after an error.
/// kInvalidArgument when it is malformed or ends too early, kResourceExhausted
/// "body size limit exceeded" when it holds more than `max_bytes` (0: no
/// limit).
absl::Status DecodeContent(absl::string_view encoding, absl::string_view data,
                           std::size_t max_bytes, std::string* out);

}  // namespace narthex::http
