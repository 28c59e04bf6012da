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
#include "libs/tsdb/head_chunk_files.h"
#include "libs/tsdb/open_chunk.h"

namespace narthex::tsdb {

/// When a head chunk ends and the next begins.
struct ChunkRules {
  /// Chunks do not cross multiples of this span: those are blocks' edges.
  /// Below 2^32.
  std::int64_t range_ms = 0;
  /// What is aimed at; a chunk may become up to twice as long.
  int samples_per_chunk = 120;
};

/// The samples of one series in the head: full chunks and the one that grows.
/// There are millions, so it is 44 bytes; what it holds lies in blocks of an
/// arena, the same in all calls. Owns its blocks without freeing them: an
/// empty series has none. Not thread-safe.
class MemSeries {
 public:
  using Arena = base::BlockArena;

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
  std::int64_t max_ms() const { return open_.max_ms(); }
  /// The last value, undecoded. Requires: not empty.
  double last_value() const { return open_.last_value(); }
  /// Whether the last sample is a staleness marker.
  bool stale() const;

  Verdict Check(std::int64_t timestamp_ms, double value) const;
  /// What Append did to chunks.
  struct Appended {
    bool begun = false;   ///< One was begun.
    bool filled = false;  ///< One became full.
  };
  /// Requires the verdict kNew.
  Appended Append(Arena& arena, std::int64_t timestamp_ms, double value,
                  const ChunkRules& rules);

  /// The next sample begins a chunk, for one of another kind comes between.
  void EndChunk() { ended_ = true; }

  /// Fetches what Append will need into the cache.
  void Prefetch(const Arena& arena) const { open_.Prefetch(arena); }

  /// Whether there are chunks beside the one that grows.
  bool has_full_chunks() const { return full_ != Arena::kNone; }
  std::size_t chunk_count(const Arena& arena) const;
  /// Drops the chunks that end before `min_ms`; returns how many.
  std::size_t Truncate(Arena& arena, std::int64_t min_ms);
  /// Appends copies of the full chunks that are still in the arena, as chunks
  /// of `ref` in ascending time. `*bytes` will own what they refer to.
  void CollectArenaChunks(
      const Arena& arena, storage::SeriesRef ref,
      std::vector<HeadChunk>* chunks,
      std::vector<std::unique_ptr<std::string>>* bytes) const;
  /// Lets the full chunk that begins at `min_ms` use its equal bytes `mapped`,
  /// which are held elsewhere, from now on.
  void UseMapped(Arena& arena, std::int64_t min_ms, absl::string_view mapped);

  /// Appends the samples inside `range` to `*out`. kDataLoss for a corrupt
  /// chunk.
  absl::Status Read(const Arena& arena, const storage::TimeRange& range,
                    model::SampleColumns* out) const;
  /// Appends copies of the chunks that overlap `range` to `*chunks`.
  void CopyChunks(const Arena& arena, const storage::TimeRange& range,
                  std::vector<storage::Chunk>* chunks) const;

  /// Its declaration is in the write-ahead log.
  bool logged = false;
  /// It was asked for since the last truncation and is spared by the next.
  bool fresh = true;
  /// It has native histograms, which are in the shard's HistogramTable.
  bool has_histograms = false;

 private:
  bool MustCut(const Arena& arena, std::int64_t timestamp_ms,
               const ChunkRules& rules);
  bool IsFull() const;
  void Cut(Arena& arena);

  bool ended_ = false;
  OpenChunk open_;
  // How long after its last sample the open chunk ends at the latest.
  std::uint32_t ends_in_ms_ = 0;
  // A block that describes the newest full chunk and leads to the one before.
  Arena::Handle full_ = Arena::kNone;
};

}  // namespace narthex::tsdb
