#include <algorithm>
#include <array>
#include <utility>

#include "libs/base/status.h"
#include "libs/tsdb/head.h"

namespace narthex::tsdb {
namespace {

SeriesId IdOf(storage::SeriesRef ref) {
  return ref > std::numeric_limits<SeriesId>::max()
             ? 0
             : static_cast<SeriesId>(ref);
}

}  // namespace

struct Head::Batch {
  explicit Batch(absl::Span<const RefSample> all)
      : samples(all), taken(all.size(), true) {
    // A counting sort of the indices by shard; within a shard the order stays.
    for (const RefSample& sample : samples) ++ends[ShardOf(IdOf(sample.ref))];
    std::uint32_t sum = 0;
    for (std::uint32_t& end : ends) {
      const std::uint32_t count = end;
      end = sum;
      sum += count;
    }
    by_shard.resize(samples.size());
    for (std::uint32_t i = 0; i < samples.size(); ++i) {
      by_shard[ends[ShardOf(IdOf(samples[i].ref))]++] = i;
    }
  }

  /// Calls `visit(shard number, indices of its samples)` for each shard that
  /// has some.
  template <typename Visit>
  void ForEachShard(const Visit& visit) const {
    std::uint32_t begin = 0;
    for (std::uint32_t shard = 0; shard < kShards; ++shard) {
      if (ends[shard] != begin) {
        visit(shard, absl::MakeConstSpan(by_shard).subspan(
                         begin, ends[shard] - begin));
      }
      begin = ends[shard];
    }
  }

  void Reject(std::size_t index, storage::RejectReason reason) {
    taken[index] = false;
    rejected.push_back({index, reason});
  }

  absl::Span<const RefSample> samples;
  std::vector<std::uint32_t> by_shard;
  std::array<std::uint32_t, kShards> ends{};
  // Whether a sample is (still) to be stored. No vector<bool>: it is written
  // on the hot path.
  std::vector<char> taken;
  std::size_t left_out = 0;  // Neither taken nor rejected.
  std::vector<storage::Rejection> rejected;
  std::vector<SeriesId> undeclared;  // Not yet in the write-ahead log.
};

absl::Status Head::Append(absl::Span<const RefSample> samples,
                          std::vector<storage::Rejection>* rejected) {
  if (samples.empty()) return absl::OkStatus();
  const ApplyGate::Applying passing(append_gate_);
  metrics_.active_appenders.Add(1);
  Batch batch(samples);
  Check(batch, AppendableFrom(samples[0].timestamp_ms));
  const absl::Status status = LogBatch(batch);
  if (status.ok()) {
    Apply(batch);
    std::sort(batch.rejected.begin(), batch.rejected.end(),
              [](const storage::Rejection& a, const storage::Rejection& b) {
                return a.index < b.index;
              });
    const std::size_t from = rejected->size();
    rejected->insert(rejected->end(), batch.rejected.begin(),
                     batch.rejected.end());
    CountRejections(*rejected, from);
  }
  metrics_.active_appenders.Add(-1);
  return status;
}

// Samples before the result are out of bounds: they would fall into times
// that are, or are about to be, in blocks. The first sample of all sets the
// clock.
std::int64_t Head::AppendableFrom(std::int64_t first_ms) {
  std::int64_t newest = kNoMaxTime;
  if (max_time_.compare_exchange_strong(newest, first_ms)) newest = first_ms;
  const std::int64_t half = options_.chunks.range_ms / 2;
  const std::int64_t window =
      newest < std::numeric_limits<std::int64_t>::min() + half
          ? std::numeric_limits<std::int64_t>::min()
          : newest - half;
  return std::max(window, closed_before_.load());
}

void Head::Check(Batch& batch, std::int64_t min_valid_ms) const {
  batch.ForEachShard(
      [&](std::uint32_t number, absl::Span<const std::uint32_t> indices) {
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
          if (sample.timestamp_ms < min_valid_ms) {
            batch.Reject(i, storage::RejectReason::kOutOfBounds);
            continue;
          }
          switch (series->Check(sample.timestamp_ms, sample.value)) {
            case MemSeries::Verdict::kNew:
              if (!series->logged) batch.undeclared.push_back(IdOf(sample.ref));
              break;
            case MemSeries::Verdict::kSame:
              batch.taken[i] = false;
              ++batch.left_out;
              break;
            case MemSeries::Verdict::kDuplicate:
              batch.Reject(i, storage::RejectReason::kDuplicate);
              break;
            case MemSeries::Verdict::kOutOfOrder:
              batch.Reject(i, storage::RejectReason::kOutOfOrder);
              break;
          }
        }
      });
}

absl::Status Head::LogBatch(const Batch& batch) const {
  const std::size_t skipped = batch.rejected.size() + batch.left_out;
  if (wal_ == nullptr || skipped == batch.samples.size()) {
    return absl::OkStatus();
  }
  std::array<std::string, 2> records;
  if (!batch.undeclared.empty()) {
    std::vector<RefSeries> declarations;
    declarations.reserve(batch.undeclared.size());
    base::ReaderMutexLock lock(index_mutex_);
    for (const SeriesId id : batch.undeclared) {
      RefSeries declaration{id, {}};
      // A series that was removed since will reject its samples.
      if (index_.LabelsOf(id, &declaration.labels)) {
        declarations.push_back(std::move(declaration));
      }
    }
    EncodeSeries(declarations, &records[0]);
  }
  if (skipped == 0) {
    EncodeSamples(batch.samples, &records[1]);
  } else {
    std::vector<RefSample> taken;
    taken.reserve(batch.samples.size() - skipped);
    for (std::size_t i = 0; i < batch.samples.size(); ++i) {
      if (batch.taken[i]) taken.push_back(batch.samples[i]);
    }
    EncodeSamples(taken, &records[1]);
  }
  return wal_->Log(records);
}

// What the shards of a batch took.
struct Head::Applied {
  std::int64_t oldest = kNoMinTime;
  std::int64_t newest = kNoMaxTime;
  std::size_t samples = 0;
  std::size_t chunks = 0;
  std::int64_t stale = 0;
};

void Head::Apply(Batch& batch) {
  Applied applied;
  const ApplyGate::Applying applying(gate_);
  batch.ForEachShard(
      [&](std::uint32_t number, absl::Span<const std::uint32_t> indices) {
        ApplyToShard(shards_[number], indices, batch, applied);
      });
  if (applied.samples > 0) ExtendTimes(applied.oldest, applied.newest);
  if (applied.stale != 0) stale_series_ += applied.stale;
  if (applied.chunks != 0) chunks_ += static_cast<std::int64_t>(applied.chunks);
  metrics_.samples_appended.Inc(static_cast<double>(applied.samples));
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
      if (found[i] != nullptr) found[i]->Prefetch();
    }
    for (std::size_t i = 0; i < some.size(); ++i) {
      if (batch.taken[some[i]] && ApplyOne(some[i], found[i], batch, applied)) {
        shard.cut.push_back(IdOf(batch.samples[some[i]].ref));
      }
    }
  }
}

// Checks again, because others may have appended since. True when a chunk
// became full.
bool Head::ApplyOne(std::uint32_t index, MemSeries* series, Batch& batch,
                    Applied& applied) {
  const RefSample& sample = batch.samples[index];
  if (series == nullptr) {
    batch.Reject(index, storage::RejectReason::kUnknownSeries);
    return false;
  }
  switch (series->Check(sample.timestamp_ms, sample.value)) {
    case MemSeries::Verdict::kNew:
      break;
    case MemSeries::Verdict::kSame:
      return false;
    case MemSeries::Verdict::kDuplicate:
      batch.Reject(index, storage::RejectReason::kDuplicate);
      return false;
    case MemSeries::Verdict::kOutOfOrder:
      batch.Reject(index, storage::RejectReason::kOutOfOrder);
      return false;
  }
  if (series->stale()) --applied.stale;
  const bool begun =
      series->Append(sample.timestamp_ms, sample.value, options_.chunks);
  if (begun) ++applied.chunks;
  if (series->stale()) ++applied.stale;
  series->logged = true;
  ++applied.samples;
  applied.oldest = std::min(applied.oldest, sample.timestamp_ms);
  applied.newest = std::max(applied.newest, sample.timestamp_ms);
  return begun && series->chunk_count() > 1;
}

void Head::CountRejections(const std::vector<storage::Rejection>& rejected,
                           std::size_t from) {
  for (std::size_t i = from; i < rejected.size(); ++i) {
    switch (rejected[i].reason) {
      case storage::RejectReason::kOutOfOrder:
        metrics_.out_of_order.Inc();
        break;
      case storage::RejectReason::kDuplicate:
        metrics_.duplicates.Inc();
        break;
      case storage::RejectReason::kOutOfBounds:
        metrics_.out_of_bounds.Inc();
        break;
      case storage::RejectReason::kUnknownSeries:
        metrics_.series_not_found.Inc();
        break;
      case storage::RejectReason::kTooOld:
        metrics_.too_old.Inc();
        break;
      case storage::RejectReason::kLimit:
      case storage::RejectReason::kInvalid:
        break;
    }
  }
}

std::size_t Head::ReplaySamples(absl::Span<const RefSample> samples) {
  Batch batch(samples);
  const std::int64_t min_valid_ms = min_valid_time_.load();
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (samples[i].timestamp_ms < min_valid_ms) batch.taken[i] = false;
  }
  Apply(batch);
  return static_cast<std::size_t>(std::count_if(
      batch.rejected.begin(), batch.rejected.end(),
      [](const storage::Rejection& one) {
        return one.reason == storage::RejectReason::kUnknownSeries;
      }));
}

}  // namespace narthex::tsdb
