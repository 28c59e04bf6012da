#include "libs/tsdb/db.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/storage/merge.h"
#include "libs/tsdb/cardinality.h"
#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/db_state.h"
#include "libs/tsdb/late_chunks.h"

namespace narthex::tsdb {
namespace {

using MatcherSets = std::vector<std::vector<model::Matcher>>;

constexpr std::int64_t kMostBlockMs = std::int64_t{24} * 24 * 60 * 60 * 1000;

bool HeadOverlaps(const Head& head, const storage::TimeRange& range) {
  const storage::TimeRange out_of_order = head.out_of_order_range();
  return (!head.empty() && range.max_ms >= head.min_time() &&
          range.min_ms <= head.max_time()) ||
         (range.max_ms >= out_of_order.min_ms &&
          range.min_ms <= out_of_order.max_ms);
}

// Merges what `of_head` and `of_block` return for every matcher set.
template <typename OfHead, typename OfBlock>
absl::StatusOr<std::vector<std::string>> CollectNames(
    const DbState& state, const storage::TimeRange& range,
    const MatcherSets& matcher_sets, std::size_t limit, const OfHead& of_head,
    const OfBlock& of_block) {
  NARTHEX_RETURN_IF_ERROR(state.CheckReadable(range));
  const MatcherSets all = {{}};
  std::vector<std::vector<std::string>> lists;
  for (const auto& matchers : matcher_sets.empty() ? all : matcher_sets) {
    if (HeadOverlaps(state.head(), range)) {
      NARTHEX_ASSIGN_OR_RETURN(std::vector<std::string> names,
                               of_head(state.head(), matchers));
      lists.push_back(std::move(names));
    }
    for (const auto blocks = state.blocks(); const auto& block : *blocks) {
      if (!block->Overlaps(range)) continue;
      NARTHEX_ASSIGN_OR_RETURN(std::vector<std::string> names,
                               of_block(*block, matchers));
      lists.push_back(std::move(names));
    }
  }
  return storage::MergeNames(std::move(lists), limit);
}

}  // namespace

struct Db::Rep {
  absl::Status CheckWritable() const {
    if (!state.read_only()) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat("data directory ", state.directory(), " is only read"));
  }

  Rep(const std::string& directory, const DbOptions& options,
      base::Logger logger, base::Clock& clock, metrics::Registry& registry)
      : state(directory, options, std::move(logger), clock, registry) {}
  DbState state;
};

Db::Db(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
Db::~Db() { Close().IgnoreError(); }

absl::StatusOr<std::unique_ptr<Db>> Db::Open(const std::string& directory,
                                             const DbOptions& options,
                                             base::Logger logger,
                                             base::Clock& clock,
                                             metrics::Registry& registry) {
  if (options.block_ms <= 0 || options.block_ms > kMostBlockMs) {
    return absl::InvalidArgumentError(
        "the span of a block of the head must be positive and at most 24 days");
  }
  if (options.out_of_order_cap_max <= 0 || options.out_of_order_cap_max > 255) {
    return absl::InvalidArgumentError(
        "an out-of-order chunk takes 1 to 255 samples");
  }
  if (!options.read_only) {
    NARTHEX_RETURN_IF_ERROR(base::CreateDirectories(directory));
  }
  auto rep = std::make_unique<Rep>(directory, options, std::move(logger), clock,
                                   registry);
  NARTHEX_RETURN_IF_ERROR(rep->state.Lock());
  NARTHEX_RETURN_IF_ERROR(rep->state.RemoveLeftovers());
  NARTHEX_RETURN_IF_ERROR(rep->state.SetRetention(options.retention));
  NARTHEX_RETURN_IF_ERROR(rep->state.LoadBlocks());
  NARTHEX_RETURN_IF_ERROR(rep->state.ReplayLog());
  NARTHEX_RETURN_IF_ERROR(rep->state.ReplayOutOfOrderLog());
  return std::unique_ptr<Db>(new Db(std::move(rep)));
}

absl::StatusOr<storage::SeriesRef> Db::GetOrCreateSeries(
    const model::Labels& labels) {
  return rep_->state.head().GetOrCreateSeries(labels);
}

bool Db::HasRoomForSeries() const {
  return rep_->state.head().HasRoomForSeries();
}

std::optional<model::Labels> Db::LabelsOf(storage::SeriesRef ref) const {
  return rep_->state.head().LabelsOf(ref);
}

absl::Status Db::Append(const AppendBatch& batch,
                        std::vector<storage::Rejection>* rejected) {
  NARTHEX_RETURN_IF_ERROR(rep_->CheckWritable());
  return rep_->state.head().Append(batch, rejected);
}

std::vector<SeriesExemplars> Db::SelectExemplars(
    const storage::TimeRange& range, const MatcherSets& matcher_sets) const {
  return rep_->state.exemplars().Select(range, matcher_sets);
}

void Db::ResizeExemplars(std::size_t capacity) {
  rep_->state.exemplars().Resize(capacity);
}

absl::StatusOr<std::unique_ptr<storage::ChunkSeriesSet>> Db::SelectChunks(
    const storage::TimeRange& range,
    const std::vector<model::Matcher>& matchers) const {
  NARTHEX_RETURN_IF_ERROR(rep_->state.CheckReadable(range));
  // The head first: what it loses to a block meanwhile is then in the list of
  // blocks.
  NARTHEX_ASSIGN_OR_RETURN(auto all,
                           rep_->state.head().Select(range, matchers));
  std::vector<std::unique_ptr<storage::ChunkSeriesSet>> in_order;
  std::vector<std::unique_ptr<storage::ChunkSeriesSet>> late;
  for (const auto blocks = rep_->state.blocks(); const auto& block : *blocks) {
    if (!block->Overlaps(range)) continue;
    NARTHEX_ASSIGN_OR_RETURN(auto set, block->Select(range, matchers));
    (block->late() ? late : in_order).push_back(std::move(set));
  }
  if (!in_order.empty()) {
    all = MergeLate(storage::MergeChunkSeries(std::move(in_order)),
                    std::move(all));
  }
  if (!late.empty()) {
    all = MergeLate(std::move(all), storage::MergeChunkSeries(std::move(late)));
  }
  return all;
}

absl::StatusOr<std::unique_ptr<storage::SeriesSet>> Db::SelectSamples(
    const storage::SelectHints& hints,
    const std::vector<model::Matcher>& matchers) const {
  NARTHEX_RETURN_IF_ERROR(rep_->state.CheckReadable(hints.range));
  // The head first, as above. When it is all there is, nothing need be
  // encoded and merged.
  NARTHEX_ASSIGN_OR_RETURN(auto head,
                           rep_->state.head().SelectSamples(hints, matchers));
  for (const auto list = rep_->state.blocks(); const auto& block : *list) {
    if (!block->Overlaps(hints.range)) continue;
    NARTHEX_ASSIGN_OR_RETURN(auto all, SelectChunks(hints.range, matchers));
    return DecodeSeriesSet(std::move(all), hints.range);
  }
  return head;
}

absl::StatusOr<storage::LabelTable> Db::SelectLabels(
    const storage::TimeRange& range,
    const std::vector<model::Matcher>& matchers) const {
  NARTHEX_RETURN_IF_ERROR(rep_->state.CheckReadable(range));
  std::vector<storage::LabelTable> tables;
  // The head first, as above.
  NARTHEX_ASSIGN_OR_RETURN(storage::LabelTable head,
                           rep_->state.head().SelectLabels(range, matchers));
  tables.push_back(std::move(head));
  for (const auto list = rep_->state.blocks(); const auto& block : *list) {
    if (!block->Overlaps(range)) continue;
    NARTHEX_ASSIGN_OR_RETURN(const auto set, block->Select(range, matchers));
    storage::LabelTableBuilder builder;
    storage::ChunkSeries series;
    while (set->Next(&series)) builder.Add(series.labels);
    NARTHEX_RETURN_IF_ERROR(set->status());
    tables.push_back(std::move(builder).Build());
  }
  return storage::MergeLabelTables(std::move(tables), /*limit=*/0);
}

absl::StatusOr<std::vector<std::string>> Db::LabelNames(
    const storage::TimeRange& range, const MatcherSets& matcher_sets,
    std::size_t limit) const {
  return CollectNames(
      rep_->state, range, matcher_sets, limit,
      [](const Head& head, const auto& matchers) {
        return head.LabelNames(matchers);
      },
      [](const Block& block, const auto& matchers) {
        return block.LabelNames(matchers);
      });
}

absl::StatusOr<std::vector<std::string>> Db::LabelValues(
    const std::string& name, const storage::TimeRange& range,
    const MatcherSets& matcher_sets, std::size_t limit) const {
  return CollectNames(
      rep_->state, range, matcher_sets, limit,
      [&name](const Head& head, const auto& matchers) {
        return head.LabelValues(name, matchers);
      },
      [&name](const Block& block, const auto& matchers) {
        return block.LabelValues(name, matchers);
      });
}

Cardinality Db::GetCardinality(std::size_t limit) const {
  return CardinalityOf(rep_->state.head(), limit);
}

std::optional<std::int64_t> Db::MinTime() const {
  const auto blocks = rep_->state.blocks();
  const Head& head = rep_->state.head();
  std::int64_t oldest =
      std::min(head.min_time(), head.out_of_order_range().min_ms);
  if (!blocks->empty()) oldest = std::min(oldest, blocks->front()->min_ms());
  if (oldest == Head::kNoMinTime) return std::nullopt;
  return oldest;
}

std::vector<BlockMeta> Db::Blocks() const {
  std::vector<BlockMeta> metas;
  for (const auto blocks = rep_->state.blocks(); const auto& block : *blocks) {
    metas.push_back(block->meta());
  }
  return metas;
}

absl::Status Db::Maintain() {
  NARTHEX_RETURN_IF_ERROR(rep_->CheckWritable());
  // One after the other, whatever becomes of the one before: on a full disk
  // it is the retention that helps.
  absl::Status status;
  status.Update(MoveFullChunks());
  status.Update(ReloadBlocks());
  status.Update(CompactIfDue());
  {
    base::MutexLock lock(rep_->state.maintenance());
    status.Update(rep_->state.CompactStaleIfDue());
  }
  status.Update(ApplyRetention());
  return status;
}

absl::Status Db::MoveFullChunks() {
  NARTHEX_RETURN_IF_ERROR(rep_->CheckWritable());
  base::MutexLock lock(rep_->state.maintenance());
  return rep_->state.MoveFullChunks();
}

absl::Status Db::MakeRoomIfRefused() {
  DbState& state = rep_->state;
  if (!state.head().RefusedForWantOfRoom()) return absl::OkStatus();
  NARTHEX_RETURN_IF_ERROR(rep_->CheckWritable());
  base::MutexLock lock(state.maintenance());
  return state.MakeRoom();
}

absl::Status Db::CompactIfDue() {
  NARTHEX_RETURN_IF_ERROR(rep_->CheckWritable());
  base::MutexLock lock(rep_->state.maintenance());
  NARTHEX_RETURN_IF_ERROR(rep_->state.CompactHead());
  return rep_->state.CompactStoredBlocks();
}

absl::Status Db::CompactOutOfOrder() {
  NARTHEX_RETURN_IF_ERROR(rep_->CheckWritable());
  base::MutexLock lock(rep_->state.maintenance());
  return rep_->state.CompactOutOfOrder();
}

absl::Status Db::SetOutOfOrderWindow(std::int64_t window_ms) {
  NARTHEX_RETURN_IF_ERROR(rep_->CheckWritable());
  base::MutexLock lock(rep_->state.maintenance());
  return rep_->state.SetOutOfOrderWindow(window_ms);
}

absl::Status Db::Flush() {
  NARTHEX_RETURN_IF_ERROR(rep_->CheckWritable());
  base::MutexLock lock(rep_->state.maintenance());
  return rep_->state.FlushHead();
}

absl::Status Db::ReloadBlocks() {
  base::MutexLock lock(rep_->state.maintenance());
  return rep_->state.ReloadBlocks();
}

absl::Status Db::SetRetention(Retention retention) {
  return rep_->state.SetRetention(std::move(retention));
}

void Db::SetStaleThreshold(double share) {
  rep_->state.SetStaleThreshold(share);
}

void Db::SetXor2Blocks(bool on) { rep_->state.head().SetXor2Blocks(on); }

Retention Db::retention() const { return rep_->state.retention(); }

std::uint64_t Db::corruption_count() const {
  return rep_->state.corruption_count();
}

absl::Status Db::ApplyRetention() {
  NARTHEX_RETURN_IF_ERROR(rep_->CheckWritable());
  base::MutexLock lock(rep_->state.maintenance());
  return rep_->state.ApplyRetention();
}

absl::Status Db::DeleteSeries(const storage::TimeRange& range,
                              const std::vector<model::Matcher>& matchers) {
  NARTHEX_RETURN_IF_ERROR(rep_->CheckWritable());
  base::MutexLock lock(rep_->state.maintenance());
  for (const auto blocks = rep_->state.blocks(); const auto& block : *blocks) {
    if (!block->Overlaps(range)) continue;
    NARTHEX_RETURN_IF_ERROR(block->Delete(range, matchers));
  }
  return rep_->state.head().Delete(range, matchers);
}

absl::Status Db::CleanTombstones() {
  NARTHEX_RETURN_IF_ERROR(rep_->CheckWritable());
  base::MutexLock lock(rep_->state.maintenance());
  return rep_->state.CleanTombstones();
}

absl::Status Db::Snapshot(const std::string& directory, bool skip_head) {
  base::MutexLock lock(rep_->state.maintenance());
  return rep_->state.Snapshot(directory, skip_head);
}

absl::Status Db::ForceLogToDisk() { return rep_->state.wal().ForceToDisk(); }

void Db::Interrupt() { rep_->state.Interrupt(); }

absl::Status Db::Close() { return rep_->state.Close(); }

}  // namespace narthex::tsdb
