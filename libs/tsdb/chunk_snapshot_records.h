#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "libs/storage/storage.h"
#include "libs/tsdb/tombstones.h"
#include "libs/tsdb/wal_records.h"

/// The records of a snapshot of the head's memory.
/// Source: Prometheus, tsdb/docs/format/memory_snapshot.md.
namespace narthex::tsdb {

enum class SnapshotRecordType : std::uint8_t {
  kSeries = 1,
  kTombstones = 2,
  kExemplars = 3,
};

/// A series and its newest chunk, which has no bytes when there is none.
struct SnapshotSeries {
  RefSeries declared;
  storage::Chunk newest;
};

/// Append one record to `*out`. The first also wants the value of the chunk's
/// last sample, if that is a float; kDataLoss when the chunk is corrupt.
absl::Status EncodeSnapshotSeries(const SnapshotSeries& series,
                                  double last_value, std::string* out);
void EncodeSnapshotTombstones(const Tombstones& tombstones, std::string* out);
/// Requires: not empty.
void EncodeSnapshotExemplars(absl::Span<const RefExemplar> exemplars,
                             std::string* out);

/// Decode a record of these types; kDataLoss when it is malformed. The chunk's
/// bytes are a view into the record and not looked at.
absl::Status DecodeSnapshotSeries(absl::string_view record,
                                  SnapshotSeries* out);
absl::StatusOr<Tombstones> DecodeSnapshotTombstones(absl::string_view record);
absl::Status DecodeSnapshotExemplars(absl::string_view record,
                                     std::vector<RefExemplar>* out);

/// Whether a chunk can be taken into a head as its series' newest: kDataLoss
/// when it cannot be decoded or contradicts its bounds, kInvalidArgument when
/// its encoding is not one of those that heads write.
absl::Status CheckSnapshotChunk(const storage::Chunk& chunk);

}  // namespace narthex::tsdb
