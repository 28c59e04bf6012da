#pragma once

#include <cstddef>
#include <cstdint>

#include "libs/base/block_arena.h"
#include "libs/model/sample.h"

namespace narthex::tsdb {

struct BitCode;

// Aligned to 4 bytes, so that owners can add fields of 4 without padding.
#pragma pack(push, 4)

/// The values of a chunk that grows, in the smallest of these forms that can
/// hold them: one value that does not change, which takes no bits; integers or
/// decimals (decimal_values.h); any (xor_values.h). It goes over to the next
/// form when a value does not fit. The last value is at hand undecoded. A
/// staleness marker at the end fits any form. Made for millions: 20 bytes, and
/// bits in blocks of an arena that is passed to every call. Owns its blocks
/// without freeing them: call Clear(). Who uses it knows how many values it
/// holds. Not thread-safe.
class ValueStream {
 public:
  ValueStream() = default;
  /// Begins with one value.
  explicit ValueStream(double first) : last_(first) {}

  double last() const { return stale_ != 0 ? model::StaleNan() : last_; }
  /// Whether the last value is a staleness marker.
  bool stale() const { return stale_ != 0 || model::IsStaleNan(last_); }

  /// Adds a value to `count` ones, at least one. Returns the bits it will take
  /// in an XOR chunk.
  int Append(base::BlockArena& arena, std::size_t count, double value);
  /// Writes all `count` values to `out`.
  void Decode(const base::BlockArena& arena, std::size_t count,
              double* out) const;

  /// Forgets all values but the last one.
  void Clear(base::BlockArena& arena);
  /// Likewise, but leaves the blocks to a copy.
  void Release() { *this = ValueStream(last()); }

  /// Fetches what the next Append will need into the cache.
  void Prefetch(const base::BlockArena& arena) const {
    if (block_ != base::BlockArena::kNone) {
      __builtin_prefetch(arena.At(block_), 1);
    }
  }

 private:
  // Above: decimals, of as many digits as it is more.
  enum Form : std::uint32_t { kConstant, kXor, kDecimal };

  bool Fits(base::BlockArena& arena, std::size_t count, double value,
            const BitCode& change);
  bool AddDecimal(base::BlockArena& arena, std::size_t count, double value);
  void AddXor(base::BlockArena& arena, double value, const BitCode& change);
  void Put(base::BlockArena& arena, const BitCode& code);
  void Rewrite(base::BlockArena& arena, const double* values,
               std::size_t count);
  bool RewriteAsDecimals(base::BlockArena& arena, const double* values,
                         std::size_t count, std::uint32_t digits);
  void Restart(base::BlockArena& arena, std::uint32_t form, double first);

  double last_ = 0;  // But for a staleness marker that was added.
  base::BlockArena::Handle block_ = base::BlockArena::kNone;  // The last one.
  std::int32_t delta_ = 0;           // Between the last two, as integers.
  std::uint32_t used_ : 5 = 0;       // Bytes of the last block.
  std::uint32_t free_bits_ : 3 = 0;  // Still unused in the last byte.
  std::uint32_t form_ : 4 = kConstant;
  std::uint32_t rice_ : 6 = 0;  // The parameter of decimals.
  // The window of bits that an XOR chunk of these values would have.
  std::uint32_t leading_ : 5 = 31;
  std::uint32_t trailing_ : 6 = 63;
  std::uint32_t stale_ : 1 = 0;  // A staleness marker follows last_.
};

#pragma pack(pop)

}  // namespace narthex::tsdb
