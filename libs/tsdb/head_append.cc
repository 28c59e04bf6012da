#include <algorithm>
#include <array>
#include <utility>

#include "libs/base/status.h"
#include "libs/tsdb/head.h"

namespace narthex::tsdb {
namespace {

// Without a sum or difference that may overflow.
bool InWindow(std::int64_t time_ms, std::int64_t newest_ms,
              std::int64_t window_ms) {
  if (time_ms >= newest_ms) return true;
  return static_cast<std::uint64_t>(newest_ms) -
             static_cast<std::uint64_t>(time_ms) <=
         static_cast<std::uint64_t>(window_ms);
}

}  // namespace

struct Head::Batch {
  enum Taken : char { kNot, kInOrder, kOutOfOrder };

  Batch(absl::Span<const RefSample> all,
        absl::Span<const std::int64_t> their_starts_ms,
        const Limits& its_limits, absl::Span<const RefHistogram> others)
      : samples(all),
        starts_ms(their_starts_ms),
        limits(its_limits),
        taken(all.size(), kInOrder),
        histograms(others, all.size()) {
    by_shard.Sort(samples);
  }

  /// Calls `visit(shard number, indices of its samples)` for each shard that
  /// has some.
  template <typename Visit>
  void ForEachShard(const Visit& visit) const {
    for (std::uint32_t shard = 0; shard < kShards; ++shard) {
      const auto indices = by_shard.Of(shard);
      if (!indices.empty()) visit(shard, indices);
    }
  }

  void Reject(std::size_t index, storage::RejectReason reason) {
    taken[index] = kNot;
    rejected.push_back({index, reason});
  }

  /// The samples that are taken in this way.
  StartingSamples TakenAs(Taken how) const {
    StartingSamples some;
    some.samples.reserve(samples.size() - rejected.size() - left_out);
    for (std::size_t i = 0; i < samples.size(); ++i) {
      if (taken[i] == how) some.Add(samples[i], StartOf(i));
    }
    return some;
  }

  std::int64_t StartOf(std::size_t index) const {
    return starts_ms.empty() ? 0 : starts_ms[index];
  }

  std::size_t UnknownSeries() const {
    std::size_t count = 0;
    for (const auto* some : {&rejected, &histograms.rejected}) {
      count += static_cast<std::size_t>(std::count_if(
          some->begin(), some->end(), [](const storage::Rejection& one) {
            return one.reason == storage::RejectReason::kUnknownSeries;
          }));
    }
    return count;
  }

  absl::Span<const RefSample> samples;
  absl::Span<const std::int64_t> starts_ms;  // As in AppendBatch.
  const Limits limits;
  ByShard by_shard;
  // Whether and how a sample is (still) to be stored.
  std::vector<Taken> taken;
  std::size_t left_out = 0;      // Neither taken nor rejected.
  std::size_t out_of_order = 0;  // Taken so.
  // Inserted, though logged as in order.
  StartingSamples late;
  std::vector<storage::Rejection> rejected;
  std::vector<SeriesId> undeclared;  // Not yet in the write-ahead log.
  HistogramBatch histograms;
  std::vector<std::size_t> exemplars;  // Those to be added.
};

absl::Status Head::Append(const AppendBatch& all,
                          std::vector<storage::Rejection>* rejected) {
  if (all.empty()) return absl::OkStatus();
  const ApplyGate::Applying passing(append_gate_);
  ++appends_begun_;
  metrics_.active_appenders.Add(1);
  const std::int64_t first_ms =
      !all.samples.empty()      ? all.samples[0].timestamp_ms
      : !all.histograms.empty() ? all.histograms[0].timestamp_ms
                                : max_time_.load();
  Limits limits = LimitsOfAppend(first_ms);
  if (all.rules.in_order_only) limits.window_ms = 0;
  Batch batch(
      all.samples,
      options_.start_times ? all.starts_ms : absl::Span<const std::int64_t>(),
      limits, all.histograms);
  if (!options_.histogram_start_times) batch.histograms.ForgetStarts();
  Check(batch);
  CheckHistograms(batch.limits, &batch.histograms);
  const std::size_t refused = batch.rejected.size();
  const std::size_t refused_histograms = batch.histograms.rejected.size();
  std::vector<storage::Rejection> exemplars;
  absl::Status status = absl::OkStatus();
  if (!all.rules.all_or_none || refused + refused_histograms == 0) {
    CheckExemplars(all.exemplars, all.samples.size() + all.histograms.size(),
                   &batch.exemplars, &exemplars);
    status = Store(batch, all);
  }
  if (status.ok()) {
    CountRejections(metrics_.floats, batch.rejected);
    CountRejections(metrics_.histograms, batch.histograms.rejected);
    // What Store refused is out of order within the batch, or came with
    // another append at the same time.
    if (all.rules.all_or_none) {
      batch.rejected.resize(refused);
      batch.histograms.rejected.resize(refused_histograms);
    }
    for (const auto* more : {&batch.histograms.rejected, &exemplars}) {
      batch.rejected.insert(batch.rejected.end(), more->begin(), more->end());
    }
    std::sort(batch.rejected.begin(), batch.rejected.end(),
              [](const storage::Rejection& a, const storage::Rejection& b) {
                return a.index < b.index;
              });
    rejected->insert(rejected->end(), batch.rejected.begin(),
                     batch.rejected.end());
  }
  metrics_.active_appenders.Add(-1);
  ++appends_ended_;
  return status;
}

absl::Status Head::Store(Batch& batch, const AppendBatch& all) {
  NARTHEX_RETURN_IF_ERROR(LogBatch(batch, all));
  Apply(batch);
  LogLate(batch);
  AddExemplars(all.exemplars, batch.exemplars);
  return absl::OkStatus();
}

// What is older than half a block's span is, or is about to be, in blocks. The
// first sample of all sets the clock.
Head::Limits Head::LimitsOfAppend(std::int64_t first_ms) {
  std::int64_t newest = kNoMaxTime;
  if (max_time_.compare_exchange_strong(newest, first_ms)) newest = first_ms;
  const std::int64_t half = options_.chunks.range_ms / 2;
  const std::int64_t from =
      newest < std::numeric_limits<std::int64_t>::min() + half
          ? std::numeric_limits<std::int64_t>::min()
          : newest - half;
  return {newest, std::max(from, closed_before_.load()),
          out_of_order_window_ms_.load()};
}

// Prometheus's rules: what cannot be appended to its series is inserted if the
// window allows.
Head::Fate Head::Judge(const RefSample& sample, const MemSeries& series,
                       const HistogramTable& table,
                       const MemSeries::Arena& blocks, const Limits& limits) {
  return FateOf(series.has_histograms()
                    ? CheckBeside(table, blocks, series, sample)
                    : series.Check(blocks, sample.timestamp_ms, sample.value),
                sample.timestamp_ms, limits);
}

Head::Fate Head::FateOf(MemSeries::Verdict verdict, std::int64_t timestamp_ms,
                        const Limits& limits) {
  if (timestamp_ms >= limits.in_order_from) {
    switch (verdict) {
      case MemSeries::Verdict::kNew:
        return Fate::kAppended;
      case MemSeries::Verdict::kSame:
        return Fate::kSame;
      case MemSeries::Verdict::kDuplicate:
        return Fate::kDuplicate;
      case MemSeries::Verdict::kOutOfOrder:
        break;
    }
  }
  if (limits.window_ms > 0) {
    return InWindow(timestamp_ms, limits.newest_ms, limits.window_ms)
               ? Fate::kInserted
               : Fate::kTooOld;
  }
  return timestamp_ms < limits.in_order_from ? Fate::kOutOfBounds
                                             : Fate::kOutOfOrder;
}

// Requires that the sample is refused.
storage::RejectReason Head::ReasonOf(Fate fate) {
  switch (fate) {
    case Fate::kDuplicate:
      return storage::RejectReason::kDuplicate;
    case Fate::kOutOfBounds:
      return storage::RejectReason::kOutOfBounds;
    case Fate::kTooOld:
      return storage::RejectReason::kTooOld;
    default:
      return storage::RejectReason::kOutOfOrder;
  }
}

void Head::NoteLateness(std::int64_t timestamp_ms, const Limits& limits) const {
  const double late_ms =
      static_cast<double>(limits.newest_ms) - static_cast<double>(timestamp_ms);
  if (late_ms > 0) metrics_.out_of_order_delta.Observe(late_ms / 1000);
}

void Head::Check(Batch& batch) const {
  batch.ForEachShard([&](std::uint32_t number,
                         absl::Span<const std::uint32_t> indices) {
    const Shard& shard = shards_[number];
    base::ReaderMutexLock lock(shard.mutex);
    PagedArray<MemSeries>::Cursor cursor(shard.series);
    for (const std::uint32_t i : indices) {
      const RefSample& sample = batch.samples[i];
      const MemSeries* series = cursor.Find(IdOf(sample.ref));
      if (series == nullptr) {
        batch.Reject(i, storage::RejectReason::kUnknownSeries);
        continue;
      }
      if (series->has_histograms() &&
          EndsHistograms(shard.histograms, shard.blocks, *series, sample, i,
                         &batch.histograms)) {
        batch.taken[i] = Batch::kNot;
        ++batch.left_out;
        continue;
      }
      const Fate fate =
          Judge(sample, *series, shard.histograms, shard.blocks, batch.limits);
      switch (fate) {
        case Fate::kInserted:
          batch.taken[i] = Batch::kOutOfOrder;
          ++batch.out_of_order;
          NoteLateness(sample.timestamp_ms, batch.limits);
          [[fallthrough]];
        case Fate::kAppended:
          if (!series->logged()) batch.undeclared.push_back(IdOf(sample.ref));
          break;
        case Fate::kSame:
          batch.taken[i] = Batch::kNot;
          ++batch.left_out;
          break;
        case Fate::kDuplicate:
          batch.Reject(i, storage::RejectReason::kDuplicate);
          break;
        default:
          NoteLateness(sample.timestamp_ms, batch.limits);
          batch.Reject(i, ReasonOf(fate));
          break;
      }
    }
  });
}

void Head::EncodeOthers(const Batch& batch, const AppendBatch& all,
                        std::vector<std::string>* records) const {
  EncodeHistograms(batch.histograms.Taken(/*out_of_order=*/false), records);
  if (!batch.exemplars.empty()) {
    std::vector<RefExemplar> exemplars;
    for (const std::size_t i : batch.exemplars) {
      exemplars.push_back(all.exemplars[i]);
    }
    EncodeExemplars(exemplars, &records->emplace_back());
  }
  if (!all.metadata.empty()) {
    EncodeMetadata(all.metadata, &records->emplace_back());
  }
}

absl::Status Head::LogBatch(const Batch& batch, const AppendBatch& all) const {
  const std::size_t skipped = batch.rejected.size() + batch.left_out;
  const bool others = !batch.histograms.items.empty() ||
                      !batch.exemplars.empty() || !all.metadata.empty();
  if (wal_ == nullptr || (skipped == batch.samples.size() && !others)) {
    return absl::OkStatus();
  }
  std::vector<std::string> records(2);
  EncodeDeclarations(batch, &records[0]);
  if (skipped + batch.out_of_order == 0) {
    EncodeSamples(batch.samples, batch.starts_ms, &records[1]);
  } else if (skipped + batch.out_of_order < batch.samples.size()) {
    const StartingSamples taken = batch.TakenAs(Batch::kInOrder);
    EncodeSamples(taken.samples, taken.starts_ms, &records[1]);
  }
  if (others) EncodeOthers(batch, all, &records);
  NARTHEX_RETURN_IF_ERROR(wal_->Log(records));
  const std::vector<RefHistogram> histograms =
      batch.histograms.Taken(/*out_of_order=*/true);
  if (batch.out_of_order == 0 && histograms.empty()) return absl::OkStatus();
  return LogOutOfOrder(batch.TakenAs(Batch::kOutOfOrder), histograms);
}

absl::Status Head::LogOutOfOrder(
    const StartingSamples& samples,
    const std::vector<RefHistogram>& histograms) const {
  std::vector<std::string> records(1);
  EncodeSamples(samples.samples, samples.starts_ms, &records[0]);
  EncodeHistograms(histograms, &records);
  return wbl_.load()->Log(records);
}

void Head::EncodeDeclarations(const Batch& batch, std::string* record) const {
  const std::vector<SeriesId>& others = batch.histograms.undeclared;
  if (batch.undeclared.empty() && others.empty()) return;
  std::vector<SeriesId> undeclared = batch.undeclared;
  undeclared.insert(undeclared.end(), others.begin(), others.end());
  EncodeDeclarations(undeclared, record);
}

void Head::EncodeDeclarations(absl::Span<const SeriesId> undeclared,
                              std::string* record) const {
  std::vector<RefSeries> declarations;
  declarations.reserve(undeclared.size());
  base::ReaderMutexLock lock(index_mutex_);
  for (const SeriesId id : undeclared) {
    RefSeries declaration{id, {}};
    // A series that was removed since will reject its samples.
    if (index_.LabelsOf(id, &declaration.labels)) {
      declarations.push_back(std::move(declaration));
    }
  }
  EncodeSeries(declarations, record);
}

// Replaying the log would find these out of order and leave them out. They are
// in memory: an error can only be told.
void Head::LogLate(const Batch& batch) const {
  const std::vector<RefHistogram>& histograms = batch.histograms.late;
  const std::size_t count = batch.late.samples.size() + histograms.size();
  if (count == 0) return;
  const absl::Status status = LogOutOfOrder(batch.late, histograms);
  if (!status.ok()) {
    logger_.Error("samples out of order are not durable",
                  {{"samples", count}, {"err", status.ToString()}});
  }
}

void Head::Apply(Batch& batch) {
  Applied applied;
  const ApplyGate::Applying applying(gate_);
  batch.ForEachShard(
      [&](std::uint32_t number, absl::Span<const std::uint32_t> indices) {
        ApplyToShard(shards_[number], indices, batch, applied);
      });
  if (!batch.histograms.items.empty()) {
    ApplyHistograms(batch.limits, &batch.histograms, applied);
  }
  Publish(applied);
}

void Head::Publish(const Applied& applied) {
  if (applied.samples + applied.histograms > 0) {
    ExtendTimes(applied.oldest, applied.newest);
  }
  if (applied.stale != 0) stale_series_ += applied.stale;
  if (applied.chunks != 0) chunks_ += static_cast<std::int64_t>(applied.chunks);
  if (applied.inserted + applied.inserted_histograms > 0) {
    ExtendOutOfOrderTimes(applied.out_of_order);
  }
  metrics_.floats.Appended(applied.samples, applied.inserted);
  metrics_.histograms.Appended(applied.histograms, applied.inserted_histograms);
  metrics_.chunks_created.Inc(static_cast<double>(applied.chunks));
}

void Head::ApplyToShard(Shard& shard, absl::Span<const std::uint32_t> indices,
                        Batch& batch, Applied& applied) {
  // The series of some samples are looked up first, so that their memory is
  // on its way when it is needed.
  constexpr std::size_t kAhead = 16;
  std::array<MemSeries*, kAhead> found{};
  base::MutexLock lock(shard.mutex);
  PagedArray<MemSeries>::Cursor cursor(shard.series);
  while (!indices.empty()) {
    const auto some = indices.subspan(0, kAhead);
    indices.remove_prefix(some.size());
    for (std::size_t i = 0; i < some.size(); ++i) {
      found[i] = cursor.Find(IdOf(batch.samples[some[i]].ref));
      if (found[i] != nullptr) found[i]->Prefetch(shard.blocks);
    }
    for (std::size_t i = 0; i < some.size(); ++i) {
      if (batch.taken[some[i]] != Batch::kNot &&
          ApplyOne(some[i], found[i], shard, batch, applied)) {
        shard.cut.push_back(IdOf(batch.samples[some[i]].ref));
      }
    }
  }
}

// Checks again, because others may have appended since. True when a chunk
// became full.
bool Head::ApplyOne(std::uint32_t index, MemSeries* series, Shard& shard,
                    Batch& batch, Applied& applied) {
  const RefSample& sample = batch.samples[index];
  const std::int64_t start_ms = batch.StartOf(index);
  if (series == nullptr) {
    batch.Reject(index, storage::RejectReason::kUnknownSeries);
    return false;
  }
  const Fate fate = batch.taken[index] == Batch::kOutOfOrder
                        ? Fate::kInserted
                        : Judge(sample, *series, shard.histograms, shard.blocks,
                                batch.limits);
  switch (fate) {
    case Fate::kAppended:
      break;
    case Fate::kSame:
      return false;
    case Fate::kInserted:
      series->set_logged();
      if (batch.taken[index] == Batch::kInOrder) {
        batch.late.Add(sample, start_ms);
      }
      InsertOne(sample, start_ms, shard, applied);
      return false;
    default:
      batch.Reject(index, ReasonOf(fate));
      return false;
  }
  return AppendFloat(sample, start_ms, *series, shard, applied);
}

bool Head::AppendFloat(const RefSample& sample, std::int64_t start_ms,
                       MemSeries& series, Shard& shard, Applied& applied) {
  if (IsStale(shard.histograms, shard.blocks, IdOf(sample.ref), series))
    --applied.stale;
  const MemSeries::Appended done = series.Append(
      shard.blocks, sample.timestamp_ms, sample.value, options_.chunks);
  if (done.begun) ++applied.chunks;
  if (series.stale()) ++applied.stale;
  series.set_logged();
  NoteStart(IdOf(sample.ref), sample.timestamp_ms, start_ms, series, shard);
  series.set_fresh(false);
  ++applied.samples;
  applied.oldest = std::min(applied.oldest, sample.timestamp_ms);
  applied.newest = std::max(applied.newest, sample.timestamp_ms);
  return done.filled;
}

template <typename Sample>
void Head::InsertOne(const Sample& sample, std::int64_t start_ms, Shard& shard,
                     Applied& applied) {
  const auto inserted = shard.out_of_order[IdOf(sample.ref)].Insert(
      sample.timestamp_ms, sample.value, options_.out_of_order_capacity,
      start_ms);
  if (inserted.chunk_begun) ++applied.chunks;
  if (!inserted.taken) return;
  ++(std::is_same_v<Sample, RefHistogram> ? applied.inserted_histograms
                                          : applied.inserted);
  applied.out_of_order.min_ms =
      std::min(applied.out_of_order.min_ms, sample.timestamp_ms);
  applied.out_of_order.max_ms =
      std::max(applied.out_of_order.max_ms, sample.timestamp_ms);
}

template void Head::InsertOne(const RefSample&, std::int64_t, Shard&, Applied&);
template void Head::InsertOne(const RefHistogram&, std::int64_t, Shard&,
                              Applied&);

void Head::CountRejections(TsdbMetrics::SampleKind& kind,
                           const std::vector<storage::Rejection>& rejected) {
  for (const storage::Rejection& one : rejected) {
    switch (one.reason) {
      case storage::RejectReason::kOutOfOrder:
        kind.out_of_order.Inc();
        break;
      case storage::RejectReason::kDuplicate:
        metrics_.duplicates.Inc();
        break;
      case storage::RejectReason::kOutOfBounds:
        kind.out_of_bounds.Inc();
        break;
      case storage::RejectReason::kUnknownSeries:
        metrics_.series_not_found.Inc();
        break;
      case storage::RejectReason::kTooOld:
        kind.too_old.Inc();
        break;
      case storage::RejectReason::kLimit:
      case storage::RejectReason::kInvalid:
        break;
    }
  }
}

std::size_t Head::ReplayOutOfOrder(absl::Span<const RefSample> samples,
                                   absl::Span<const std::int64_t> starts_ms,
                                   absl::Span<const RefHistogram> histograms) {
  if (!options_.start_times) starts_ms = {};
  Batch batch(samples, starts_ms, {max_time_.load(), min_valid_time_.load(), 0},
              histograms);
  if (!options_.histogram_start_times) batch.histograms.ForgetStarts();
  std::fill(batch.taken.begin(), batch.taken.end(), Batch::kOutOfOrder);
  for (HistogramBatch::Item& item : batch.histograms.items) {
    item.out_of_order = true;
  }
  Apply(batch);
  return batch.UnknownSeries();
}

}  // namespace narthex::tsdb
