#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace narthex::base {

/// XXH64 with seed 0: the stable hash that Prometheus uses for label sets and
/// that decides where a series lives. Never changes.
std::uint64_t XxHash64(absl::string_view data);

/// 128-bit XXH3: names a text by its hash where a collision must not happen.
struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
};
Hash128 XxHash128(absl::string_view data);

/// FNV-1a, 64 bits: the hash of Prometheus fingerprints. Chain calls with
/// `seed` to hash a sequence.
constexpr std::uint64_t kFnvOffset = 14695981039346656037ULL;
std::uint64_t Fnv1a64(absl::string_view data, std::uint64_t seed = kFnvOffset);

}  // namespace narthex::base
