#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/tsdb/block_writer.h"
#include "libs/tsdb/checkpoint.h"
#include "libs/tsdb/compact.h"
#include "libs/tsdb/db_state.h"
#include "libs/tsdb/wal_directory.h"

namespace narthex::tsdb {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kLargestBlockMs = std::int64_t{31} * 24 * 60 * 60 * 1000;

// The end of the block that `timestamp_ms` falls into.
std::int64_t BlockEnd(std::int64_t timestamp_ms, std::int64_t block_ms) {
  return timestamp_ms / block_ms * block_ms + block_ms;
}

std::int64_t LargestBlock(const DbOptions& options, std::int64_t retention_ms) {
  if (options.max_block_ms > 0) return options.max_block_ms;
  std::int64_t largest = kLargestBlockMs;
  if (retention_ms > 0) largest = std::min(largest, retention_ms / 10);
  return std::max(largest, options.block_ms);
}

// Says that a block is being written as long as it lives.
class PopulatingBlock {
 public:
  explicit PopulatingBlock(metrics::Gauge& gauge) : gauge_(gauge) {
    gauge_.Set(1);
  }
  ~PopulatingBlock() { gauge_.Set(0); }
  PopulatingBlock(const PopulatingBlock&) = delete;
  PopulatingBlock& operator=(const PopulatingBlock&) = delete;

 private:
  metrics::Gauge& gauge_;
};

void ObserveChunks(const std::vector<storage::Chunk>& chunks,
                   TsdbMetrics& metrics) {
  for (const storage::Chunk& chunk : chunks) {
    metrics.chunk_range_seconds.Observe(
        static_cast<double>(chunk.max_ms - chunk.min_ms) / 1000);
    metrics.chunk_bytes.Observe(static_cast<double>(chunk.bytes.size()));
    // Chunks of all encodings begin with their number of samples.
    if (chunk.bytes.size() < 2) continue;
    const auto high = static_cast<unsigned char>(chunk.bytes[0]);
    const auto low = static_cast<unsigned char>(chunk.bytes[1]);
    metrics.chunk_samples.Observe(high * 256.0 + low);
  }
}

absl::Status LinkFiles(const std::string& from, const std::string& to) {
  std::error_code error;
  fs::create_directories(to, error);
  for (auto it = fs::recursive_directory_iterator(from, error);
       !error && it != fs::recursive_directory_iterator();
       it.increment(error)) {
    const fs::path target = to / fs::relative(it->path(), from, error);
    if (error) break;
    if (it->is_directory()) {
      fs::create_directories(target, error);
    } else {
      fs::create_hard_link(it->path(), target, error);
    }
    if (error) break;
  }
  if (!error) return absl::OkStatus();
  return base::ErrnoStatus(error.value(), absl::StrCat("link ", from, " to"),
                           to);
}

}  // namespace

absl::StatusOr<std::optional<BlockMeta>> DbState::WriteHeadBlock(
    const std::string& parent, std::int64_t min_ms, std::int64_t max_ms) {
  NARTHEX_ASSIGN_OR_RETURN(
      const std::unique_ptr<storage::ChunkSeriesSet> set,
      head_->Select({min_ms, max_ms - 1}, {}, Head::Edges::kTrimmed));
  BlockMeta meta;
  meta.ulid = Ulid::New(clock_.NowMs());
  meta.min_ms = min_ms;
  meta.max_ms = max_ms;
  NARTHEX_ASSIGN_OR_RETURN(const std::unique_ptr<BlockWriter> writer,
                           BlockWriter::Create(parent, meta, WriterOptions()));
  const PopulatingBlock populating(metrics_.populating_block);
  storage::ChunkSeries series;
  while (set->Next(&series)) {
    ObserveChunks(series.chunks, metrics_);
    NARTHEX_RETURN_IF_ERROR(writer->AddSeries(series.labels, series.chunks));
  }
  NARTHEX_RETURN_IF_ERROR(set->status());
  if (writer->series_count() == 0) return std::nullopt;
  NARTHEX_ASSIGN_OR_RETURN(BlockMeta written, writer->Finish());
  return written;
}

// Moves the samples before `max_ms` from the head into a block. The block's
// rename is the commit point: after a crash the head leaves out of the log
// what the blocks hold.
absl::Status DbState::CutBlock(std::int64_t min_ms, std::int64_t max_ms) {
  const std::int64_t start = clock_.MonotonicNs();
  metrics_.compactions_triggered.Inc();
  head_->CloseTimeBefore(max_ms);
  const auto written = WriteHeadBlock(directory_, min_ms, max_ms);
  if (!written.ok()) {
    if (!absl::IsCancelled(written.status())) metrics_.compactions_failed.Inc();
    return base::Annotate(written.status(), "write block of the head");
  }
  if (written->has_value()) {
    const BlockMeta& meta = **written;
    NARTHEX_ASSIGN_OR_RETURN(
        const std::shared_ptr<Block> block,
        Block::Open(absl::StrCat(directory_, "/", meta.ulid.ToString())));
    blocks_->Exchange(block, {});
    const double seconds =
        static_cast<double>(clock_.MonotonicNs() - start) * 1e-9;
    metrics_.compactions.Inc();
    metrics_.compaction_seconds.Observe(seconds);
    logger_.Info("head block written", {{"ulid", meta.ulid.ToString()},
                                        {"min_ms", meta.min_ms},
                                        {"max_ms", meta.max_ms},
                                        {"series", meta.stats.series},
                                        {"samples", meta.stats.samples},
                                        {"seconds", seconds}});
  }
  head_->Truncate(max_ms);
  NARTHEX_RETURN_IF_ERROR(head_chunks_->RemoveBefore(max_ms));
  const absl::Status truncated = TruncateLog(max_ms);
  if (!truncated.ok()) {
    metrics_.wal.truncations_failed.Inc();
    // The log is only longer than it need be; the next time may succeed.
    logger_.Error("write-ahead log not truncated",
                  {{"err", truncated.ToString()}});
  }
  return absl::OkStatus();
}

// Replaces the older two thirds of the segments by a checkpoint of what is
// still in the head.
absl::Status DbState::TruncateLog(std::int64_t min_ms) {
  const std::int64_t start = clock_.MonotonicNs();
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<int> segments,
                           ListWalSegments(wal_->directory()));
  if (segments.empty()) return absl::OkStatus();
  NARTHEX_RETURN_IF_ERROR(wal_->NextSegment());
  const int first = segments.front();
  const int last = first + (segments.back() - 1 - first) * 2 / 3;
  if (last <= first) return absl::OkStatus();
  CheckpointFilter filter;
  filter.min_ms = min_ms;
  filter.keep_series = [this, min_ms](storage::SeriesRef ref) {
    return head_->HasSeries(ref) ||
           ((min_ms <= other_refs_until_ms_ || head_->has_out_of_order()) &&
            other_refs_.contains(ref));
  };
  NARTHEX_RETURN_IF_ERROR(
      CheckpointWal(*wal_, last, filter, logger_, metrics_));
  metrics_.wal_truncate_seconds.Observe(
      static_cast<double>(clock_.MonotonicNs() - start) * 1e-9);
  return absl::OkStatus();
}

absl::Status DbState::MoveFullChunks() {
  // What could not be moved stays in memory until the next time.
  absl::Status status = head_->MoveFullChunks(*head_chunks_);
  status.Update(head_->MoveOutOfOrderChunks(*head_chunks_));
  metrics_.chunk_files_bytes.Set(
      static_cast<double>(head_chunks_->size_bytes()));
  return base::Annotate(status, "write full chunks of the head");
}

absl::Status DbState::CompactHead() {
  const std::int64_t due = options_.block_ms / 2 * 3;
  bool cut = false;
  while (!head_->empty() && head_->max_time() - head_->min_time() > due) {
    const std::int64_t first = head_->FirstSampleTime();
    if (first == Head::kNoMinTime || head_->max_time() - first <= due) break;
    NARTHEX_RETURN_IF_ERROR(
        CutBlock(first, BlockEnd(first, options_.block_ms)));
    cut = true;
  }
  return cut ? CompactOutOfOrder() : absl::OkStatus();
}

absl::Status DbState::FlushHead() {
  const std::int64_t last = head_->max_time();
  while (true) {
    const std::int64_t first = head_->FirstSampleTime();
    if (first == Head::kNoMinTime || first > last) break;
    NARTHEX_RETURN_IF_ERROR(CutBlock(
        first, std::min(BlockEnd(first, options_.block_ms), last + 1)));
  }
  return CompactOutOfOrder();
}

BlockWriterOptions DbState::WriterOptions() const {
  BlockWriterOptions options;
  options.segment_bytes = options_.block_segment_bytes;
  options.interrupted = &interrupted_;
  return options;
}

// All but those of samples out of order and of stale series that reach beyond
// what was cut from the head. As part of another block they would hide, after
// the next start, what the log has of their time.
std::vector<BlockMeta> DbState::CompactableBlocks() const {
  std::vector<BlockMeta> metas = Metas();
  std::erase_if(metas, [this](const BlockMeta& meta) {
    return (meta.compaction.HasHint(kHintFromOutOfOrder) ||
            meta.compaction.HasHint(kHintFromStaleSeries)) &&
           meta.max_ms > head_->min_valid_time();
  });
  if (options_.uploads_file.empty()) return metas;
  // Blocks just cut from the head wait until they are uploaded.
  const absl::StatusOr<std::set<Ulid>> uploaded =
      ReadUploadedBlocks(options_.uploads_file);
  if (!uploaded.ok()) {
    logger_.Warn(
        "which blocks are uploaded is not known; none of them is "
        "compacted",
        {{"err", uploaded.status().ToString()}});
  }
  std::erase_if(metas, [&uploaded](const BlockMeta& meta) {
    return meta.compaction.level == 1 &&
           (!uploaded.ok() || !uploaded->contains(meta.ulid));
  });
  return metas;
}

absl::Status DbState::CompactStoredBlocks() {
  const std::vector<std::int64_t> ranges = CompactionRanges(
      options_.block_ms, LargestBlock(options_, retention().time_ms));
  while (true) {
    const std::vector<BlockMeta> plan = PlanCompaction(
        CompactableBlocks(), ranges, options_.overlapping_compaction);
    if (plan.empty()) return absl::OkStatus();
    NARTHEX_RETURN_IF_ERROR(CompactGroup(plan));
  }
}

absl::Status DbState::CompactGroup(const std::vector<BlockMeta>& plan) {
  BlockList parents;
  bool overlap = false;
  for (const BlockMeta& meta : plan) {
    const std::shared_ptr<Block> block = blocks_->Find(meta.ulid);
    if (block == nullptr) continue;
    overlap |= !parents.empty() && block->min_ms() < parents.back()->max_ms();
    parents.push_back(block);
  }
  metrics_.compactions_triggered.Inc();
  if (overlap) metrics_.vertical_compactions.Inc();
  absl::Status status = Rewrite(parents);
  if (status.ok() || absl::IsCancelled(status)) return status;
  metrics_.compactions_failed.Inc();
  // A full disk passes; other reasons would only come again.
  if (!absl::IsResourceExhausted(status)) {
    NARTHEX_RETURN_IF_ERROR(MarkFailed(parents, status));
  }
  return base::Annotate(status, "compact blocks");
}

absl::Status DbState::MarkFailed(const BlockList& blocks,
                                 const absl::Status& reason) {
  for (const auto& block : blocks) {
    logger_.Error(
        "block is not compacted any more",
        {{"ulid", block->ulid().ToString()}, {"err", reason.ToString()}});
    BlockMeta meta = block->meta();
    meta.compaction.failed = true;
    NARTHEX_RETURN_IF_ERROR(WriteBlockMeta(block->directory(), meta));
    NARTHEX_ASSIGN_OR_RETURN(const std::shared_ptr<Block> again,
                             Block::Open(block->directory()));
    blocks_->Exchange(again, {block->ulid()});
  }
  return absl::OkStatus();
}

// The newest block tells from when on the log is replayed. Without it, what was
// deleted would come back from there.
bool DbState::HasNewest(const BlockList& some) const {
  const auto before = [](const auto& a, const auto& b) {
    return a->max_ms() < b->max_ms();
  };
  const auto all = blocks();
  const auto newest = std::max_element(all->begin(), all->end(), before);
  const auto last = std::max_element(some.begin(), some.end(), before);
  return last != some.end() && (*last)->max_ms() >= (*newest)->max_ms();
}

absl::Status DbState::Rewrite(const BlockList& parents) {
  const std::int64_t start = clock_.MonotonicNs();
  const PopulatingBlock populating(metrics_.populating_block);
  NARTHEX_ASSIGN_OR_RETURN(
      const std::optional<BlockMeta> made,
      CompactBlocks(directory_, parents, clock_.NowMs(), WriterOptions()));
  if (!made.has_value() && HasNewest(parents)) return absl::OkStatus();
  std::shared_ptr<Block> block;
  if (made.has_value()) {
    NARTHEX_ASSIGN_OR_RETURN(
        block,
        Block::Open(absl::StrCat(directory_, "/", made->ulid.ToString())));
  }
  std::vector<Ulid> removed;
  for (const auto& parent : parents) removed.push_back(parent->ulid());
  blocks_->Exchange(block, removed);
  const double seconds =
      static_cast<double>(clock_.MonotonicNs() - start) * 1e-9;
  metrics_.compactions.Inc();
  metrics_.compaction_seconds.Observe(seconds);
  logger_.Info("blocks compacted",
               {{"blocks", parents.size()},
                {"ulid", block == nullptr ? "none" : made->ulid.ToString()},
                {"seconds", seconds}});
  return RemoveBlocks(removed);
}

absl::Status DbState::CleanTombstones() {
  const std::int64_t start = clock_.MonotonicNs();
  for (const auto list = blocks(); const auto& block : *list) {
    if (block->meta().stats.tombstones == 0) continue;
    NARTHEX_RETURN_IF_ERROR(
        base::Annotate(Rewrite({block}), "rewrite block with deletions"));
  }
  metrics_.tombstone_cleanup_seconds.Observe(
      static_cast<double>(clock_.MonotonicNs() - start) * 1e-9);
  return absl::OkStatus();
}

absl::Status DbState::Snapshot(const std::string& directory, bool skip_head) {
  const auto write = [&]() -> absl::Status {
    NARTHEX_RETURN_IF_ERROR(base::CreateDirectories(directory));
    for (const auto list = blocks(); const auto& block : *list) {
      NARTHEX_RETURN_IF_ERROR(
          LinkFiles(block->directory(),
                    absl::StrCat(directory, "/", block->ulid().ToString())));
    }
    if (skip_head) return absl::OkStatus();
    NARTHEX_RETURN_IF_ERROR(SnapshotOutOfOrder(directory));
    const std::int64_t first = head_->FirstSampleTime();
    if (first == Head::kNoMinTime) return absl::OkStatus();
    return base::internal::ToStatus(
        WriteHeadBlock(directory, first, head_->max_time() + 1));
  };
  if (base::Exists(directory)) {
    return absl::AlreadyExistsError(absl::StrCat(directory, " exists"));
  }
  const absl::Status status = write();
  if (!status.ok()) NARTHEX_RETURN_IF_ERROR(base::RemoveAll(directory));
  return base::Annotate(status, "write snapshot");
}

}  // namespace narthex::tsdb
