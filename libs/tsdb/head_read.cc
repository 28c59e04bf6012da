#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/head.h"

namespace narthex::tsdb {
namespace {

// How many series are read at a time: their locks are taken together.
constexpr std::size_t kBatch = 64;

class HeldSeries : public storage::Series {
 public:
  HeldSeries(model::Labels labels, model::SampleColumns samples)
      : labels_(std::move(labels)), samples_(std::move(samples)) {}
  const model::Labels& labels() const override { return labels_; }
  absl::Status Read(model::SampleColumns* out) const override {
    out->AppendRange(samples_, 0, samples_.size());
    return absl::OkStatus();
  }

 private:
  const model::Labels labels_;
  const model::SampleColumns samples_;
};

void DropDeleted(const Intervals& deleted, model::SampleColumns* samples) {
  if (deleted.empty()) return;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < samples->size(); ++i) {
    const std::int64_t time = samples->timestamps_ms[i];
    if (Covers(deleted, {time, time})) continue;
    samples->timestamps_ms[kept] = time;
    samples->values[kept] = samples->values[i];
    if (!samples->starts_ms.empty()) {
      samples->starts_ms[kept] = samples->starts_ms[i];
    }
    ++kept;
  }
  samples->Truncate(kept);
}

}  // namespace

struct Head::ReadBatch {
  std::size_t size = 0;
  std::vector<SeriesId> ids;
  std::vector<model::Labels> labels = std::vector<model::Labels>(kBatch);
  std::vector<model::SampleColumns> samples =
      std::vector<model::SampleColumns>(kBatch);
};

/// Reads the selected series, some at a time.
class Head::SampleSet : public storage::SeriesSet {
 public:
  SampleSet(std::shared_ptr<const Head> head, std::uint64_t reader,
            storage::SelectHints hints)
      : selection_(std::make_shared<Selection>(std::move(head), reader,
                                               std::move(hints))) {}

  void Fill(std::vector<Selected> selected) {
    end_ = selected.size();
    selection_->selected = std::move(selected);
  }

  absl::StatusOr<bool> NextSamples(model::Labels* labels,
                                   model::SampleColumns* samples) override {
    for (;;) {
      if (at_ == batch_.size) {
        const std::size_t size = std::min(kBatch, end_ - next_);
        if (size == 0) return false;
        NARTHEX_RETURN_IF_ERROR(selection_->head->ReadSamples(
            absl::MakeConstSpan(selection_->selected).subspan(next_, size),
            selection_->hints, &batch_));
        next_ += size;
        at_ = 0;
      }
      const std::size_t i = at_++;
      if (batch_.samples[i].empty()) continue;
      std::swap(*labels, batch_.labels[i]);
      std::swap(*samples, batch_.samples[i]);
      return true;
    }
  }

  bool Next() override {
    const absl::StatusOr<bool> more = NextSamples(&labels_, &samples_);
    status_ = more.status();
    return more.ok() && *more;
  }
  std::unique_ptr<storage::Series> At() override {
    return std::make_unique<HeldSeries>(std::exchange(labels_, {}),
                                        std::exchange(samples_, {}));
  }
  absl::StatusOr<std::unique_ptr<storage::SeriesSet>> Split(
      std::size_t count) override {
    if (at_ < batch_.size) {
      // What is read already goes first, as it is.
      std::unique_ptr<SampleSet> part(new SampleSet(selection_, next_, next_));
      std::swap(part->batch_, batch_);
      std::swap(part->at_, at_);
      return part;
    }
    if (next_ == end_) return nullptr;
    const std::size_t begin = next_;
    next_ = std::min(next_ + count, end_);
    return std::unique_ptr<SampleSet>(new SampleSet(selection_, begin, next_));
  }
  absl::Status status() const override { return status_; }

 private:
  // What all sets of one selection read from.
  struct Selection {
    Selection(std::shared_ptr<const Head> from, std::uint64_t its_reader,
              storage::SelectHints its_hints)
        : head(std::move(from)),
          reader(its_reader),
          hints(std::move(its_hints)) {}
    ~Selection() { head->EndReading(reader); }
    Selection(const Selection&) = delete;
    Selection& operator=(const Selection&) = delete;

    const std::shared_ptr<const Head> head;
    const std::uint64_t reader;
    const storage::SelectHints hints;
    std::vector<Selected> selected;
  };

  SampleSet(std::shared_ptr<Selection> selection, std::size_t begin,
            std::size_t end)
      : selection_(std::move(selection)), next_(begin), end_(end) {}

  const std::shared_ptr<Selection> selection_;
  std::size_t next_ = 0;  // Of those selected, this set's end at end_.
  std::size_t end_ = 0;
  ReadBatch batch_;
  std::size_t at_ = 0;
  model::Labels labels_;
  model::SampleColumns samples_;
  absl::Status status_;
};

absl::Status Head::ReadSamples(absl::Span<const Selected> selected,
                               const storage::SelectHints& hints,
                               ReadBatch* batch) const {
  batch->size = selected.size();
  batch->ids.clear();
  for (const Selected& one : selected) batch->ids.push_back(one.id);
  {
    base::ReaderMutexLock lock(index_mutex_);
    index_.LabelsOf(batch->ids, hints.some_labels ? &hints.labels : nullptr,
                    &batch->labels);
  }
  bool any_deleted = false;
  {
    base::ReaderMutexLock lock(tombstones_mutex_);
    any_deleted = !tombstones_.empty();
  }
  const storage::TimeRange& range = hints.range;
  for (std::size_t i = 0; i < selected.size(); ++i) {
    const Selected& one = selected[i];
    model::SampleColumns* samples = &batch->samples[i];
    samples->clear();
    if (hints.newest_only && !any_deleted && one.visible_ms <= range.max_ms &&
        !model::IsStaleNan(one.newest) && !one.has_starts) {
      samples->Append(one.visible_ms, one.newest);
      continue;
    }
    {
      const Shard& shard = shards_[ShardOf(one.id)];
      base::ReaderMutexLock lock(shard.mutex);
      const MemSeries* series = shard.series.Find(one.id);
      if (series == nullptr) continue;
      const absl::Status status = series->Read(
          shard.blocks, {range.min_ms, std::min(range.max_ms, one.visible_ms)},
          samples);
      if (!status.ok()) {
        return base::Annotate(
            status, absl::StrCat("series ", batch->labels[i].ToMetricString()));
      }
      if (const StartRuns* own = StartsOf(shard.starts, one.id, *series)) {
        own->Fill(0, samples);
      }
    }
    if (any_deleted) DropDeleted(DeletedOf(one.id), samples);
  }
  if (truncated_to_.load() > range.min_ms) {
    return absl::AbortedError(
        absl::StrCat("samples before ", truncated_to_.load(),
                     " went into a block while the selection was read; select "
                     "again"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<storage::SeriesSet>> Head::SelectSamples(
    const storage::SelectHints& hints,
    const std::vector<model::Matcher>& matchers) const {
  storage::SelectHints bounded = hints;
  const std::uint64_t reader = BeginReading(&bounded.range);
  auto set = std::make_unique<SampleSet>(shared_from_this(), reader, bounded);
  if (bounded.range.min_ms > bounded.range.max_ms && !has_out_of_order()) {
    return set;
  }
  NARTHEX_ASSIGN_OR_RETURN(const Postings ids, FindSeries(matchers));
  ChunkLists out_of_order;
  std::vector<Selected> selected =
      Measure(ids, bounded.range, hints.range, &out_of_order);
  const bool only_floats =
      std::all_of(selected.begin(), selected.end(),
                  [](const Selected& one) { return one.only_floats; });
  if (!only_floats || !out_of_order.empty()) {
    // Chunks of other kinds, and that overlap, are read where all chunks are.
    NARTHEX_ASSIGN_OR_RETURN(
        auto chunks,
        SelectIds(hints.range, ids, Edges::kLoose, hints.any_order));
    return DecodeSeriesSet(std::move(chunks), hints.range);
  }
  if (hints.cancelled != nullptr && hints.cancelled->load()) {
    return absl::CancelledError("query was canceled");
  }
  if (!hints.any_order) {
    base::ReaderMutexLock lock(index_mutex_);
    index_.SortByLabels(&selected);
  }
  set->Fill(std::move(selected));
  return set;
}

}  // namespace narthex::tsdb
