#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "libs/base/block_arena.h"
#include "libs/model/sample.h"
#include "libs/storage/storage.h"
#include "libs/tsdb/chunk_rules.h"
#include "libs/tsdb/time_tracks.h"
#include "libs/tsdb/value_stream.h"

namespace narthex::tsdb {

/// Memory for the samples of many series.
struct SampleArena {
  base::BlockArena blocks;
  TimeTracks times{blocks};

  std::size_t allocated_bytes() const {
    return blocks.allocated_bytes() + times.allocated_bytes();
  }
  std::size_t used_bytes() const { return blocks.used_bytes(); }
  /// Gives back what is free.
  void Trim() { blocks.Trim(); }
};

#pragma pack(push, 4)

/// The chunk of a series to which samples are appended, in the compact form of
/// the head: times on a track that others share, values in a stream of the
/// form that suits them. It knows the size of the XOR chunk that it will
/// become. Made for millions: 28 bytes, and what lies in the arena that is
/// passed to every call. Its last value is at hand undecoded. Owns what it has
/// in the arena without freeing it: call Clear(). Not thread-safe.
class OpenChunk {
 public:
  /// No chunk is to grow beyond this many bytes.
  static constexpr std::size_t kMostBytes = 1024;
  /// What a sample takes at most.
  static constexpr std::size_t kMostSampleBytes = 19;
  /// Facts that an owner wants to keep about itself.
  static constexpr int kMarks = 5;

  bool empty() const { return count_ == 0; }
  int count() const { return count_; }
  /// Bytes of the XOR chunk with these samples. Requires: not empty.
  std::size_t size() const { return (bits_ + 7) / 8; }
  /// Whether the next sample might not fit.
  bool at_most_bytes() const { return size() > kMostBytes - kMostSampleBytes; }
  /// Of the first sample. Requires: not empty.
  std::int64_t min_ms(const SampleArena& arena) const {
    return arena.times.first_ms(track_);
  }
  /// Of the last sample. Requires: not empty.
  std::int64_t max_ms(const SampleArena& arena) const {
    return arena.times.LastMs(track_, count_);
  }
  /// Whether a sample that comes after the same time as the last one must not
  /// be in this chunk. Requires: not empty.
  bool IsFull(const SampleArena& arena) const {
    return at_most_bytes() || arena.times.IsFull(track_, count_);
  }
  /// The last value, also of a chunk that was released, and whether it is a
  /// staleness marker.
  double last_value() const { return values_.last(); }
  bool stale() const { return values_.stale(); }

  /// Adds the first sample. Requires: empty.
  void Begin(SampleArena& arena, std::int64_t timestamp_ms, double value,
             const ChunkRules& rules);
  /// Adds a sample that is later than the last one; false, and it does not,
  /// when by its time it belongs into the next chunk. Requires: not empty, and
  /// not at_most_bytes().
  bool Append(SampleArena& arena, std::int64_t timestamp_ms, double value,
              const ChunkRules& rules);

  /// Appends the samples to `*out`. Requires: not empty.
  void Read(const SampleArena& arena, model::SampleColumns* out) const;
  /// Appends the XOR chunk of the samples to `*out`. Requires: not empty.
  void Encode(const SampleArena& arena, std::string* out) const;

  /// Frees the samples, but for the last value.
  void Clear(SampleArena& arena);
  /// Likewise, but leaves them to the chunk that is returned.
  OpenChunk Release();

  bool marked(int mark) const { return (marks_ >> mark & 1) != 0; }
  void Mark(int mark, bool on) {
    const unsigned bit = 1U << mark;
    marks_ = (on ? marks_ | bit : marks_ & ~bit) & ((1U << kMarks) - 1);
  }

  /// Fetches what the next Append will need into the cache.
  void Prefetch(const SampleArena& arena) const {
    values_.Prefetch(arena.blocks);
  }

 private:
  void Forget();

  ValueStream values_;
  TimeTracks::Handle track_ = TimeTracks::kNone;
  std::uint32_t count_ : 13 = 0;
  std::uint32_t bits_ : 14 = 0;  // Of the XOR chunk.
  std::uint32_t marks_ : kMarks = 0;
};

#pragma pack(pop)

}  // namespace narthex::tsdb
