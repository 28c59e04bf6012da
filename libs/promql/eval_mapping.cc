#include <algorithm>
#include <utility>

#include "libs/base/status.h"
#include "libs/promql/evaluation.h"
#include "libs/promql/parallel_mapping.h"

namespace narthex::promql {
namespace {

/// So many series are mapped before it is asked whether help is worth it.
constexpr std::size_t kSeriesHere = 64;
/// It is when that, and more of the same, took longer: waking another thread
/// and waiting for it takes a tenth of that.
constexpr std::int64_t kWorthHelpNs = 250'000;
/// For how long a batch should keep a thread busy.
constexpr std::int64_t kBatchNs = 250'000;
/// A batch has no more values than that, to bound its memory.
constexpr std::size_t kValuesOfBatch = 1 << 16;

/// Series of a batch, when `kSeriesHere` took so long.
std::size_t BatchOf(std::int64_t took_ns, std::size_t steps) {
  const std::int64_t each_ns =
      std::max<std::int64_t>(1, took_ns / static_cast<int>(kSeriesHere));
  return std::clamp<std::size_t>(
      static_cast<std::size_t>(kBatchNs / each_ns), 1,
      std::clamp<std::size_t>(kValuesOfBatch / steps, 1, 1024));
}

}  // namespace

absl::StatusOr<std::unique_ptr<storage::SeriesSet>> Evaluation::Open(
    const VectorSelector& selector, const SelectorReading& reading) {
  storage::SelectHints hints;
  hints.range = reading.range;
  hints.step_ms = settings_.step_ms == 0 ? 0 : reading.step_ms;
  hints.range_ms = reading.range_ms;
  hints.newest_only = reading.newest_only;
  hints.deadline_ns = settings_.deadline_ns;
  hints.cancelled = settings_.cancelled;
  if (const auto use = uses_.find(&selector); use != uses_.end()) {
    hints.func = use->second.function;
    hints.grouping = use->second.grouping;
    hints.by = use->second.by;
    hints.any_order = use->second.any_order;
    hints.some_labels = use->second.some_labels;
    hints.labels = use->second.labels;
  }
  auto set = storage_.Select(hints, selector.matchers);
  if (!set.ok()) return WhileExpanding(set.status());
  return set;
}

absl::Status Evaluation::Count(Tally& tally) {
  absl::Status status = budget_.Touch(std::exchange(tally.largest, 0));
  if (&tally != &tally_) {
    stats().Add(tally.stats);
    tally.stats = {};
    if (!tally.annotations.empty()) {
      annotations().Merge(tally.annotations);
      tally.annotations.Clear();
    }
  }
  NoteProgress();
  return status;
}

void Evaluation::NoteProgress() {
  QueryProgress* const progress = settings_.progress;
  if (progress == nullptr) return;
  progress->samples_read.store(stats().read, std::memory_order_relaxed);
  progress->series_read.store(stats().series, std::memory_order_relaxed);
}

void Evaluation::CountStorage(const storage::SeriesSet& set) {
  for (std::string& warning : set.warnings()) {
    annotations().AddStorageWarning(std::move(warning));
  }
}

absl::Status Evaluation::Select(const VectorSelector& selector,
                                const SelectorReading& reading,
                                SeriesSink sink) {
  NARTHEX_ASSIGN_OR_RETURN(const auto set, Open(selector, reading));
  AliveCheck alive(*this);
  model::Labels labels;
  model::SampleColumns samples;
  for (;;) {
    NARTHEX_ASSIGN_OR_RETURN(const bool more,
                             NextSeries(*set, &labels, &samples));
    if (!more) break;
    NARTHEX_RETURN_IF_ERROR(alive.Pass(samples.size()));
    ++stats().series;
    NARTHEX_RETURN_IF_ERROR(sink(labels, samples));
    NARTHEX_RETURN_IF_ERROR(Count(tally_));
  }
  CountStorage(*set);
  return absl::OkStatus();
}

/// Maps up to so many series on this thread.
absl::Status Evaluation::MapHere(storage::SeriesSet& set, SeriesMapper& mapper,
                                 std::size_t series, ColumnSink sink,
                                 bool* done) {
  AliveCheck alive(*this);
  model::Labels labels;
  model::SampleColumns samples;
  Column column;
  for (; series > 0; --series) {
    NARTHEX_ASSIGN_OR_RETURN(const bool more,
                             NextSeries(set, &labels, &samples));
    if (!more) {
      *done = true;
      break;
    }
    NARTHEX_RETURN_IF_ERROR(alive.Pass(samples.size()));
    ++stats().series;
    NARTHEX_ASSIGN_OR_RETURN(const bool kept,
                             mapper.Map(labels, samples, &column));
    NARTHEX_RETURN_IF_ERROR(Count(tally_));
    if (kept) NARTHEX_RETURN_IF_ERROR(sink(column));
  }
  return absl::OkStatus();
}

absl::Status Evaluation::MapAlone(const SeriesReading& from, ColumnSink sink) {
  const SelectorReading& reading = from.reading;
  NARTHEX_ASSIGN_OR_RETURN(const auto set, Open(*from.selector, reading));
  const std::unique_ptr<SeriesMapper> mapper = from.new_mapper(&tally_);
  base::TaskPool* const helpers = settings_.helpers;
  const bool may_share = helpers != nullptr && helpers->size() > 0;
  const std::int64_t begin_ns = may_share ? clock_.MonotonicNs() : 0;
  std::int64_t rounds = 0;
  bool done = false;
  while (!done) {
    NARTHEX_RETURN_IF_ERROR(MapHere(*set, *mapper, kSeriesHere, sink, &done));
    if (done || !may_share) continue;
    ++rounds;
    // What has taken long so far may be expected to go on for as long.
    const std::int64_t took_ns = clock_.MonotonicNs() - begin_ns;
    if (took_ns < kWorthHelpNs) continue;
    const std::size_t batch = BatchOf(took_ns / rounds, reading.steps);
    const std::size_t bytes =
        8 * batch * reading.steps * BatchesUnderWay(*helpers);
    if (!budget_.HasRoom(bytes)) continue;
    SampleReservation held(&budget_);
    NARTHEX_RETURN_IF_ERROR(held.Add(0, bytes));
    const auto check = [this] { return CheckAlive(); };
    const auto count = [this](Tally& tally) { return Count(tally); };
    NARTHEX_RETURN_IF_ERROR(MapInParallel(
        *set, from.new_mapper, {*helpers, batch, check, count}, sink));
    done = true;
  }
  CountStorage(*set);
  return absl::OkStatus();
}

}  // namespace narthex::promql
