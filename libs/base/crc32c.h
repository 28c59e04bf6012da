#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace narthex::base {

/// CRC32 with the Castagnoli polynomial, as in all of Prometheus's files.
/// `crc` is the checksum of what came before.
std::uint32_t Crc32c(absl::string_view data, std::uint32_t crc = 0);

}  // namespace narthex::base
