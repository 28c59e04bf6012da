#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "libs/base/workers.h"
#include "libs/tsdb/by_shard.h"
#include "libs/tsdb/chunk_snapshot.h"
#include "libs/tsdb/chunk_snapshot_records.h"
#include "libs/tsdb/head.h"
#include "libs/tsdb/head_chunk_files.h"
#include "libs/tsdb/replay_watch.h"
#include "libs/tsdb/wal_reader.h"

namespace narthex::tsdb {

/// Fills a head, which is empty, from a snapshot of memory and the files of
/// full chunks. Everything is read twice: a snapshot that is not good must
/// not leave half of itself.
class SnapshotLoader {
 public:
  SnapshotLoader(ChunkSnapshot snapshot, std::string data_directory, Head& head,
                 const ReplayWatch& watch);

  /// Checks all there is and declares the series, which is harmless should
  /// the log be replayed instead. Errors: kCancelled when it was asked to
  /// stop; others say why the snapshot cannot be used.
  absl::Status Prepare();
  /// Fills the head. After an error it cannot be used.
  absl::Status Apply();

  const WalPosition& position() const { return snapshot_.position; }
  /// Of a snapshot that was prepared.
  const OtherRefs& other_refs() const { return references_.others; }
  std::shared_ptr<HeadChunkFiles> files() const { return files_; }
  std::uint64_t series() const { return series_; }
  /// Those that the head's limit left out.
  std::uint64_t refused_series() const { return refused_; }

 private:
  // A record; what its type has.
  struct Decoded {
    absl::Status status;
    std::string bytes;  // What views refer to.
    bool is_series = false;
    SnapshotSeries series;
    std::uint64_t hash = 0;
    Tombstones tombstones;
    std::vector<RefExemplar> exemplars;
  };
  using Records = absl::Span<Decoded>;
  struct Loaded {
    WalStretch stretch;
    std::vector<Decoded> decoded;

    Records records() {
      return absl::MakeSpan(decoded).subspan(0, stretch.count);
    }
  };
  using Decode = std::function<absl::Status(Decoded&)>;
  using Use = std::function<absl::Status(Records)>;

  // Reads the snapshot: while the records of a stretch are decoded by all
  // other threads, one does `meanwhile` with those before; then comes `then`,
  // with these.
  absl::Status ForEachStretch(const Decode& decode, const Use& meanwhile,
                              const Use& then);
  void DecodeOne(const WalFragments& fragments, std::size_t worker,
                 const Decode& decode, Decoded* decoded);
  static absl::Status DecodeRecord(Decoded& record);
  absl::Status CheckPosition() const;
  absl::Status Check(Decoded& record) const;
  absl::Status Declare(Records records);
  absl::Status ReadDeclarations();
  absl::Status NoteDeclarations(absl::string_view record);
  absl::Status LoadFiles();
  absl::Status CheckFull(absl::Span<HeadChunk> chunks) const;
  absl::Status Restore(Records records);
  Head::StoredSeries StoredOf(const Decoded& record) const;

  const ChunkSnapshot snapshot_;
  const std::string data_directory_;
  Head& head_;
  const ReplayWatch& watch_;
  base::Workers workers_;
  std::vector<WalAssembler> assemblers_;  // By worker.

  SnapshotReferences references_;
  std::shared_ptr<HeadChunkFiles> files_;
  // In order, sorted by reference and time.
  std::array<std::vector<HeadChunk>, ByShard::kShards> full_;
  std::uint64_t series_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace narthex::tsdb
