#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/storage/storage.h"
#include "libs/tsdb/head_chunk_files.h"
#include "libs/tsdb/xor_chunk.h"

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
/// Kept small, for there are millions. Not thread-safe.
class MemSeries {
 public:
  /// What Append would do with a sample.
  enum class Verdict : std::uint8_t {
    kNew,         ///< Take it.
    kSame,        ///< Nothing: it is the newest one.
    kDuplicate,   ///< The newest has its time and another value.
    kOutOfOrder,  ///< It is older than the newest.
  };

  bool empty() const { return open_.empty(); }
  /// Of the first and last sample. Require: not empty.
  std::int64_t min_ms() const;
  std::int64_t max_ms() const { return open_.max_ms(); }
  /// Whether the last sample is a staleness marker.
  bool stale() const;

  Verdict Check(std::int64_t timestamp_ms, double value) const;
  /// Requires the verdict kNew. True when a chunk was begun.
  bool Append(std::int64_t timestamp_ms, double value, const ChunkRules& rules);

  /// Fetches what Append will need into the cache.
  void Prefetch() const { open_.Prefetch(); }

  std::size_t chunk_count() const;
  /// Bytes of its chunks on the heap.
  std::size_t heap_bytes() const;
  /// Drops the chunks that end before `min_ms`; returns how many.
  std::size_t Truncate(std::int64_t min_ms);
  /// Appends the full chunks that are still on the heap, as chunks of `ref`.
  /// Their bytes stay where they are until replaced or truncated.
  void CollectHeapChunks(storage::SeriesRef ref,
                         std::vector<HeadChunk>* chunks) const;
  /// Lets the full chunk whose bytes are `heap` use the equal bytes `mapped`,
  /// which are held elsewhere, from now on.
  void ReplaceBytes(absl::string_view heap, absl::string_view mapped);

  /// Appends copies of the chunks that overlap `range` to `*chunks`.
  void CopyChunks(const storage::TimeRange& range,
                  std::vector<storage::Chunk>* chunks) const;

  /// Its declaration is in the write-ahead log.
  bool logged = false;
  /// It was asked for since the last truncation and is spared by the next.
  bool fresh = true;

 private:
  // A full chunk, its bytes on the heap or in a mapped file.
  class FullChunk {
   public:
    // Copies the bytes to the heap. Requires a span below 2^32 ms, which
    // ChunkRules guarantees.
    FullChunk(std::int64_t min_ms, std::int64_t max_ms,
              absl::string_view bytes);
    FullChunk(FullChunk&& other) noexcept;
    FullChunk& operator=(FullChunk&& other) noexcept;
    ~FullChunk();

    std::int64_t min_ms() const { return min_ms_; }
    std::int64_t max_ms() const { return min_ms_ + span_ms_; }
    absl::string_view bytes() const { return {data_, size_}; }
    bool on_heap() const { return on_heap_; }
    // Uses these equal bytes from now on and frees those on the heap.
    void UseMapped(absl::string_view bytes);

   private:
    std::int64_t min_ms_;
    const char* data_;
    std::uint32_t span_ms_;
    std::uint32_t size_ : 31;
    std::uint32_t on_heap_ : 1;
  };

  bool MustCut(std::int64_t timestamp_ms, const ChunkRules& rules);
  void Cut();

  XorChunk open_;
  // When the open chunk ends at the latest.
  std::int64_t next_at_ms_ = 0;
  // Ascending; null while there are none.
  std::unique_ptr<std::vector<FullChunk>> full_;
};

}  // namespace narthex::tsdb
