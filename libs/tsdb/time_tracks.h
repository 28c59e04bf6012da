#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "libs/base/block_arena.h"
#include "libs/tsdb/bit_chain.h"
#include "libs/tsdb/chunk_rules.h"

namespace narthex::tsdb {

/// The timestamps of the chunks that are not encoded yet. The samples of one
/// scrape have one timestamp, so the series of a target follow one track, on
/// which their times are stored once. A series that gets a sample at another
/// time leaves for a track of its own, which others that do the same share.
/// A track only grows; each series knows how many of its times are its. Reads
/// may go on at the same time, but no two changes.
class TimeTracks {
 public:
  using Handle = std::uint32_t;
  /// The handle of no track.
  static constexpr Handle kNone = 0;

  /// The times are kept in blocks of `arena`.
  explicit TimeTracks(base::BlockArena& arena) : arena_(arena) {}
  TimeTracks(const TimeTracks&) = delete;
  TimeTracks& operator=(const TimeTracks&) = delete;

  /// A track that begins at `ms`. Who gets it calls Leave some time.
  Handle Begin(std::int64_t ms, const ChunkRules& rules);
  /// Where a series goes.
  struct Step {
    Handle track = kNone;
    int bits = 0;  ///< What the time takes in an XOR chunk.
  };
  /// A series that has the first `count` times of `track` gets a sample at
  /// `ms`, which is later. It is on the track returned from now on; kNone, and
  /// it stays, when its chunk must end before.
  Step Follow(Handle track, int count, std::int64_t ms,
              const ChunkRules& rules);
  void Leave(Handle track);

  std::int64_t first_ms(Handle track) const { return At(track).first_ms; }
  /// The last of the first `count` times.
  std::int64_t LastMs(Handle track, int count) const {
    const Track& on = At(track);
    if (count == on.count) [[likely]] {
      return on.last_ms;
    }
    return LastOfEarlier(on, count);
  }
  /// Whether a chunk of `count` samples would end before another that comes
  /// after the same time as the last one.
  bool IsFull(Handle track, int count) const {
    const Track& on = At(track);
    return count == on.count && count > 1 && on.end_ms - on.last_ms <= on.delta;
  }
  /// Writes the first `count` times to `out`.
  void Decode(Handle track, int count, std::int64_t* out) const;

  /// Bytes held beside the blocks.
  std::size_t allocated_bytes() const;

 private:
  struct Track {
    std::int64_t first_ms = 0;
    std::int64_t last_ms = 0;
    std::int64_t end_ms = 0;  // A chunk ends before.
    BitChain::End dods;       // After the first two times.
    std::uint32_t first_delta = 0;
    std::uint32_t delta = 0;  // Before the last time.
    std::uint32_t followers = 0;
    Handle branch = kNone;  // The last track that left this one.
    Handle origin = kNone;  // What this left, after so many times.
    std::uint16_t origin_count = 0;
    std::uint16_t count = 0;
    std::uint8_t last_bits = 0;
  };

  const Track& At(Handle track) const { return tracks_[track]; }
  Handle Make();
  void Extend(Track& track, std::int64_t ms, const ChunkRules& rules);
  static void Count(Track& track, const ChunkRules& rules);
  Step FollowBehind(Handle track, int count, std::int64_t ms,
                    const ChunkRules& rules);
  // The track for those that had `count` times of `track` and then `ms`.
  Handle BranchOff(Handle track, int count, std::int64_t ms,
                   const ChunkRules& rules);
  static bool MustEnd(std::int64_t last_ms, std::int64_t end_ms,
                      std::int64_t ms);
  std::int64_t LastOfEarlier(const Track& track, int count) const;
  template <typename Visit>
  void Walk(const Track& track, int count, const Visit& visit) const;
  void DecodeInto(const Track& track, int count, std::int64_t* out) const;
  // At least `count` times of a track, decoded.
  const std::vector<std::int64_t>& TimesOf(Handle track, int count);

  base::BlockArena& arena_;
  // Unlike a vector it grows in small steps. The first stays empty.
  std::deque<Track> tracks_ = std::deque<Track>(1);
  std::vector<Handle> free_;
  Handle newest_ = kNone;  // That was begun, or none.
  // The times of the track that was last followed from behind.
  Handle decoded_track_ = kNone;
  std::vector<std::int64_t> decoded_;
};

}  // namespace narthex::tsdb
