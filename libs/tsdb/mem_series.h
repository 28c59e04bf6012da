#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/base/block_arena.h"
#include "libs/model/sample.h"
#include "libs/storage/storage.h"
#include "libs/tsdb/chunk_rules.h"
#include "libs/tsdb/head_chunk_files.h"
#include "libs/tsdb/open_chunk.h"

namespace narthex::tsdb {

/// The samples of one series in the head: full chunks and the one that grows.
/// There are millions, so it is 32 bytes; what it holds lies in an arena, the
/// same in all calls. Chunks stay in the head's compact form until they are
/// mapped, and become XOR chunks where they are copied. Owns its part of the
/// arena without freeing it: an empty series has none. Not thread-safe.
class MemSeries {
 public:
  using Arena = SampleArena;

  /// What Append would do with a sample.
  enum class Verdict : std::uint8_t {
    kNew,         ///< Take it.
    kSame,        ///< Nothing: it is the newest one.
    kDuplicate,   ///< The newest has its time and another value.
    kOutOfOrder,  ///< It is older than the newest.
  };

  bool empty() const { return open_.empty() && !has_full_chunks(); }
  /// Of the first and last sample. Require: not empty.
  std::int64_t min_ms(const Arena& arena) const;
  std::int64_t max_ms(const Arena& arena) const;
  /// The last value, undecoded. Requires: not empty.
  double last_value() const { return open_.last_value(); }
  /// Whether the last sample is a staleness marker.
  bool stale() const { return !empty() && open_.stale(); }

  Verdict Check(const Arena& arena, std::int64_t timestamp_ms,
                double value) const;
  /// What Append did to chunks.
  struct Appended {
    bool begun = false;   ///< One was begun.
    bool filled = false;  ///< One became full.
  };
  /// Requires the verdict kNew.
  Appended Append(Arena& arena, std::int64_t timestamp_ms, double value,
                  const ChunkRules& rules);

  /// The next sample begins a chunk, for one of another kind comes between.
  void EndChunk() { open_.Mark(kEnded, true); }
  /// Makes the chunk that grows, if there is one, a full one. True when there
  /// was one.
  bool CloseChunk(Arena& arena);
  /// Adds a full chunk of XOR or XOR2 encoding that is held elsewhere and ends
  /// with `last_value`. Requires: it comes after all samples, no chunk grows,
  /// it spans less than 2^32 ms and takes less than 2^16 bytes.
  void AddMapped(Arena& arena, std::int64_t min_ms, std::int64_t max_ms,
                 double last_value, absl::string_view mapped,
                 const ChunkRules& rules,
                 storage::Encoding encoding = storage::Encoding::kXor);

  /// Fetches what Append will need into the cache.
  void Prefetch(const Arena& arena) const { open_.Prefetch(arena); }

  /// Whether there are chunks beside the one that grows.
  bool has_full_chunks() const { return full_ != base::BlockArena::kNone; }
  std::size_t chunk_count(const Arena& arena) const;
  /// Drops the chunks that end before `min_ms`; returns how many.
  std::size_t Truncate(Arena& arena, std::int64_t min_ms);
  /// Appends copies of the full chunks that are still in the arena, as XOR
  /// chunks of `ref` in ascending time. `*bytes` will own what they refer to.
  void CollectArenaChunks(
      const Arena& arena, storage::SeriesRef ref,
      std::vector<HeadChunk>* chunks,
      std::vector<std::unique_ptr<std::string>>* bytes) const;
  /// Lets the full chunk that begins at `min_ms` use `mapped`, an equal chunk
  /// of XOR or XOR2 encoding that is held elsewhere, from now on.
  void UseMapped(Arena& arena, std::int64_t min_ms, absl::string_view mapped,
                 storage::Encoding encoding = storage::Encoding::kXor);

  /// Appends the samples inside `range`, without start times, to `*out`.
  /// kDataLoss for a corrupt chunk.
  absl::Status Read(const Arena& arena, const storage::TimeRange& range,
                    model::SampleColumns* out) const;
  /// Appends copies of the chunks that overlap `range` to `*chunks`.
  void CopyChunks(const Arena& arena, const storage::TimeRange& range,
                  std::vector<storage::Chunk>* chunks) const;
  /// Appends the bounds of these chunks to `*bounds`, at far less cost.
  void ListChunks(const Arena& arena, const storage::TimeRange& range,
                  std::vector<storage::TimeRange>* bounds) const;

  /// Its declaration is in the write-ahead log.
  bool logged() const { return open_.marked(kLogged); }
  void set_logged(bool on = true) { open_.Mark(kLogged, on); }
  /// It was asked for since its last sample and the last truncation, and is
  /// spared by the next: whoever asked may be about to append.
  bool fresh() const { return !open_.marked(kOld); }
  void set_fresh(bool on) { open_.Mark(kOld, !on); }
  /// It has native histograms, which are in the shard's HistogramTable.
  bool has_histograms() const { return open_.marked(kHasHistograms); }
  void set_has_histograms(bool on) { open_.Mark(kHasHistograms, on); }
  /// Its samples have start times, which are in the shard's StartTable.
  bool has_starts() const { return open_.marked(kHasStarts); }
  void set_has_starts(bool on) { open_.Mark(kHasStarts, on); }

 private:
  enum Mark { kLogged, kOld, kHasHistograms, kEnded, kHasStarts };

  void Cut(Arena& arena);

  OpenChunk open_;
  // A block that describes the newest full chunk and leads to the one before.
  base::BlockArena::Handle full_ = base::BlockArena::kNone;
};

}  // namespace narthex::tsdb
