#include "libs/tsdb/snapshot_loader.h"

#include <algorithm>
#include <limits>
#include <thread>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/tsdb/chunk_header.h"
#include "libs/tsdb/wal_directory.h"

namespace narthex::tsdb {
namespace {

constexpr std::size_t kStretchBytes = 8 << 20;

std::size_t ThreadsOfLoader() {
  return std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, 8);
}

bool IsFloats(const HeadChunk& chunk) {
  return !IsHistogramEncoding(chunk.encoding);
}

// Whether a MemSeries can hold it.
bool Fits(const HeadChunk& chunk) {
  return !IsFloats(chunk) ||
         (chunk.bytes.size() <= std::numeric_limits<std::uint16_t>::max() &&
          chunk.max_ms - chunk.min_ms <=
              std::numeric_limits<std::uint32_t>::max());
}

}  // namespace

SnapshotLoader::SnapshotLoader(ChunkSnapshot snapshot,
                               std::string data_directory, Head& head,
                               const ReplayWatch& watch)
    : snapshot_(std::move(snapshot)),
      data_directory_(std::move(data_directory)),
      head_(head),
      watch_(watch),
      workers_(ThreadsOfLoader()),
      assemblers_(workers_.count()) {}

absl::Status SnapshotLoader::ForEachStretch(const Decode& decode,
                                            const Use& meanwhile,
                                            const Use& then) {
  NARTHEX_ASSIGN_OR_RETURN(WalReader reader, WalReader::Open(snapshot_.path));
  Loaded now;
  Loaded next;
  bool more = true;
  while (more || now.stretch.count > 0) {
    next.stretch.count = 0;
    next.stretch.flaw.reset();
    if (more) {
      NARTHEX_ASSIGN_OR_RETURN(more, reader.Next(kStretchBytes, &next.stretch));
    }
    const std::size_t count = next.stretch.count;
    if (next.decoded.size() < count) next.decoded.resize(count);
    absl::Status status;
    workers_.Run(1 + count, [&](std::size_t i, std::size_t worker) {
      if (i == 0) {
        status = meanwhile(now.records());
      } else {
        DecodeOne(next.stretch.records[i - 1], worker, decode,
                  &next.decoded[i - 1]);
      }
    });
    NARTHEX_RETURN_IF_ERROR(status);
    NARTHEX_RETURN_IF_ERROR(then(now.records()));
    for (const Decoded& decoded : next.records()) {
      NARTHEX_RETURN_IF_ERROR(decoded.status);
    }
    if (next.stretch.flaw.has_value()) return next.stretch.flaw->reason;
    std::swap(now, next);
  }
  return absl::OkStatus();
}

void SnapshotLoader::DecodeOne(const WalFragments& fragments,
                               std::size_t worker, const Decode& decode,
                               Decoded* decoded) {
  if (watch_.stopping && watch_.stopping()) {
    decoded->status = absl::CancelledError("the start was interrupted");
    return;
  }
  const auto record = assemblers_[worker].Assemble(fragments);
  decoded->status = record.status();
  if (!record.ok()) return;
  decoded->bytes.assign(record->data(), record->size());
  decoded->status = decode(*decoded);
}

absl::Status SnapshotLoader::DecodeRecord(Decoded& record) {
  record.is_series = false;
  record.tombstones.clear();
  record.exemplars.clear();
  const auto type =
      static_cast<SnapshotRecordType>(WalRecordTypeOf(record.bytes));
  switch (type) {
    case SnapshotRecordType::kSeries:
      record.is_series = true;
      return DecodeSnapshotSeries(record.bytes, &record.series);
    case SnapshotRecordType::kTombstones: {
      NARTHEX_ASSIGN_OR_RETURN(record.tombstones,
                               DecodeSnapshotTombstones(record.bytes));
      return absl::OkStatus();
    }
    case SnapshotRecordType::kExemplars:
      return DecodeSnapshotExemplars(record.bytes, &record.exemplars);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("records of type ", static_cast<int>(type),
                   " are not read in a snapshot"));
}

absl::Status SnapshotLoader::Prepare() {
  NARTHEX_RETURN_IF_ERROR(CheckPosition());
  auto references = ReadSnapshotReferences(snapshot_);
  const bool tells_references = references.ok();
  if (tells_references) {
    references_ = *std::move(references);
    head_.SetMinValidTime(references_.min_valid_ms);
  } else if (!absl::IsNotFound(references.status())) {
    return references.status();
  }
  NARTHEX_RETURN_IF_ERROR(
      ForEachStretch([this](Decoded& record) { return Check(record); },
                     [this](Records records) { return Declare(records); },
                     [](Records) { return absl::OkStatus(); }));
  if (!tells_references) NARTHEX_RETURN_IF_ERROR(ReadDeclarations());
  head_.RaiseLastId(references_.last_id);
  return LoadFiles();
}

// What was logged since may have come into the files of chunks, or gone from
// the head: memory is only known to have been so when nothing was.
absl::Status SnapshotLoader::CheckPosition() const {
  NARTHEX_ASSIGN_OR_RETURN(
      WalReader reader, WalReader::Open(absl::StrCat(data_directory_, "/wal"),
                                        snapshot_.position));
  WalStretch stretch;
  while (true) {
    NARTHEX_ASSIGN_OR_RETURN(const bool more, reader.Next(1, &stretch));
    if (!more) return absl::OkStatus();
    if (stretch.flaw.has_value()) return stretch.flaw->reason;
    if (stretch.count > 0) {
      return absl::FailedPreconditionError("the log goes on behind it");
    }
  }
}

absl::Status SnapshotLoader::Check(Decoded& record) const {
  NARTHEX_RETURN_IF_ERROR(DecodeRecord(record));
  if (!record.is_series) return absl::OkStatus();
  record.hash = record.series.declared.labels.Hash();
  const storage::Chunk& newest = record.series.newest;
  if (newest.bytes.empty()) return absl::OkStatus();
  const absl::Status checked = CheckSnapshotChunk(newest);
  if (!checked.ok()) {
    return base::Annotate(
        checked, absl::StrCat("series ",
                              record.series.declared.labels.ToMetricString()));
  }
  // The time before is in blocks. Chunks of heads end where blocks do.
  if (newest.min_ms < head_.min_valid_time() &&
      newest.max_ms >= head_.min_valid_time()) {
    return absl::FailedPreconditionError(
        "a block ends in the midst of a chunk");
  }
  return absl::OkStatus();
}

absl::Status SnapshotLoader::Declare(Records records) {
  for (const Decoded& record : records) {
    if (!record.is_series) continue;
    const auto ref = head_.ReplaySeries(record.series.declared, record.hash);
    if (!ref.ok()) {
      ++refused_;
    } else if (*ref != record.series.declared.ref) {
      return absl::DataLossError(absl::StrCat(
          "series ", record.series.declared.labels.ToMetricString(),
          " is there twice, or its reference is"));
    }
    ++series_;
  }
  return absl::OkStatus();
}

// Prometheus's snapshots do not tell which references were used before by
// series that are gone, or for the same series. The log does.
absl::Status SnapshotLoader::ReadDeclarations() {
  const std::string wal = absl::StrCat(data_directory_, "/wal");
  const auto read = [this](const std::string& directory,
                           int last) -> absl::Status {
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<int> segments,
                             ListWalSegments(directory));
    for (const int segment : segments) {
      if (segment > last) break;
      // Where it is damaged nothing is lost that this start needs.
      const auto flaw =
          ReadWalSegment(directory, segment, [this](absl::string_view record) {
            return NoteDeclarations(record);
          });
      NARTHEX_RETURN_IF_ERROR(flaw);
    }
    return absl::OkStatus();
  };
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<WalCheckpoint> checkpoints,
                           ListWalCheckpoints(wal));
  if (!checkpoints.empty()) {
    NARTHEX_RETURN_IF_ERROR(
        read(checkpoints.back().path, std::numeric_limits<int>::max()));
  }
  return read(wal, snapshot_.position.segment);
}

absl::Status SnapshotLoader::NoteDeclarations(absl::string_view record) {
  if (WalRecordTypeOf(record) !=
      static_cast<std::uint8_t>(WalRecordType::kSeries)) {
    return absl::OkStatus();
  }
  std::vector<RefSeries> declared;
  NARTHEX_RETURN_IF_ERROR(DecodeSeries(record, &declared));
  for (const RefSeries& one : declared) {
    references_.last_id = std::max(references_.last_id, IdOf(one.ref));
    const std::optional<SeriesId> known = head_.Find(one.labels);
    if (known.has_value() && *known != one.ref) {
      references_.others[one.ref] = *known;
    }
  }
  return absl::OkStatus();
}

absl::Status SnapshotLoader::LoadFiles() {
  std::vector<HeadChunk> chunks;
  NARTHEX_ASSIGN_OR_RETURN(
      files_, HeadChunkFiles::Load(
                  absl::StrCat(data_directory_, "/chunks_head"), &chunks));
  if (files_->size_bytes() < references_.full_bytes) {
    return absl::DataLossError(absl::StrCat("chunks_head: holds ",
                                            files_->size_bytes(), " bytes of ",
                                            references_.full_bytes));
  }
  for (HeadChunk& chunk : chunks) {
    head_.RaiseLastId(IdOf(chunk.ref));
    // The log of samples out of order has them all.
    if (chunk.out_of_order || chunk.max_ms < head_.min_valid_time()) continue;
    if (const auto it = references_.others.find(chunk.ref);
        it != references_.others.end()) {
      chunk.ref = it->second;
    }
    full_[ByShard::ShardOf(IdOf(chunk.ref))].push_back(chunk);
  }
  std::vector<absl::Status> statuses(full_.size());
  workers_.Run(full_.size(), [&](std::size_t shard, std::size_t) {
    std::vector<HeadChunk>& some = full_[shard];
    const auto key = [](const HeadChunk& chunk) {
      return std::make_tuple(chunk.ref, chunk.min_ms, chunk.max_ms);
    };
    std::sort(some.begin(), some.end(),
              [&key](const HeadChunk& a, const HeadChunk& b) {
                return key(a) < key(b);
              });
    // A chunk that was replayed after a crash is written again.
    some.erase(std::unique(some.begin(), some.end(),
                           [](const HeadChunk& a, const HeadChunk& b) {
                             return a.ref == b.ref && a.min_ms == b.min_ms &&
                                    a.bytes == b.bytes;
                           }),
               some.end());
    statuses[shard] = CheckFull(absl::MakeSpan(some));
  });
  for (const absl::Status& status : statuses) {
    NARTHEX_RETURN_IF_ERROR(base::Annotate(status, "chunks_head"));
  }
  return absl::OkStatus();
}

absl::Status SnapshotLoader::CheckFull(absl::Span<HeadChunk> chunks) const {
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const HeadChunk& chunk = chunks[i];
    if (!IsKnownEncoding(chunk.encoding) || !Fits(chunk)) {
      return absl::InvalidArgumentError(
          "a chunk is not one that the head holds");
    }
    if (chunk.min_ms > chunk.max_ms || chunk.min_ms < head_.min_valid_time()) {
      return absl::FailedPreconditionError(
          "a block ends in the midst of a chunk");
    }
    if (i > 0 && chunks[i - 1].ref == chunk.ref &&
        chunks[i - 1].max_ms >= chunk.min_ms) {
      return absl::DataLossError("chunks of a series overlap");
    }
    if (IsFloats(chunk)) continue;
    NARTHEX_RETURN_IF_ERROR(CheckSnapshotChunk(
        {chunk.min_ms, chunk.max_ms, chunk.encoding, chunk.bytes, nullptr}));
  }
  return absl::OkStatus();
}

absl::Status SnapshotLoader::Apply() {
  return ForEachStretch(
      DecodeRecord, [](Records) { return absl::OkStatus(); },
      [this](Records records) { return Restore(records); });
}

Head::StoredSeries SnapshotLoader::StoredOf(const Decoded& record) const {
  Head::StoredSeries stored;
  stored.id = IdOf(record.series.declared.ref);
  if (record.series.newest.max_ms >= head_.min_valid_time()) {
    stored.newest = record.series.newest;
  }
  const std::vector<HeadChunk>& all = full_[ByShard::ShardOf(stored.id)];
  auto it =
      std::lower_bound(all.begin(), all.end(), record.series.declared.ref,
                       [](const HeadChunk& chunk, storage::SeriesRef ref) {
                         return chunk.ref < ref;
                       });
  for (; it != all.end() && it->ref == record.series.declared.ref; ++it) {
    stored.full.push_back(
        {it->min_ms, it->max_ms, it->encoding, it->bytes,
         IsFloats(*it) ? nullptr : files_->Locate(it->bytes).owner});
  }
  return stored;
}

absl::Status SnapshotLoader::Restore(Records records) {
  std::array<std::vector<const Decoded*>, ByShard::kShards> by_shard;
  for (const Decoded& record : records) {
    if (!record.is_series) continue;
    by_shard[ByShard::ShardOf(IdOf(record.series.declared.ref))].push_back(
        &record);
  }
  std::vector<absl::Status> statuses(by_shard.size());
  workers_.Run(by_shard.size(), [&](std::size_t shard, std::size_t) {
    std::vector<Head::StoredSeries> stored;
    for (const Decoded* record : by_shard[shard]) {
      stored.push_back(StoredOf(*record));
    }
    statuses[shard] =
        head_.RestoreShard(static_cast<std::uint32_t>(shard), stored);
  });
  for (const absl::Status& status : statuses) NARTHEX_RETURN_IF_ERROR(status);
  for (const Decoded& record : records) {
    for (const auto& [ref, intervals] : record.tombstones) {
      for (const storage::TimeRange& range : intervals) {
        if (head_.HasSeries(ref)) head_.ReplayTombstone({ref, range});
      }
    }
    head_.ReplayExemplars(record.exemplars);
  }
  return absl::OkStatus();
}

}  // namespace narthex::tsdb
