#include "libs/tsdb/chunk_snapshot.h"

#include <algorithm>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "libs/base/crc32c.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/base/varint.h"
#include "libs/base/workers.h"
#include "libs/metrics/metrics.h"
#include "libs/tsdb/chunk_snapshot_records.h"

namespace narthex::tsdb {
namespace {

constexpr absl::string_view kTemporarySuffix = ".tmp";
// Beside the segments, where Prometheus does not see it.
constexpr absl::string_view kReferencesName = "narthex-references";
// Among references, all of which are above it.
constexpr storage::SeriesRef kFullBytesKey = 0;
constexpr std::size_t kExemplarsPerRecord = 10000;

std::string PathOf(const std::string& directory, const WalPosition& position) {
  return absl::StrFormat("%s/%s%06d.%010d", directory, kChunkSnapshotPrefix,
                         position.segment, position.offset);
}

std::optional<WalPosition> PositionOf(absl::string_view name) {
  if (!absl::ConsumePrefix(&name, kChunkSnapshotPrefix)) return std::nullopt;
  const std::vector<absl::string_view> parts = absl::StrSplit(name, '.');
  WalPosition position;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &position.segment) ||
      !absl::SimpleAtoi(parts[1], &position.offset) || position.segment < 0) {
    return std::nullopt;
  }
  return position;
}

bool Before(const WalPosition& a, const WalPosition& b) {
  return a.segment != b.segment ? a.segment < b.segment : a.offset < b.offset;
}

// After a crash nothing is left that looks whole.
absl::Status RemoveSnapshot(const std::string& path) {
  const std::string going = absl::StrCat(path, kTemporarySuffix);
  NARTHEX_RETURN_IF_ERROR(base::RemoveAll(going));
  NARTHEX_RETURN_IF_ERROR(base::RenameDurably(path, going));
  return base::RemoveAll(going);
}

absl::Status WriteReferences(const std::string& path,
                             const SnapshotReferences& references) {
  std::string content;
  base::PutUvarint(references.last_id, &content);
  base::PutVarint(references.min_valid_ms, &content);
  base::PutUvarint(kFullBytesKey, &content);
  base::PutUvarint(references.full_bytes, &content);
  for (const auto& [other, ref] : references.others) {
    base::PutUvarint(other, &content);
    base::PutUvarint(ref, &content);
  }
  base::PutBe32(base::Crc32c(content), &content);
  return base::WriteFileAtomically(absl::StrCat(path, "/", kReferencesName),
                                   content);
}

absl::Status WriteSeries(const Head& head, Wal& out) {
  base::Workers workers(
      std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, 8));
  std::vector<absl::Status> statuses(ByShard::kShards);
  workers.Run(ByShard::kShards, [&](std::size_t shard, std::size_t) {
    statuses[shard] =
        head.SnapshotShard(static_cast<std::uint32_t>(shard),
                           [&out](const std::vector<std::string>& records) {
                             return out.Log(records);
                           });
  });
  for (const absl::Status& status : statuses) NARTHEX_RETURN_IF_ERROR(status);
  return absl::OkStatus();
}

absl::Status WriteExemplars(const Head& head, Wal& out) {
  const std::vector<RefExemplar> all = head.ListExemplars();
  absl::Span<const RefExemplar> rest = all;
  while (!rest.empty()) {
    const auto some = rest.subspan(0, kExemplarsPerRecord);
    std::string record;
    EncodeSnapshotExemplars(some, &record);
    NARTHEX_RETURN_IF_ERROR(out.Log({&record, 1}));
    rest.remove_prefix(some.size());
  }
  return absl::OkStatus();
}

// In the order in which Prometheus reads: it knows no series after the first
// exemplar.
absl::Status WriteRecords(const Head& head, const std::string& path,
                          const WalOptions& options,
                          const base::Logger& logger) {
  // Its own metrics: those of the log are about the log.
  metrics::Registry registry;
  WriteLogMetrics unused(registry, "unused");
  NARTHEX_ASSIGN_OR_RETURN(const std::unique_ptr<Wal> out,
                           Wal::Open(path, options, logger, unused));
  NARTHEX_RETURN_IF_ERROR(WriteSeries(head, *out));
  std::string record;
  EncodeSnapshotTombstones(head.tombstones(), &record);
  NARTHEX_RETURN_IF_ERROR(out->Log({&record, 1}));
  NARTHEX_RETURN_IF_ERROR(WriteExemplars(head, *out));
  return out->Close();
}

}  // namespace

absl::StatusOr<std::optional<ChunkSnapshot>> FindChunkSnapshot(
    const std::string& directory) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                           base::ListDirectory(directory));
  std::optional<ChunkSnapshot> newest;
  for (const std::string& name : names) {
    const std::optional<WalPosition> position = PositionOf(name);
    if (!position.has_value()) continue;
    if (newest.has_value() && Before(*position, newest->position)) continue;
    newest = {*position, absl::StrCat(directory, "/", name)};
  }
  return newest;
}

absl::Status RemoveChunkSnapshots(const std::string& directory,
                                  const ChunkSnapshot* kept) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                           base::ListDirectory(directory));
  for (const std::string& name : names) {
    const std::string path = absl::StrCat(directory, "/", name);
    if (!absl::StartsWith(name, kChunkSnapshotPrefix) ||
        (kept != nullptr && kept->path == path)) {
      continue;
    }
    NARTHEX_RETURN_IF_ERROR(absl::EndsWith(name, kTemporarySuffix)
                                ? base::RemoveAll(path)
                                : RemoveSnapshot(path));
  }
  return absl::OkStatus();
}

absl::StatusOr<SnapshotReferences> ReadSnapshotReferences(
    const ChunkSnapshot& snapshot) {
  const std::string path = absl::StrCat(snapshot.path, "/", kReferencesName);
  NARTHEX_ASSIGN_OR_RETURN(const std::string file, base::ReadFile(path));
  const absl::string_view content = absl::string_view(file).substr(
      0, file.size() - std::min<std::size_t>(file.size(), 4));
  base::ByteReader checksum(absl::string_view(file).substr(content.size()));
  if (checksum.Be32() != base::Crc32c(content) || !checksum.ok()) {
    return absl::DataLossError(absl::StrCat(path, ": checksum mismatch"));
  }
  base::ByteReader reader(content);
  SnapshotReferences references;
  references.last_id = IdOf(reader.Uvarint());
  references.min_valid_ms = reader.Varint();
  while (reader.ok() && reader.remaining() > 0) {
    const storage::SeriesRef other = reader.Uvarint();
    const std::uint64_t value = reader.Uvarint();
    if (other == kFullBytesKey) {
      references.full_bytes = value;
    } else {
      references.others[other] = value;
    }
  }
  if (!reader.ok()) return absl::DataLossError(absl::StrCat(path, ": cut off"));
  return references;
}

absl::StatusOr<ChunkSnapshot> WriteChunkSnapshot(
    const std::string& directory, const WalPosition& position, const Head& head,
    const SnapshotReferences& references, const WalOptions& options,
    const base::Logger& logger) {
  const ChunkSnapshot snapshot{position, PathOf(directory, position)};
  const std::string temporary = absl::StrCat(snapshot.path, kTemporarySuffix);
  const auto write = [&]() -> absl::Status {
    NARTHEX_RETURN_IF_ERROR(base::RemoveAll(temporary));
    NARTHEX_RETURN_IF_ERROR(WriteRecords(head, temporary, options, logger));
    NARTHEX_RETURN_IF_ERROR(WriteReferences(temporary, references));
    if (base::Exists(snapshot.path)) {
      NARTHEX_RETURN_IF_ERROR(RemoveSnapshot(snapshot.path));
    }
    return base::RenameDurably(temporary, snapshot.path);
  };
  const absl::Status status = write();
  if (!status.ok()) {
    base::RemoveAll(temporary).IgnoreError();
    return status;
  }
  NARTHEX_RETURN_IF_ERROR(RemoveChunkSnapshots(directory, &snapshot));
  return snapshot;
}

}  // namespace narthex::tsdb
