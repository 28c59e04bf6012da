#pragma once

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/http/client.h"

namespace narthex::http {

/// Appends what `data`, encoded as "gzip" or "zstd", holds to `*out`; nothing
/// of it after an error.
/// kInvalidArgument when it is malformed or ends too early, kResourceExhausted
/// "body size limit exceeded" when it holds more than `max_bytes` (0: no
/// limit), the refusal of `claim`, when there is one, when it holds more than
/// that.
absl::Status DecodeContent(absl::string_view encoding, absl::string_view data,
                           std::size_t max_bytes, std::string* out,
                           BodyClaim* claim = nullptr);

/// Decodes a body that was received for `request`: true when `*out` holds all
/// of it or `result->status` says why not. False when it is left as it is,
/// because it is not packed or holds more than `most_decoded_bytes`, which
/// `result->packed` tells.
bool DecodeReceived(const FetchRequest& request, absl::string_view body,
                    FetchResult* result, std::string* out);

}  // namespace narthex::http
