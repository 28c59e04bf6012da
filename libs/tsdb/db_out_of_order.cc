#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/tsdb/block_writer.h"
#include "libs/tsdb/db_metrics.h"
#include "libs/tsdb/db_state.h"
#include "libs/tsdb/head_recovery.h"
#include "libs/tsdb/head_replay.h"
#include "libs/tsdb/wal_directory.h"

namespace narthex::tsdb {
namespace {

// The names are Prometheus's: "write behind log".
std::string WblPath(const std::string& directory) {
  return absl::StrCat(directory, "/wbl");
}
constexpr absl::string_view kMetricsPrefix = "prometheus_tsdb_out_of_order_wbl";

}  // namespace

absl::Status DbState::ReplayOutOfOrderLog() {
  const std::string path = WblPath(directory_);
  ReplayResult result;
  if (base::Exists(path)) {
    const std::int64_t start = clock_.MonotonicNs();
    NARTHEX_ASSIGN_OR_RETURN(
        result, tsdb::ReplayOutOfOrderLog(path, other_refs_, *head_, logger_,
                                          metrics_));
    logger_.Info("log of samples out of order replayed",
                 {{"segments", result.segments},
                  {"samples", result.samples},
                  {"seconds",
                   static_cast<double>(clock_.MonotonicNs() - start) * 1e-9}});
  }
  if (read_only()) return absl::OkStatus();
  NARTHEX_RETURN_IF_ERROR(MendOutOfOrderLog(result));
  if (base::Exists(path)) NARTHEX_RETURN_IF_ERROR(OpenOutOfOrderLog());
  base::MutexLock lock(maintenance_);
  NARTHEX_RETURN_IF_ERROR(SetOutOfOrderWindow(options_.out_of_order_window_ms));
  NARTHEX_RETURN_IF_ERROR(head_chunks_->RemoveEarlier());
  replayed_ = true;
  // Memory goes its own way from here on: after a crash it is the log that
  // tells how far it came.
  return RemoveChunkSnapshots(directory_);
}

// What the log lost may be in the files of full chunks: also when its end, or
// all of it, is gone without a trace, which the markers of chunks tell.
absl::Status DbState::MendOutOfOrderLog(const ReplayResult& replayed) {
  const std::vector<std::string> files = head_chunks_->found();
  const std::uint64_t last = head_chunks_->earlier().empty()
                                 ? head_chunks_->last_out_of_order()
                                 : LastOutOfOrderChunk(files);
  const std::uint64_t settled = head_chunks_->settled();
  if (settled == HeadChunkFiles::kAllSettled) {
    logger_.Warn(
        "chunks_head/settled cannot be read: what the log of samples out of "
        "order may have lost is not looked for in head chunks");
  }
  const bool lost = last > settled &&
                    (replayed.flaw.has_value() || last != replayed.last_chunk ||
                     head_chunks_->earlier_needed());
  if (lost) {
    // For the next start, should this one not come to its end.
    NARTHEX_RETURN_IF_ERROR(RemoveChunkSnapshots(directory_));
    NARTHEX_RETURN_IF_ERROR(head_chunks_->NeedEarlier());
  }
  if (replayed.flaw.has_value()) {
    NARTHEX_RETURN_IF_ERROR(RepairWal(WblPath(directory_), *replayed.flaw));
  }
  if (!lost) return absl::OkStatus();
  NARTHEX_RETURN_IF_ERROR(OpenOutOfOrderLog());
  NARTHEX_ASSIGN_OR_RETURN(
      const Recovered recovered,
      RecoverOutOfOrder(files, settled, other_refs_, *head_, *wbl_, logger_));
  NARTHEX_RETURN_IF_ERROR(wbl_->ForceToDisk());
  NARTHEX_RETURN_IF_ERROR(head_chunks_->Settle(last));
  if (recovered.samples + recovered.unknown_chunks > 0) {
    logger_.Warn(
        "some of what the log of samples out of order lost was found in head "
        "chunks",
        {{"samples", recovered.samples},
         {"unknown_chunks", recovered.unknown_chunks}});
  }
  return absl::OkStatus();
}

absl::Status DbState::OpenOutOfOrderLog() {
  if (wbl_ != nullptr) return absl::OkStatus();
  const std::string path = WblPath(directory_);
  if (wbl_metrics_ == nullptr) {
    wbl_metrics_ = std::make_unique<WriteLogMetrics>(registry_, kMetricsPrefix);
    RegisterLogSize(registry_, kMetricsPrefix, path);
  }
  NARTHEX_ASSIGN_OR_RETURN(
      wbl_, Wal::Open(path, options_.wal, logger_, *wbl_metrics_));
  return absl::OkStatus();
}

absl::Status DbState::SetOutOfOrderWindow(std::int64_t window_ms) {
  if (window_ms > 0) NARTHEX_RETURN_IF_ERROR(OpenOutOfOrderLog());
  head_->SetOutOfOrder(std::max<std::int64_t>(window_ms, 0), wbl_.get());
  return absl::OkStatus();
}

absl::StatusOr<std::optional<BlockMeta>> DbState::WriteOutOfOrderBlock(
    const std::string& parent, std::int64_t min_ms, std::int64_t max_ms) {
  const std::unique_ptr<storage::ChunkSeriesSet> set =
      head_->SelectSealed({min_ms, max_ms - 1});
  BlockMeta meta;
  meta.ulid = Ulid::New(clock_.NowMs());
  meta.min_ms = min_ms;
  meta.max_ms = max_ms;
  meta.compaction.hints.emplace_back(kHintFromOutOfOrder);
  NARTHEX_ASSIGN_OR_RETURN(const std::unique_ptr<BlockWriter> writer,
                           BlockWriter::Create(parent, meta, WriterOptions()));
  storage::ChunkSeries series;
  while (set->Next(&series)) {
    NARTHEX_RETURN_IF_ERROR(writer->AddSeries(series.labels, series.chunks));
  }
  NARTHEX_RETURN_IF_ERROR(set->status());
  if (writer->series_count() == 0) return std::nullopt;
  NARTHEX_ASSIGN_OR_RETURN(BlockMeta written, writer->Finish());
  return written;
}

// A block for every aligned span, also where others are. All or none.
absl::StatusOr<BlockList> DbState::WriteOutOfOrderBlocks() {
  BlockList blocks;
  const auto write = [&](std::int64_t start) -> absl::Status {
    NARTHEX_ASSIGN_OR_RETURN(
        const std::optional<BlockMeta> meta,
        WriteOutOfOrderBlock(directory_, start, start + options_.block_ms));
    if (!meta.has_value()) return absl::OkStatus();
    NARTHEX_ASSIGN_OR_RETURN(
        std::shared_ptr<Block> block,
        Block::Open(absl::StrCat(directory_, "/", meta->ulid.ToString())));
    blocks.push_back(std::move(block));
    return absl::OkStatus();
  };
  NARTHEX_ASSIGN_OR_RETURN(const std::set<std::int64_t> starts,
                           head_->SealedSpans(options_.block_ms));
  for (const std::int64_t start : starts) {
    const absl::Status status = write(start);
    if (status.ok()) continue;
    for (const auto& block : blocks) {
      NARTHEX_RETURN_IF_ERROR(base::RemoveAll(block->directory()));
    }
    return status;
  }
  return blocks;
}

absl::Status DbState::SnapshotOutOfOrder(const std::string& directory) {
  head_->SealOutOfOrder();
  NARTHEX_ASSIGN_OR_RETURN(const std::set<std::int64_t> starts,
                           head_->SealedSpans(options_.block_ms));
  for (const std::int64_t start : starts) {
    const auto block =
        WriteOutOfOrderBlock(directory, start, start + options_.block_ms);
    NARTHEX_RETURN_IF_ERROR(block.status());
  }
  return absl::OkStatus();
}

// The blocks' renames are the commit points: what a crash leaves in the log is
// in memory again after the next start, beside the equal samples in blocks.
absl::Status DbState::CompactOutOfOrder() {
  if (!head_->has_out_of_order()) return absl::OkStatus();
  const std::int64_t start = clock_.MonotonicNs();
  metrics_.compactions_triggered.Inc();
  int segment = 0;
  if (wbl_ != nullptr) {
    NARTHEX_ASSIGN_OR_RETURN(segment, wbl_->NextSegment());
  }
  head_->SealOutOfOrder();
  const absl::StatusOr<BlockList> written = WriteOutOfOrderBlocks();
  if (!written.ok()) {
    metrics_.compactions_failed.Inc();
    return base::Annotate(written.status(),
                          "write blocks of samples out of order");
  }
  for (const auto& block : *written) {
    blocks_->Exchange(block, {});
    const BlockMeta meta = block->meta();
    metrics_.compactions.Inc();
    logger_.Info("out-of-order block written",
                 {{"ulid", meta.ulid.ToString()},
                  {"min_ms", meta.min_ms},
                  {"max_ms", meta.max_ms},
                  {"series", meta.stats.series},
                  {"samples", meta.stats.samples}});
  }
  head_->DropSealed();
  // All of them were sealed.
  head_chunks_->ForgetOutOfOrder();
  NARTHEX_RETURN_IF_ERROR(
      head_chunks_->Settle(head_chunks_->last_out_of_order()));
  metrics_.compaction_seconds.Observe(
      static_cast<double>(clock_.MonotonicNs() - start) * 1e-9);
  return wbl_ == nullptr ? absl::OkStatus()
                         : wbl_->RemoveSegmentsBelow(segment);
}

}  // namespace narthex::tsdb
