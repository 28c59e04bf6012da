#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/tsdb/head.h"
#include "libs/tsdb/late_chunks.h"
#include "libs/tsdb/start_chunks.h"
#include "libs/tsdb/stored_sample.h"

namespace narthex::tsdb {
namespace {

bool Inside(const storage::Chunk& chunk, const storage::TimeRange& range) {
  return chunk.min_ms >= range.min_ms && chunk.max_ms <= range.max_ms;
}

}  // namespace

// Reads the selected series one after the other.
class Head::SeriesSet : public storage::ChunkSeriesSet {
 public:
  SeriesSet(std::shared_ptr<const Head> head, std::uint64_t reader,
            storage::TimeRange range, Edges edges)
      : head_(std::move(head)), reader_(reader), range_(range), edges_(edges) {}
  ~SeriesSet() override { head_->EndReading(reader_); }

  void Fill(std::vector<Selected> selected, ChunkLists out_of_order) {
    selected_ = std::move(selected);
    out_of_order_ = std::move(out_of_order);
  }

  bool Next(storage::ChunkSeries* series) override {
    while (status_.ok() && next_ < selected_.size()) {
      const Selected& selected = selected_[next_++];
      status_ = head_->ReadSeries(selected, range_, edges_, series);
      if (status_.ok() && selected.out_of_order != 0) {
        status_ = head_->AddOutOfOrder(
            selected.id, std::move(out_of_order_[selected.out_of_order - 1]),
            series);
      }
      if (status_.ok() && !series->chunks.empty()) return true;
    }
    return false;
  }

  absl::Status status() const override { return status_; }

 private:
  const std::shared_ptr<const Head> head_;
  const std::uint64_t reader_;
  const storage::TimeRange range_;
  const Edges edges_;
  std::vector<Selected> selected_;
  ChunkLists out_of_order_;
  std::size_t next_ = 0;
  absl::Status status_;
};

absl::StatusOr<Postings> Head::FindSeries(
    const std::vector<model::Matcher>& matchers) const {
  base::ReaderMutexLock lock(index_mutex_);
  return PostingsForMatchers(index_, matchers);
}

std::optional<std::int64_t> Head::LastWithin(const storage::TimeRange& range,
                                             const HistogramTable& table,
                                             const MemSeries::Arena& blocks,
                                             SeriesId id,
                                             const MemSeries& series) {
  // The first sample lies elsewhere in memory and seldom matters.
  if (!series.has_histograms() && !series.empty()) {
    const std::int64_t last = series.max_ms(blocks);
    if (last < range.min_ms) return std::nullopt;
    if (last <= range.max_ms) return last;
  }
  const storage::TimeRange held = RangeOf(table, blocks, id, series);
  if (held.max_ms < range.min_ms || held.min_ms > range.max_ms) {
    return std::nullopt;
  }
  return held.max_ms;
}

// Notes, of all series at one moment between appends, how far they reach, and
// copies what is out of order: that may change anywhere.
std::vector<Head::Selected> Head::Measure(
    const Postings& ids, const storage::TimeRange& in_order,
    const storage::TimeRange& out_of_order, ChunkLists* chunks) const {
  std::vector<Selected> selected;
  const ApplyGate::Measuring measuring(gate_);
  const auto measure =
      [&](const Shard& shard, SeriesId id, const MemSeries& series)
          ABSL_SHARED_LOCKS_REQUIRED(shard.mutex) {
            Selected one{id, 0, kNoMaxTime};
            if (const auto last = LastWithin(in_order, shard.histograms,
                                             shard.blocks, id, series)) {
              one.visible_ms = *last;
              one.only_floats = !series.has_histograms();
              one.has_starts = series.has_starts();
              if (one.only_floats) one.newest = series.last_value();
            }
            const auto it = shard.out_of_order.empty()
                                ? shard.out_of_order.end()
                                : shard.out_of_order.find(id);
            if (it != shard.out_of_order.end()) {
              std::vector<storage::Chunk> copied;
              it->second.Copy(out_of_order, &copied);
              if (!copied.empty()) {
                chunks->push_back(std::move(copied));
                one.out_of_order = static_cast<std::uint32_t>(chunks->size());
              }
            }
            if (one.visible_ms != kNoMaxTime || one.out_of_order != 0) {
              selected.push_back(one);
            }
          };
  ForEachOf(ids, measure);
  return selected;
}

absl::StatusOr<std::unique_ptr<storage::ChunkSeriesSet>> Head::Select(
    storage::TimeRange range, const std::vector<model::Matcher>& matchers,
    Edges edges) const {
  NARTHEX_ASSIGN_OR_RETURN(const Postings ids, FindSeries(matchers));
  return SelectIds(range, ids, edges);
}

absl::StatusOr<std::unique_ptr<storage::ChunkSeriesSet>> Head::SelectIds(
    storage::TimeRange range, const Postings& ids, Edges edges,
    bool any_order) const {
  // Blocks hold what is in order before some time, not what is out of order;
  // but of that, trimmed chunks are none.
  storage::TimeRange out_of_order = range;
  if (edges == Edges::kTrimmed) out_of_order = {kNoMinTime, kNoMaxTime};
  const std::uint64_t reader = BeginReading(&range);
  auto set =
      std::make_unique<SeriesSet>(shared_from_this(), reader, range, edges);
  if (range.min_ms > range.max_ms && !has_out_of_order()) return set;
  ChunkLists chunks;
  std::vector<Selected> selected = Measure(ids, range, out_of_order, &chunks);
  if (!any_order) {
    base::ReaderMutexLock lock(index_mutex_);
    index_.SortByLabels(&selected);
  }
  set->Fill(std::move(selected), std::move(chunks));
  return set;
}

Intervals Head::DeletedOf(SeriesId id) const {
  base::ReaderMutexLock lock(tombstones_mutex_);
  const auto it = tombstones_.find(id);
  return it == tombstones_.end() ? Intervals() : it->second;
}

absl::Status Head::ReadSeries(const Selected& selected,
                              const storage::TimeRange& range, Edges edges,
                              storage::ChunkSeries* result) const {
  std::vector<storage::Chunk>* chunks = &result->chunks;
  chunks->clear();
  StartRuns starts;
  {
    base::ReaderMutexLock lock(index_mutex_);
    index_.LabelsOf(selected.id, &result->labels);
  }
  {
    const Shard& shard = shards_[ShardOf(selected.id)];
    base::ReaderMutexLock lock(shard.mutex);
    const MemSeries* series = shard.series.Find(selected.id);
    if (series != nullptr) {
      const storage::TimeRange seen{
          range.min_ms, std::min(range.max_ms, selected.visible_ms)};
      series->CopyChunks(shard.blocks, seen, chunks);
      const HistogramSeries* histograms =
          HistogramsOf(shard.histograms, selected.id, *series);
      if (histograms != nullptr) {
        histograms->CopyChunks(seen, chunks);
        // Those of one kind come between those of the other.
        std::sort(chunks->begin(), chunks->end(),
                  [](const storage::Chunk& a, const storage::Chunk& b) {
                    return a.min_ms < b.min_ms;
                  });
      }
      if (const StartRuns* own = StartsOf(shard.starts, selected.id, *series)) {
        starts = *own;
      }
    }
  }
  if (!starts.empty()) {
    for (storage::Chunk& chunk : *chunks) {
      NARTHEX_ASSIGN_OR_RETURN(chunk, WithStartTimes(chunk, starts));
    }
  }
  if (truncated_to_.load() > range.min_ms) {
    return absl::AbortedError(
        absl::StrCat("samples before ", truncated_to_.load(),
                     " went into a block while the selection was read; select "
                     "again"));
  }
  const Intervals deleted = DeletedOf(selected.id);
  storage::TimeRange kept{model::kMinTime, selected.visible_ms};
  if (edges == Edges::kTrimmed) {
    kept = {range.min_ms, std::min(range.max_ms, selected.visible_ms)};
  }
  auto out = chunks->begin();
  for (storage::Chunk& chunk : *chunks) {
    const bool whole =
        Inside(chunk, kept) && !Overlaps(deleted, {chunk.min_ms, chunk.max_ms});
    if (!whole) {
      NARTHEX_ASSIGN_OR_RETURN(const bool left,
                               CutChunk(kept, deleted, &chunk));
      if (!left) continue;
    }
    if (&*out != &chunk) *out = std::move(chunk);
    ++out;
  }
  chunks->erase(out, chunks->end());
  return edges == Edges::kTrimmed ? EncodeForBlock(chunks) : absl::OkStatus();
}

absl::Status Head::AddOutOfOrder(SeriesId id, std::vector<storage::Chunk> added,
                                 storage::ChunkSeries* series) const {
  return AddLate(std::move(added), DeletedOf(id), &series->chunks);
}

absl::StatusOr<std::vector<std::string>> Head::LabelNames(
    const std::vector<model::Matcher>& matchers) const {
  base::ReaderMutexLock lock(index_mutex_);
  if (matchers.empty()) return index_.LabelNames();
  NARTHEX_ASSIGN_OR_RETURN(const Postings ids,
                           PostingsForMatchers(index_, matchers));
  return index_.LabelNames(ids);
}

absl::StatusOr<std::vector<std::string>> Head::LabelValues(
    const std::string& name,
    const std::vector<model::Matcher>& matchers) const {
  base::ReaderMutexLock lock(index_mutex_);
  if (matchers.empty()) return index_.LabelValues(name);
  NARTHEX_ASSIGN_OR_RETURN(const Postings ids,
                           PostingsForMatchers(index_, matchers));
  return index_.LabelValues(name, ids);
}

absl::Status Head::Delete(const storage::TimeRange& range,
                          const std::vector<model::Matcher>& matchers) {
  NARTHEX_ASSIGN_OR_RETURN(const Postings ids, FindSeries(matchers));
  std::vector<RefTombstone> tombstones;
  for (const SeriesId id : ids) {
    const Shard& shard = shards_[ShardOf(id)];
    base::ReaderMutexLock lock(shard.mutex);
    const MemSeries* series = shard.series.Find(id);
    if (series == nullptr) continue;
    storage::TimeRange held =
        RangeOf(shard.histograms, shard.blocks, id, *series);
    if (const auto it = shard.out_of_order.find(id);
        it != shard.out_of_order.end()) {
      const storage::TimeRange more = it->second.range();
      held = {std::min(held.min_ms, more.min_ms),
              std::max(held.max_ms, more.max_ms)};
    }
    // Only what is there: samples to come are not deleted.
    const storage::TimeRange deleted{std::max(range.min_ms, held.min_ms),
                                     std::min(range.max_ms, held.max_ms)};
    if (deleted.min_ms <= deleted.max_ms) tombstones.push_back({id, deleted});
  }
  if (wal_ != nullptr) {
    std::string record;
    EncodeTombstones(tombstones, &record);
    NARTHEX_RETURN_IF_ERROR(wal_->Log({&record, 1}));
  }
  for (const RefTombstone& one : tombstones) ReplayTombstone(one);
  return absl::OkStatus();
}

}  // namespace narthex::tsdb
