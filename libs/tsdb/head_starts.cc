#include <utility>

#include "libs/base/status.h"
#include "libs/tsdb/chunk_header.h"
#include "libs/tsdb/head.h"
#include "libs/tsdb/start_chunks.h"

namespace narthex::tsdb {

const StartRuns* Head::StartsOf(const StartTable& table, SeriesId id,
                                const MemSeries& series) {
  if (!series.has_starts()) return nullptr;
  const auto it = table.find(id);
  return it == table.end() ? nullptr : &it->second;
}

bool Head::KeepsStarts(storage::Encoding encoding) const {
  return HasStartTimes(encoding) &&
         (IsHistogramEncoding(encoding) ? options_.histogram_start_times
                                        : options_.start_times);
}

absl::Status Head::EncodeForBlock(std::vector<storage::Chunk>* chunks) const {
  if (!xor2_blocks_.load()) return absl::OkStatus();
  for (storage::Chunk& chunk : *chunks) {
    if (chunk.encoding != storage::Encoding::kXor) continue;
    NARTHEX_ASSIGN_OR_RETURN(chunk, AsXor2(chunk));
  }
  return absl::OkStatus();
}

void Head::NoteStart(SeriesId id, std::int64_t timestamp_ms,
                     std::int64_t start_ms, MemSeries& series, Shard& shard) {
  if (start_ms == 0 && !series.has_starts()) return;
  shard.starts[id].Note(timestamp_ms, start_ms);
  series.set_has_starts(true);
}

absl::Status Head::NoteStarts(SeriesId id, const storage::Chunk& chunk,
                              MemSeries& series, Shard& shard) {
  StartRuns starts;
  const auto own = shard.starts.find(id);
  if (own != shard.starts.end()) starts = std::move(own->second);
  NARTHEX_RETURN_IF_ERROR(NoteStartTimes(chunk, &starts));
  if (starts.empty()) return absl::OkStatus();
  shard.starts[id] = std::move(starts);
  series.set_has_starts(true);
  return absl::OkStatus();
}

}  // namespace narthex::tsdb
