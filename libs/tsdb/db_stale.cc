#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/tsdb/db_state.h"

namespace narthex::tsdb {
namespace {

// When the head is full, stale series leave it if they are that many.
constexpr double kWorthwhileShare = 0.02;

}  // namespace

bool DbState::StaleCompactionDue(std::int64_t stale) const {
  const auto some = static_cast<double>(stale);
  const auto all = static_cast<double>(head_->series_count());
  if (stale == 0) return false;
  const double threshold = stale_threshold_.load();
  return (threshold > 0 && some >= threshold * all) ||
         (some >= kWorthwhileShare * all && !head_->HasRoomForSeries());
}

// Moves series that ended into blocks, which overlap with the one that the
// head will become, so that their memory is free for new ones.
absl::Status DbState::CompactStaleIfDue() {
  if (!StaleCompactionDue(head_->stale_series_count())) return absl::OkStatus();
  // Some that are counted may have to stay.
  const std::vector<Head::StaleSeries> stale = head_->ListStale();
  if (!StaleCompactionDue(static_cast<std::int64_t>(stale.size()))) {
    return absl::OkStatus();
  }
  metrics_.stale_compactions.Inc();
  std::vector<Ulid> written;
  const absl::Status status = WriteStaleBlocks(stale, &written);
  if (status.ok() && head_->ForgetStale(stale) > 0) return status;
  // The head still has all of it, and it is going to be written again.
  absl::Status removed = RemoveBlocks(written);
  return status.ok() ? removed : status;
}

absl::Status DbState::MakeRoom() {
  // To look through all series again is in vain while nothing changes.
  if (head_->stale_series_count() == stale_left_) return absl::OkStatus();
  const absl::Status status = CompactStaleIfDue();
  stale_left_ = head_->stale_series_count();
  return status;
}

absl::Status DbState::WriteStaleBlocks(
    const std::vector<Head::StaleSeries>& stale, std::vector<Ulid>* written) {
  std::int64_t first = model::kMaxTime;
  std::int64_t last = model::kMinTime;
  for (const Head::StaleSeries& one : stale) {
    first = std::min(first, one.min_ms);
    last = std::max(last, one.max_ms);
  }
  first = std::max(first, head_->min_valid_time());
  while (first <= last) {
    const std::int64_t end = std::min(
        first / options_.block_ms * options_.block_ms + options_.block_ms,
        last + 1);
    NARTHEX_RETURN_IF_ERROR(
        base::Annotate(WriteStaleBlock(stale, first, end, written),
                       "write block of stale series"));
    first = end;
  }
  return absl::OkStatus();
}

absl::Status DbState::WriteStaleBlock(
    const std::vector<Head::StaleSeries>& stale, std::int64_t min_ms,
    std::int64_t max_ms, std::vector<Ulid>* written) {
  NARTHEX_ASSIGN_OR_RETURN(const std::unique_ptr<storage::ChunkSeriesSet> set,
                           head_->SelectStale({min_ms, max_ms - 1}, stale));
  BlockMeta meta;
  meta.ulid = Ulid::New(clock_.NowMs());
  meta.min_ms = min_ms;
  meta.max_ms = max_ms;
  meta.compaction.hints.emplace_back(kHintFromStaleSeries);
  // Servers that do not know the other hint would take what the log holds of
  // this time for written, and drop it.
  meta.compaction.hints.emplace_back(kHintFromOutOfOrder);
  NARTHEX_ASSIGN_OR_RETURN(
      const std::unique_ptr<BlockWriter> writer,
      BlockWriter::Create(directory_, meta, WriterOptions()));
  storage::ChunkSeries series;
  while (set->Next(&series)) {
    NARTHEX_RETURN_IF_ERROR(writer->AddSeries(series.labels, series.chunks));
  }
  NARTHEX_RETURN_IF_ERROR(set->status());
  if (writer->series_count() == 0) return absl::OkStatus();
  NARTHEX_RETURN_IF_ERROR(writer->Finish());
  written->push_back(meta.ulid);
  NARTHEX_ASSIGN_OR_RETURN(
      const std::shared_ptr<Block> block,
      Block::Open(absl::StrCat(directory_, "/", meta.ulid.ToString())));
  blocks_->Exchange(block, {});
  logger_.Info("block of stale series written",
               {{"ulid", meta.ulid.ToString()},
                {"min_ms", min_ms},
                {"max_ms", max_ms},
                {"series", block->meta().stats.series}});
  return absl::OkStatus();
}

}  // namespace narthex::tsdb
