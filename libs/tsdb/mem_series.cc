#include "libs/tsdb/mem_series.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <new>
#include <utility>

#include "libs/base/status.h"
#include "libs/model/sample.h"
#include "libs/tsdb/xor2_chunk.h"
#include "libs/tsdb/xor_chunk.h"

namespace narthex::tsdb {
namespace {

using Handle = base::BlockArena::Handle;

// A full chunk, as it lies in a block: an OpenChunk in another block, or
// mapped.
struct FullChunk {
  std::int64_t min_ms = 0;
  const char* mapped = nullptr;
  std::uint32_t span_ms = 0;
  std::uint16_t size = 0;  // Of the chunk, encoded.
  storage::Encoding encoding = storage::Encoding::kXor;
  Handle compact = base::BlockArena::kNone;
  Handle before = base::BlockArena::kNone;  // The full chunk before this.

  std::int64_t max_ms() const { return min_ms + span_ms; }
};
static_assert(sizeof(FullChunk) <= base::BlockArena::kBlockBytes);
static_assert(sizeof(OpenChunk) <= base::BlockArena::kBlockBytes);

FullChunk& At(const SampleArena& arena, Handle full) {
  return *reinterpret_cast<FullChunk*>(arena.blocks.At(full));
}

OpenChunk& CompactOf(const SampleArena& arena, const FullChunk& full) {
  return *reinterpret_cast<OpenChunk*>(arena.blocks.At(full.compact));
}

// Puts a copy of `object` into a block.
template <typename Object>
Handle Store(SampleArena& arena, const Object& object) {
  const Handle block = arena.blocks.Allocate();
  new (arena.blocks.At(block)) Object(object);
  return block;
}

// Frees the chunk unless it is mapped.
void FreeCompact(SampleArena& arena, FullChunk& full) {
  if (full.compact == base::BlockArena::kNone) return;
  CompactOf(arena, full).Clear(arena);
  arena.blocks.Free(std::exchange(full.compact, base::BlockArena::kNone));
}

// Appends the chunk in its encoding.
void Encode(const SampleArena& arena, const FullChunk& full, std::string* out) {
  if (full.mapped != nullptr) {
    out->append(full.mapped, full.size);
  } else {
    CompactOf(arena, full).Encode(arena, out);
  }
}

// Appends the samples of a chunk inside `range`.
void ReadCompact(const SampleArena& arena, const OpenChunk& chunk,
                 const storage::TimeRange& range, model::SampleColumns* out) {
  const std::size_t before = out->size();
  chunk.Read(arena, out);
  KeepInside(range, before, out);
}

// The handles of the full chunks from `newest` back to the first that overlaps
// or follows `min_ms`, ascending in time.
std::vector<Handle> Ascending(const SampleArena& arena, Handle newest,
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

}  // namespace

std::int64_t MemSeries::min_ms(const Arena& arena) const {
  if (!has_full_chunks()) return open_.min_ms(arena);
  Handle oldest = full_;
  while (At(arena, oldest).before != base::BlockArena::kNone) {
    oldest = At(arena, oldest).before;
  }
  return At(arena, oldest).min_ms;
}

std::int64_t MemSeries::max_ms(const Arena& arena) const {
  return open_.empty() ? At(arena, full_).max_ms() : open_.max_ms(arena);
}

MemSeries::Verdict MemSeries::Check(const Arena& arena,
                                    std::int64_t timestamp_ms,
                                    double value) const {
  if (empty()) return Verdict::kNew;
  const std::int64_t newest_ms = max_ms(arena);
  if (timestamp_ms > newest_ms) return Verdict::kNew;
  if (timestamp_ms < newest_ms) return Verdict::kOutOfOrder;
  return std::bit_cast<std::uint64_t>(value) ==
                 std::bit_cast<std::uint64_t>(last_value())
             ? Verdict::kSame
             : Verdict::kDuplicate;
}

// Moves the open chunk to the full ones.
void MemSeries::Cut(Arena& arena) {
  FullChunk full;
  full.min_ms = open_.min_ms(arena);
  full.span_ms = static_cast<std::uint32_t>(open_.max_ms(arena) - full.min_ms);
  full.size = static_cast<std::uint16_t>(open_.size());
  full.compact = Store(arena, open_.Release());
  full.before = full_;
  full_ = Store(arena, full);
}

bool MemSeries::CloseChunk(Arena& arena) {
  if (open_.empty()) return false;
  Cut(arena);
  return true;
}

void MemSeries::AddMapped(Arena& arena, std::int64_t min_ms,
                          std::int64_t max_ms, double last_value,
                          absl::string_view mapped, const ChunkRules& rules,
                          storage::Encoding encoding) {
  FullChunk full;
  full.min_ms = min_ms;
  full.mapped = mapped.data();
  full.span_ms = static_cast<std::uint32_t>(max_ms - min_ms);
  full.size = static_cast<std::uint16_t>(mapped.size());
  full.encoding = encoding;
  full.before = full_;
  full_ = Store(arena, full);
  // So that the last value is known.
  open_.Begin(arena, max_ms, last_value, rules);
  open_.Clear(arena);
}

MemSeries::Appended MemSeries::Append(Arena& arena, std::int64_t timestamp_ms,
                                      double value, const ChunkRules& rules) {
  Appended done;
  // With far more samples than predicted, the rate must have risen.
  const bool cut = open_.marked(kEnded) || open_.at_most_bytes() ||
                   open_.count() >= rules.samples_per_chunk * 2;
  open_.Mark(kEnded, false);
  if (!open_.empty() &&
      (cut || !open_.Append(arena, timestamp_ms, value, rules))) {
    Cut(arena);
    done.filled = true;
  }
  if (open_.empty()) {
    open_.Begin(arena, timestamp_ms, value, rules);
    done.begun = true;
  }
  // It need not wait in memory for the next sample.
  if (open_.IsFull(arena)) {
    Cut(arena);
    done.filled = true;
  }
  return done;
}

std::size_t MemSeries::chunk_count(const Arena& arena) const {
  std::size_t count = open_.empty() ? 0 : 1;
  for (Handle h = full_; h != base::BlockArena::kNone;
       h = At(arena, h).before) {
    ++count;
  }
  return count;
}

std::size_t MemSeries::Truncate(Arena& arena, std::int64_t min_ms) {
  std::size_t removed = 0;
  // The newest ones come first, so what is too old is all that follows.
  Handle* link = &full_;
  while (*link != base::BlockArena::kNone &&
         At(arena, *link).max_ms() >= min_ms) {
    link = &At(arena, *link).before;
  }
  Handle gone = std::exchange(*link, base::BlockArena::kNone);
  while (gone != base::BlockArena::kNone) {
    FullChunk& full = At(arena, gone);
    FreeCompact(arena, full);
    arena.blocks.Free(std::exchange(gone, full.before));
    ++removed;
  }
  if (!open_.empty() && open_.max_ms(arena) < min_ms) {
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
    Encode(arena, full, bytes->back().get());
    chunks->push_back({ref, full.min_ms, full.max_ms(), *bytes->back()});
  }
}

void MemSeries::UseMapped(Arena& arena, std::int64_t min_ms,
                          absl::string_view mapped,
                          storage::Encoding encoding) {
  for (Handle h = full_; h != base::BlockArena::kNone;
       h = At(arena, h).before) {
    FullChunk& full = At(arena, h);
    if (full.min_ms != min_ms || full.mapped != nullptr) continue;
    FreeCompact(arena, full);
    full.mapped = mapped.data();
    full.size = static_cast<std::uint16_t>(mapped.size());
    full.encoding = encoding;
    return;
  }
}

absl::Status MemSeries::Read(const Arena& arena,
                             const storage::TimeRange& range,
                             model::SampleColumns* out) const {
  for (const Handle h : Ascending(arena, full_, range.min_ms)) {
    const FullChunk& full = At(arena, h);
    if (full.min_ms > range.max_ms) break;
    if (full.mapped == nullptr) {
      ReadCompact(arena, CompactOf(arena, full), range, out);
    } else if (full.encoding == storage::Encoding::kXor2) {
      model::SampleColumns samples;
      NARTHEX_RETURN_IF_ERROR(
          DecodeXor2Chunk({full.mapped, full.size}, range, &samples));
      samples.starts_ms.clear();
      out->AppendRange(samples, 0, samples.size());
    } else {
      NARTHEX_RETURN_IF_ERROR(
          DecodeXorChunk({full.mapped, full.size}, range, out));
    }
  }
  if (!open_.empty() && open_.max_ms(arena) >= range.min_ms &&
      open_.min_ms(arena) <= range.max_ms) {
    ReadCompact(arena, open_, range, out);
  }
  return absl::OkStatus();
}

void MemSeries::ListChunks(const Arena& arena, const storage::TimeRange& range,
                           std::vector<storage::TimeRange>* bounds) const {
  const auto add = [&](std::int64_t min, std::int64_t max) {
    if (min <= range.max_ms && max >= range.min_ms) {
      bounds->push_back({min, max});
    }
  };
  for (const Handle h : Ascending(arena, full_, range.min_ms)) {
    add(At(arena, h).min_ms, At(arena, h).max_ms());
  }
  if (!open_.empty()) add(open_.min_ms(arena), open_.max_ms(arena));
}

void MemSeries::CopyChunks(const Arena& arena, const storage::TimeRange& range,
                           std::vector<storage::Chunk>* chunks) const {
  if (empty()) return;
  const auto owner = std::make_shared<std::string>();
  const std::size_t first = chunks->size();
  const auto add = [&](std::int64_t min, std::int64_t max, std::size_t size,
                       storage::Encoding encoding) {
    if (min > range.max_ms || max < range.min_ms) return false;
    // Only its size counts until the copy stops moving.
    chunks->push_back(
        {min, max, encoding, absl::string_view(nullptr, size), owner});
    return true;
  };
  for (const Handle h : Ascending(arena, full_, range.min_ms)) {
    const FullChunk& full = At(arena, h);
    if (add(full.min_ms, full.max_ms(), full.size, full.encoding)) {
      Encode(arena, full, owner.get());
    }
  }
  if (!open_.empty() && add(open_.min_ms(arena), open_.max_ms(arena),
                            open_.size(), storage::Encoding::kXor)) {
    open_.Encode(arena, owner.get());
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
