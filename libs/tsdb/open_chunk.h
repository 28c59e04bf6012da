#pragma once

#include <cstdint>
#include <string>

#include "libs/base/block_arena.h"

namespace narthex::tsdb {

// Aligned to 4 bytes, so that owners can add fields of 4 without padding.
#pragma pack(push, 4)

/// The chunk of a series to which samples are appended: Prometheus's XOR
/// encoding, bit by bit what XorChunk makes, in blocks of an arena that is
/// passed to every call. Made for millions: 32 bytes and the blocks. Its last
/// sample is at hand undecoded. Owns its blocks without freeing them: call
/// Clear() or Release(). Not thread-safe.
class OpenChunk {
 public:
  /// No chunk is to grow beyond this many bytes.
  static constexpr std::size_t kMostBytes = 1024;
  /// What a sample takes at most.
  static constexpr std::size_t kMostSampleBytes = 19;

  bool empty() const { return count_ == 0; }
  int count() const { return count_; }
  /// Bytes of the encoding.
  std::size_t size() const { return bytes_; }
  /// Of the last sample, also of a chunk that was released.
  std::int64_t max_ms() const { return last_ms_; }
  double last_value() const { return last_value_; }
  /// Between the last two samples; 0 when there are fewer.
  std::uint32_t delta_ms() const { return delta_ms_; }
  /// Of the first sample. Requires: not empty.
  std::int64_t min_ms(const base::BlockArena& arena) const;

  /// Requires: later than the last sample, by less than 2^32 ms, size() at
  /// most kMostBytes - kMostSampleBytes and count() below 65535.
  void Append(base::BlockArena& arena, std::int64_t timestamp_ms, double value);
  /// Appends the encoding to `*out`.
  void AppendBytesTo(const base::BlockArena& arena, std::string* out) const;

  void Clear(base::BlockArena& arena);
  /// Empties the chunk without freeing its blocks. It still knows the last
  /// sample. What it held is read with
  /// AppendChain, its first two bytes excepted, which are the count of samples.
  base::BlockArena::Handle Release();

  /// Fetches what the next Append will need into the cache.
  void Prefetch(const base::BlockArena& arena) const {
    if (block_ != base::BlockArena::kNone) {
      __builtin_prefetch(arena.At(block_), 1);
    }
  }

 private:
  std::int64_t last_ms_ = 0;
  double last_value_ = 0;
  base::BlockArena::Handle block_ = base::BlockArena::kNone;  // The last one.
  std::uint32_t delta_ms_ = 0;
  std::uint16_t bytes_ = 0;
  std::uint16_t count_ = 0;
  std::uint32_t used_ : 5 = 0;       // Bytes of the last block.
  std::uint32_t free_bits_ : 3 = 0;  // Still unused in the last byte.
  // The window of meaningful bits of the last value that opened one.
  std::uint32_t has_window_ : 1 = 0;
  std::uint32_t leading_ : 5 = 0;
  std::uint32_t trailing_ : 6 = 0;
};

#pragma pack(pop)

/// Writes the number of samples into the first two bytes of a chunk.
void PutSampleCount(int count, char* chunk);

}  // namespace narthex::tsdb
