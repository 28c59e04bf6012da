#pragma once

#include <string>

#include "absl/status/status.h"

namespace narthex::querier {

/// Largest message that is uncompressed, in bytes.
inline constexpr std::size_t kMaxMessageBytes = 32 << 20;

/// Uncompresses the body of a remote-write or -read request. kInvalidArgument
/// when it is corrupt or claims to be larger than kMaxMessageBytes, which is
/// found before a byte is allocated.
absl::Status UncompressBody(const std::string& body, std::string* message);

}  // namespace narthex::querier
