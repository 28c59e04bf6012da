#include "libs/base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace narthex::base {

std::uint64_t XxHash64(absl::string_view data) {
  return XXH64(data.data(), data.size(), 0);
}

Hash128 XxHash128(absl::string_view data) {
  const XXH128_hash_t hash = XXH3_128bits(data.data(), data.size());
  return {hash.low64, hash.high64};
}

std::uint64_t Fnv1a64(absl::string_view data, std::uint64_t seed) {
  constexpr std::uint64_t kPrime = 1099511628211ULL;
  std::uint64_t hash = seed;
  for (const char c : data) {
    hash ^= static_cast<unsigned char>(c);
    hash *= kPrime;
  }
  return hash;
}

}  // namespace narthex::base
