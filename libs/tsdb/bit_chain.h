#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "absl/strings/string_view.h"
#include "libs/base/block_arena.h"

namespace narthex::tsdb {

/// Writes bits to a string of bytes that lies in a ring of blocks of an arena:
/// every block begins with the handle of the next, the last one leads back to
/// the first. Growing copies nothing, and only the last block is touched. The
/// state is kept by the caller, who has millions of strings.
class BitChain {
 public:
  static constexpr std::size_t kLinkBytes = sizeof(base::BlockArena::Handle);
  static constexpr std::size_t kPayloadBytes =
      base::BlockArena::kBlockBytes - kLinkBytes;

  /// Where a string ends. All zero: it is empty and has no blocks.
  struct End {
    base::BlockArena::Handle block = base::BlockArena::kNone;
    std::uint8_t used = 0;       // Bytes of the last block.
    std::uint8_t free_bits = 0;  // Still unused in the last byte.
  };

  BitChain(base::BlockArena& arena, const End& end)
      : arena_(arena), end_(end) {}
  const End& end() const { return end_; }

  /// Appends the low `n` bits (1 to 64) of `bits`, the highest first.
  void PutBits(std::uint64_t bits, int n);

 private:
  void AddBlock();
  void PutBytes(absl::string_view bytes);
  // Appends the upper `bytes` bytes; requires end_.free_bits to be 0.
  void PutWord(std::uint64_t word, int bytes);

  base::BlockArena& arena_;
  End end_;
};

// In the header, as they take most of the time of an append.
inline void BitChain::PutBits(std::uint64_t bits, int n) {
  bits <<= 64 - n;  // The first on top.
  if (end_.free_bits > 0) {
    char& last = arena_.At(end_.block)[kLinkBytes + end_.used - 1];
    last = static_cast<char>(static_cast<std::uint8_t>(last) |
                             bits >> (64 - end_.free_bits));
    if (n <= end_.free_bits) {
      end_.free_bits = static_cast<std::uint8_t>(end_.free_bits - n);
      return;
    }
    bits <<= end_.free_bits;
    n -= end_.free_bits;
  }
  PutWord(bits, (n + 7) / 8);
  end_.free_bits = static_cast<std::uint8_t>(-n & 7);
}

inline void BitChain::PutWord(std::uint64_t word, int bytes) {
  const std::uint64_t swapped = __builtin_bswap64(word);
  if (end_.block != base::BlockArena::kNone &&
      end_.used + sizeof(swapped) <= kPayloadBytes) [[likely]] {
    // One store writes it all; what is too much is written over later.
    std::memcpy(arena_.At(end_.block) + kLinkBytes + end_.used, &swapped,
                sizeof(swapped));
    end_.used = static_cast<std::uint8_t>(end_.used + bytes);
    return;
  }
  PutBytes({reinterpret_cast<const char*>(&swapped),
            static_cast<std::size_t>(bytes)});
}

/// The bytes of a string, for as long as the arena does not change: a copy
/// unless they lie in one block.
class ChainBytes {
 public:
  /// `block` is the last block, of which `used` bytes are part of the string.
  ChainBytes(const base::BlockArena& arena, base::BlockArena::Handle block,
             std::size_t used);
  ChainBytes(const ChainBytes&) = delete;
  ChainBytes& operator=(const ChainBytes&) = delete;

  absl::string_view bytes() const { return bytes_; }

 private:
  std::string copy_;
  absl::string_view bytes_;
};

/// Frees the blocks of the string.
void FreeChain(base::BlockArena& arena, base::BlockArena::Handle block);

}  // namespace narthex::tsdb
