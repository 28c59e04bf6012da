#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "libs/model/sample.h"
#include "libs/tsdb/head.h"
#include "libs/tsdb/histogram_batch.h"

namespace narthex::tsdb {
namespace {

// What is stale has nothing but its sum.
model::HistogramValue StaleHistogram(bool integer) {
  if (integer) {
    auto stale = std::make_shared<model::IntHistogram>();
    stale->sum = model::StaleNan();
    return {std::move(stale), nullptr};
  }
  auto stale = std::make_shared<model::FloatHistogram>();
  stale->sum = model::StaleNan();
  return {nullptr, std::move(stale)};
}

model::Exemplar ExemplarOf(const RefExemplar& one) {
  return {one.labels, one.value, one.timestamp_ms, one.has_timestamp};
}

bool IsValid(const model::HistogramValue& value) {
  if (value.integer == nullptr && value.floating == nullptr) return false;
  if (value.stale()) return true;
  return value.integer != nullptr ? value.integer->Validate().ok()
                                  : value.floating->Validate().ok();
}

}  // namespace

bool MakeStorable(RefHistogram* sample) {
  if (!IsValid(sample->value)) return false;
  if (sample->value.stale()) {
    sample->value = StaleHistogram(sample->value.integer != nullptr);
  }
  return true;
}

HistogramBatch::HistogramBatch(absl::Span<const RefHistogram> samples,
                               std::size_t first) {
  items.reserve(samples.size());
  for (const RefHistogram& sample : samples) {
    items.push_back({sample, first++, true});
    Item& item = items.back();
    if (!MakeStorable(&item.sample)) {
      Reject(item, storage::RejectReason::kInvalid);
    }
  }
}

void HistogramBatch::AddStale(const RefSample& marker, std::size_t number,
                              bool integer) {
  items.push_back({{marker.ref, marker.timestamp_ms, /*start_ms=*/0,
                    StaleHistogram(integer)},
                   number,
                   true});
}

std::vector<RefHistogram> HistogramBatch::Taken(bool out_of_order) const {
  std::vector<RefHistogram> taken;
  for (const Item& item : items) {
    if (item.taken && item.out_of_order == out_of_order) {
      taken.push_back(item.sample);
    }
  }
  return taken;
}

const HistogramSeries* Head::HistogramsOf(const HistogramTable& table,
                                          SeriesId id,
                                          const MemSeries& series) {
  if (!series.has_histograms()) return nullptr;
  const auto it = table.find(id);
  return it == table.end() ? nullptr : &it->second;
}

storage::TimeRange Head::RangeOf(const HistogramTable& table,
                                 const MemSeries::Arena& blocks, SeriesId id,
                                 const MemSeries& series) {
  return MixedSeries(blocks, series, HistogramsOf(table, id, series)).range();
}

MemSeries::Verdict Head::CheckBeside(const HistogramTable& table,
                                     const MemSeries::Arena& blocks,
                                     const MemSeries& series,
                                     const RefSample& sample) {
  const MixedSeries mixed(blocks, series,
                          HistogramsOf(table, IdOf(sample.ref), series));
  return mixed.Check(sample.timestamp_ms, sample.value);
}

bool Head::EndsHistograms(const HistogramTable& table,
                          const MemSeries::Arena& blocks,
                          const MemSeries& series, const RefSample& sample,
                          std::size_t number, HistogramBatch* histograms) {
  if (!model::IsStaleNan(sample.value)) return false;
  const HistogramSeries* own = HistogramsOf(table, IdOf(sample.ref), series);
  if (!MixedSeries(blocks, series, own).histogram_is_last()) return false;
  histograms->AddStale(sample, number, own->last_is_integer());
  return true;
}

Head::Fate Head::Judge(const RefHistogram& sample, const MemSeries& series,
                       const HistogramTable& table,
                       const MemSeries::Arena& blocks, const Limits& limits) {
  const MixedSeries mixed(blocks, series,
                          HistogramsOf(table, IdOf(sample.ref), series));
  return FateOf(mixed.Check(sample.timestamp_ms, sample.value),
                sample.timestamp_ms, limits);
}

void Head::CheckHistograms(const Limits& limits,
                           HistogramBatch* histograms) const {
  for (HistogramBatch::Item& item : histograms->items) {
    if (!item.taken) continue;
    const SeriesId id = IdOf(item.sample.ref);
    const Shard& shard = shards_[ShardOf(id)];
    base::ReaderMutexLock lock(shard.mutex);
    const MemSeries* series = shard.series.Find(id);
    if (series == nullptr) {
      histograms->Reject(item, storage::RejectReason::kUnknownSeries);
      continue;
    }
    const Fate fate =
        Judge(item.sample, *series, shard.histograms, shard.blocks, limits);
    switch (fate) {
      case Fate::kInserted:
        item.out_of_order = true;
        NoteLateness(item.sample.timestamp_ms, limits);
        [[fallthrough]];
      case Fate::kAppended:
        if (!series->logged()) histograms->undeclared.push_back(id);
        break;
      case Fate::kSame:
        item.taken = false;
        break;
      default:
        if (fate != Fate::kDuplicate) {
          NoteLateness(item.sample.timestamp_ms, limits);
        }
        histograms->Reject(item, ReasonOf(fate));
        break;
    }
  }
}

void Head::ApplyHistograms(const Limits& limits, HistogramBatch* histograms,
                           Applied& applied) {
  for (HistogramBatch::Item& item : histograms->items) {
    if (!item.taken) continue;
    const SeriesId id = IdOf(item.sample.ref);
    Shard& shard = shards_[ShardOf(id)];
    base::MutexLock lock(shard.mutex);
    MemSeries* series = shard.series.Find(id);
    if (series == nullptr) {
      histograms->Reject(item, storage::RejectReason::kUnknownSeries);
      continue;
    }
    // Again, because others may have appended since.
    const Fate fate = item.out_of_order
                          ? Fate::kInserted
                          : Judge(item.sample, *series, shard.histograms,
                                  shard.blocks, limits);
    switch (fate) {
      case Fate::kAppended:
        AppendHistogram(item.sample, *series, shard, applied);
        break;
      case Fate::kInserted:
        series->set_logged();
        if (!item.out_of_order) histograms->late.push_back(item.sample);
        InsertOne(item.sample, item.sample.start_ms, shard, applied);
        break;
      case Fate::kSame:
        item.taken = false;
        break;
      default:
        histograms->Reject(item, ReasonOf(fate));
        break;
    }
  }
}

void Head::AppendHistogram(const RefHistogram& sample, MemSeries& series,
                           Shard& shard, Applied& applied) {
  HistogramSeries& own = shard.histograms[IdOf(sample.ref)];
  const MixedSeries mixed(shard.blocks, series, &own);
  if (mixed.stale()) --applied.stale;
  if (!mixed.histogram_is_last()) {
    series.EndChunk();
    own.EndChunk();
  }
  if (own.Append(sample.timestamp_ms, sample.value, options_.chunks)) {
    ++applied.chunks;
    if (own.has_heap_chunks()) shard.cut.push_back(IdOf(sample.ref));
  }
  series.set_has_histograms(true);
  series.set_logged();
  NoteStart(IdOf(sample.ref), sample.timestamp_ms, sample.start_ms, series,
            shard);
  series.set_fresh(false);
  if (own.stale()) ++applied.stale;
  ++applied.histograms;
  applied.oldest = std::min(applied.oldest, sample.timestamp_ms);
  applied.newest = std::max(applied.newest, sample.timestamp_ms);
}

void Head::CheckExemplars(absl::Span<const RefExemplar> exemplars,
                          std::size_t first, std::vector<std::size_t>* taken,
                          std::vector<storage::Rejection>* rejected) const {
  if (exemplars.empty() || exemplars_ == nullptr || !exemplars_->enabled()) {
    return;
  }
  for (std::size_t i = 0; i < exemplars.size(); ++i) {
    const RefExemplar& one = exemplars[i];
    const std::optional<model::Labels> labels = LabelsOf(one.ref);
    if (!labels.has_value()) {
      rejected->push_back({first + i, storage::RejectReason::kUnknownSeries});
      continue;
    }
    switch (exemplars_->Check(*labels, ExemplarOf(one))) {
      case ExemplarVerdict::kNew:
        taken->push_back(i);
        break;
      case ExemplarVerdict::kDuplicate:
      case ExemplarVerdict::kDisabled:
        break;
      case ExemplarVerdict::kOutOfOrder:
        rejected->push_back({first + i, storage::RejectReason::kOutOfOrder});
        break;
      case ExemplarVerdict::kTooLong:
        rejected->push_back({first + i, storage::RejectReason::kInvalid});
        break;
    }
  }
}

void Head::AddExemplars(absl::Span<const RefExemplar> exemplars,
                        const std::vector<std::size_t>& taken) {
  for (const std::size_t i : taken) {
    const std::optional<model::Labels> labels = LabelsOf(exemplars[i].ref);
    if (labels.has_value()) exemplars_->Add(*labels, ExemplarOf(exemplars[i]));
  }
}

}  // namespace narthex::tsdb
