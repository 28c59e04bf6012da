#include "libs/tsdb/mem_series.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include "libs/base/status.h"
#include "libs/model/sample.h"
#include "libs/tsdb/bit_chain.h"
#include "libs/tsdb/xor_chunk.h"

namespace narthex::tsdb {
namespace {

using Handle = base::BlockArena::Handle;

// Once this part of a chunk is full it is known how dense its samples are.
constexpr int kPredictAfterPart = 4;
// Beyond this many bytes another sample might not fit.
constexpr std::size_t kFullBytes =
    OpenChunk::kMostBytes - OpenChunk::kMostSampleBytes;

// A full chunk, as it lies in a block: its bytes are in the arena or mapped.
struct FullChunk {
  std::int64_t min_ms = 0;
  const char* mapped = nullptr;
  std::uint32_t span_ms = 0;
  std::uint16_t size = 0;
  std::uint16_t count = 0;
  Handle bytes = base::BlockArena::kNone;   // The last block of its chain.
  Handle before = base::BlockArena::kNone;  // The full chunk before this.

  std::int64_t max_ms() const { return min_ms + span_ms; }

  void AppendTo(const base::BlockArena& arena, std::string* out) const {
    if (mapped != nullptr) {
      out->append(mapped, size);
      return;
    }
    const std::size_t start = out->size();
    AppendChain(arena, bytes, size, out);
    PutSampleCount(count, out->data() + start);
  }
};
static_assert(sizeof(FullChunk) <= base::BlockArena::kBlockBytes);

FullChunk& At(const base::BlockArena& arena, Handle full) {
  return *reinterpret_cast<FullChunk*>(arena.At(full));
}

// The handles of the full chunks from `newest` back to the first that overlaps
// or follows `min_ms`, ascending in time.
std::vector<Handle> Ascending(const base::BlockArena& arena, Handle newest,
                              std::int64_t min_ms) {
  std::vector<Handle> handles;
  for (Handle h = newest; h != base::BlockArena::kNone;
       h = At(arena, h).before) {
    if (At(arena, h).max_ms() < min_ms) break;
    handles.push_back(h);
  }
  std::reverse(handles.begin(), handles.end());
  return handles;
}

// The first multiple of `range_ms` after `timestamp_ms`, as Prometheus rounds:
// towards zero.
std::int64_t RangeEnd(std::int64_t timestamp_ms, std::int64_t range_ms) {
  return timestamp_ms / range_ms * range_ms + range_ms;
}

// Where to end a chunk that began at `start` and is a quarter full at
// `current`, so that the time until `end` is shared evenly by full chunks.
std::int64_t PredictEnd(std::int64_t start, std::int64_t current,
                        std::int64_t end) {
  const auto span = static_cast<double>(end - start);
  const double chunks =
      span / (static_cast<double>(current - start + 1) * kPredictAfterPart);
  if (chunks <= 1) return end;
  return static_cast<std::int64_t>(static_cast<double>(start) +
                                   span / std::floor(chunks));
}

std::uint32_t Until(std::int64_t from, std::int64_t end) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(
      end - from, 0, std::numeric_limits<std::uint32_t>::max()));
}

}  // namespace

std::int64_t MemSeries::min_ms(const Arena& arena) const {
  if (full_ == Arena::kNone) return open_.min_ms(arena);
  Handle oldest = full_;
  while (At(arena, oldest).before != Arena::kNone) {
    oldest = At(arena, oldest).before;
  }
  return At(arena, oldest).min_ms;
}

bool MemSeries::stale() const {
  return !empty() && model::IsStaleNan(open_.last_value());
}

MemSeries::Verdict MemSeries::Check(std::int64_t timestamp_ms,
                                    double value) const {
  if (empty() || timestamp_ms > open_.max_ms()) return Verdict::kNew;
  if (timestamp_ms < open_.max_ms()) return Verdict::kOutOfOrder;
  return std::bit_cast<std::uint64_t>(value) ==
                 std::bit_cast<std::uint64_t>(open_.last_value())
             ? Verdict::kSame
             : Verdict::kDuplicate;
}

bool MemSeries::MustCut(const Arena& arena, std::int64_t timestamp_ms,
                        const ChunkRules& rules) {
  const int count = open_.count();
  if (open_.size() > kFullBytes) return true;
  const std::int64_t last = open_.max_ms();
  if (count == rules.samples_per_chunk / kPredictAfterPart) {
    ends_in_ms_ =
        Until(last, PredictEnd(open_.min_ms(arena), last, last + ends_in_ms_));
  }
  // Far more samples than predicted: the rate must have risen.
  return static_cast<std::uint64_t>(timestamp_ms) -
                 static_cast<std::uint64_t>(last) >=
             ends_in_ms_ ||
         count >= rules.samples_per_chunk * 2;
}

// Moves the open chunk to the full ones.
void MemSeries::Cut(Arena& arena) {
  FullChunk full;
  full.min_ms = open_.min_ms(arena);
  full.span_ms = static_cast<std::uint32_t>(open_.max_ms() - full.min_ms);
  full.size = static_cast<std::uint16_t>(open_.size());
  full.count = static_cast<std::uint16_t>(open_.count());
  full.bytes = open_.Release();
  full.before = full_;
  full_ = arena.Allocate();
  new (arena.At(full_)) FullChunk(full);
}

// Whether the next sample will begin a chunk, if it comes after the same time
// as the last one did.
bool MemSeries::IsFull() const {
  return open_.size() > kFullBytes ||
         (open_.count() > 1 && open_.delta_ms() >= ends_in_ms_);
}

MemSeries::Appended MemSeries::Append(Arena& arena, std::int64_t timestamp_ms,
                                      double value, const ChunkRules& rules) {
  Appended done;
  if (!open_.empty() && (ended_ || MustCut(arena, timestamp_ms, rules))) {
    Cut(arena);
    done.filled = true;
  }
  ended_ = false;
  done.begun = open_.empty();
  if (done.begun) {
    ends_in_ms_ = Until(timestamp_ms, RangeEnd(timestamp_ms, rules.range_ms));
  } else {
    ends_in_ms_ -= Until(open_.max_ms(), timestamp_ms);
  }
  open_.Append(arena, timestamp_ms, value);
  // It need not wait in memory for the next sample.
  if (IsFull()) {
    Cut(arena);
    done.filled = true;
  }
  return done;
}

std::size_t MemSeries::chunk_count(const Arena& arena) const {
  std::size_t count = open_.empty() ? 0 : 1;
  for (Handle h = full_; h != Arena::kNone; h = At(arena, h).before) ++count;
  return count;
}

std::size_t MemSeries::Truncate(Arena& arena, std::int64_t min_ms) {
  std::size_t removed = 0;
  // The newest ones come first, so what is too old is all that follows.
  Handle* link = &full_;
  while (*link != Arena::kNone && At(arena, *link).max_ms() >= min_ms) {
    link = &At(arena, *link).before;
  }
  Handle gone = std::exchange(*link, Arena::kNone);
  while (gone != Arena::kNone) {
    const FullChunk full = At(arena, gone);
    FreeChain(arena, full.bytes);
    arena.Free(gone);
    gone = full.before;
    ++removed;
  }
  if (!open_.empty() && open_.max_ms() < min_ms) {
    open_.Clear(arena);
    ++removed;
  }
  return removed;
}

void MemSeries::CollectArenaChunks(
    const Arena& arena, storage::SeriesRef ref, std::vector<HeadChunk>* chunks,
    std::vector<std::unique_ptr<std::string>>* bytes) const {
  for (const Handle h :
       Ascending(arena, full_, std::numeric_limits<std::int64_t>::min())) {
    const FullChunk& full = At(arena, h);
    if (full.mapped != nullptr) continue;
    bytes->push_back(std::make_unique<std::string>());
    full.AppendTo(arena, bytes->back().get());
    chunks->push_back({ref, full.min_ms, full.max_ms(), *bytes->back()});
  }
}

void MemSeries::UseMapped(Arena& arena, std::int64_t min_ms,
                          absl::string_view mapped) {
  for (Handle h = full_; h != Arena::kNone; h = At(arena, h).before) {
    FullChunk& full = At(arena, h);
    if (full.min_ms != min_ms || full.mapped != nullptr) continue;
    FreeChain(arena, std::exchange(full.bytes, Arena::kNone));
    full.mapped = mapped.data();
    return;
  }
}

absl::Status MemSeries::Read(const Arena& arena,
                             const storage::TimeRange& range,
                             model::SampleColumns* out) const {
  std::string bytes;
  for (const Handle h : Ascending(arena, full_, range.min_ms)) {
    const FullChunk& full = At(arena, h);
    if (full.min_ms > range.max_ms) break;
    bytes.clear();
    if (full.mapped == nullptr) full.AppendTo(arena, &bytes);
    const absl::string_view chunk =
        full.mapped == nullptr ? absl::string_view(bytes)
                               : absl::string_view(full.mapped, full.size);
    NARTHEX_RETURN_IF_ERROR(DecodeXorChunk(chunk, range, out));
  }
  if (open_.empty() || open_.max_ms() < range.min_ms ||
      open_.min_ms(arena) > range.max_ms) {
    return absl::OkStatus();
  }
  bytes.clear();
  open_.AppendBytesTo(arena, &bytes);
  return DecodeXorChunk(bytes, range, out);
}

void MemSeries::CopyChunks(const Arena& arena, const storage::TimeRange& range,
                           std::vector<storage::Chunk>* chunks) const {
  if (empty()) return;
  const auto owner = std::make_shared<std::string>();
  const std::size_t first = chunks->size();
  const auto add = [&](std::int64_t min, std::int64_t max, std::size_t size) {
    if (min > range.max_ms || max < range.min_ms) return false;
    // Only its size counts until the copy stops moving.
    chunks->push_back({min, max, storage::Encoding::kXor,
                       absl::string_view(nullptr, size), owner});
    return true;
  };
  for (const Handle h : Ascending(arena, full_, range.min_ms)) {
    const FullChunk& full = At(arena, h);
    if (add(full.min_ms, full.max_ms(), full.size)) {
      full.AppendTo(arena, owner.get());
    }
  }
  if (!open_.empty() &&
      add(open_.min_ms(arena), open_.max_ms(), open_.size())) {
    open_.AppendBytesTo(arena, owner.get());
  }
  std::size_t offset = 0;
  for (std::size_t i = first; i < chunks->size(); ++i) {
    absl::string_view& bytes = (*chunks)[i].bytes;
    const std::size_t size = bytes.size();
    bytes = absl::string_view(*owner).substr(offset, size);
    offset += size;
  }
}

}  // namespace narthex::tsdb
