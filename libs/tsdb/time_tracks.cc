#include "libs/tsdb/time_tracks.h"

#include <algorithm>
#include <bit>

#include "libs/base/varint.h"
#include "libs/tsdb/bit_code.h"
#include "libs/tsdb/bits.h"

namespace narthex::tsdb {
namespace {

std::uint64_t Between(std::int64_t from, std::int64_t to) {
  return static_cast<std::uint64_t>(to) - static_cast<std::uint64_t>(from);
}

// What the time at `i`, not the first, takes in an XOR chunk.
int BitsOf(const std::vector<std::int64_t>& times, std::size_t i) {
  const std::uint64_t delta = Between(times[i - 1], times[i]);
  if (i == 1) return 8 * base::UvarintSize(delta);
  const std::uint64_t before = Between(times[i - 2], times[i - 1]);
  return DodCode(static_cast<std::int64_t>(delta - before)).size();
}

}  // namespace

// Calls `visit(i, ms, delta, n)` for the first `count` times but the first:
// time number `i` is `ms`, and it is the first of `n` that lie `delta` apart.
template <typename Visit>
void TimeTracks::Walk(const Track& track, int count, const Visit& visit) const {
  if (count == 1) return;
  std::uint64_t delta = track.first_delta;
  std::int64_t ms = track.first_ms + track.first_delta;
  visit(1, ms, delta, 1);
  const ChainBytes chain(arena_, track.dods.block, track.dods.used);
  const BitReader bits(chain.bytes());
  std::size_t position = 0;
  for (int i = 2; i < count;) {
    // Every zero bit is a time after the same delta.
    const std::uint64_t word = bits.Peek(position);
    int n = std::min(std::countl_zero(word | 128), count - i);
    position += static_cast<std::size_t>(n);
    if (n == 0) {
      delta += static_cast<std::uint64_t>(ReadDod(bits, &position));
      n = 1;
    }
    const auto step = static_cast<std::int64_t>(delta);
    visit(i, ms + step, delta, n);
    ms += step * n;
    i += n;
  }
}

TimeTracks::Handle TimeTracks::Make() {
  if (free_.empty()) {
    tracks_.emplace_back();
    return static_cast<Handle>(tracks_.size() - 1);
  }
  const Handle track = free_.back();
  free_.pop_back();
  return track;
}

TimeTracks::Handle TimeTracks::Begin(std::int64_t ms, const ChunkRules& rules) {
  if (newest_ == kNone || At(newest_).first_ms != ms) {
    newest_ = Make();
    Track& track = tracks_[newest_];
    track.first_ms = ms;
    track.last_ms = ms;
    track.end_ms = RangeEnd(ms, rules);
    Count(track, rules);
  }
  ++tracks_[newest_].followers;
  return newest_;
}

void TimeTracks::Leave(Handle handle) {
  Track& track = tracks_[handle];
  if (--track.followers > 0) return;
  FreeChain(arena_, track.dods.block);
  track = Track();
  free_.push_back(handle);
  if (newest_ == handle) newest_ = kNone;
  if (decoded_track_ == handle) decoded_track_ = kNone;
}

// Deltas are of 32 bits.
bool TimeTracks::MustEnd(std::int64_t last_ms, std::int64_t end_ms,
                         std::int64_t ms) {
  return ms >= end_ms || Between(last_ms, ms) >= std::uint64_t{1} << 32;
}

TimeTracks::Step TimeTracks::Follow(Handle handle, int count, std::int64_t ms,
                                    const ChunkRules& rules) {
  Track& track = tracks_[handle];
  if (count + 1 == track.count && ms == track.last_ms) [[likely]] {
    return {handle, track.last_bits};
  }
  if (count < track.count) return FollowBehind(handle, count, ms, rules);
  if (MustEnd(track.last_ms, track.end_ms, ms)) return {};
  Extend(track, ms, rules);
  return {handle, track.last_bits};
}

void TimeTracks::Extend(Track& track, std::int64_t ms,
                        const ChunkRules& rules) {
  const auto delta = static_cast<std::uint32_t>(Between(track.last_ms, ms));
  if (track.count == 1) {
    track.first_delta = delta;
    track.last_bits = static_cast<std::uint8_t>(8 * base::UvarintSize(delta));
  } else {
    const BitCode code =
        DodCode(std::int64_t{delta} - std::int64_t{track.delta});
    BitChain chain(arena_, track.dods);
    PutCode(code,
            [&chain](std::uint64_t bits, int n) { chain.PutBits(bits, n); });
    track.dods = chain.end();
    track.last_bits = static_cast<std::uint8_t>(code.size());
  }
  track.delta = delta;
  track.last_ms = ms;
  Count(track, rules);
}

// Notes that the track got a time, its last one.
void TimeTracks::Count(Track& track, const ChunkRules& rules) {
  if (++track.count != rules.predicting_samples()) return;
  track.end_ms = PredictEnd(track.first_ms, track.last_ms, track.end_ms);
}

TimeTracks::Step TimeTracks::FollowBehind(Handle handle, int count,
                                          std::int64_t ms,
                                          const ChunkRules& rules) {
  const auto next = static_cast<std::size_t>(count);
  const std::vector<std::int64_t>& times = TimesOf(handle, count + 1);
  if (times[next] == ms) return {handle, BitsOf(times, next)};
  const std::int64_t end_ms = count < rules.predicting_samples()
                                  ? RangeEnd(times[0], rules)
                                  : At(handle).end_ms;
  if (MustEnd(times[next - 1], end_ms, ms)) return {};
  const Handle branch = BranchOff(handle, count, ms, rules);
  ++tracks_[branch].followers;
  Leave(handle);
  return {branch, BitsOf(TimesOf(branch, count + 1), next)};
}

TimeTracks::Handle TimeTracks::BranchOff(Handle handle, int count,
                                         std::int64_t ms,
                                         const ChunkRules& rules) {
  const Handle known = At(handle).branch;
  if (known != kNone && At(known).origin == handle &&
      At(known).origin_count == count && LastMs(known, count + 1) == ms) {
    return known;
  }
  const std::vector<std::int64_t> times = TimesOf(handle, count);
  const Handle made = Make();
  Track& branch = tracks_[made];
  branch.first_ms = times[0];
  branch.last_ms = times[0];
  branch.end_ms = RangeEnd(times[0], rules);
  Count(branch, rules);
  branch.origin = handle;
  branch.origin_count = static_cast<std::uint16_t>(count);
  for (int i = 1; i < count; ++i) {
    Extend(branch, times[static_cast<std::size_t>(i)], rules);
  }
  Extend(branch, ms, rules);
  tracks_[handle].branch = made;
  return made;
}

const std::vector<std::int64_t>& TimeTracks::TimesOf(Handle handle, int count) {
  const Track& track = At(handle);
  if (decoded_track_ != handle ||
      decoded_.size() < static_cast<std::size_t>(count)) {
    decoded_.resize(track.count);
    DecodeInto(track, track.count, decoded_.data());
    decoded_track_ = handle;
  }
  return decoded_;
}

std::int64_t TimeTracks::LastOfEarlier(const Track& track, int count) const {
  if (count + 1 == track.count) return track.last_ms - track.delta;
  std::int64_t last_ms = track.first_ms;
  Walk(track, count,
       [&last_ms](int, std::int64_t ms, std::uint64_t delta, int repeated) {
         last_ms = ms + static_cast<std::int64_t>(delta) * (repeated - 1);
       });
  return last_ms;
}

void TimeTracks::Decode(Handle track, int count, std::int64_t* out) const {
  DecodeInto(At(track), count, out);
}

void TimeTracks::DecodeInto(const Track& track, int count,
                            std::int64_t* out) const {
  out[0] = track.first_ms;
  Walk(track, count,
       [out](int i, std::int64_t ms, std::uint64_t delta, int repeated) {
         for (; repeated > 0; --repeated) {
           out[i++] = ms;
           ms += static_cast<std::int64_t>(delta);
         }
       });
}

std::size_t TimeTracks::allocated_bytes() const {
  return tracks_.size() * sizeof(Track) + free_.capacity() * sizeof(Handle) +
         decoded_.capacity() * sizeof(std::int64_t);
}

}  // namespace narthex::tsdb
