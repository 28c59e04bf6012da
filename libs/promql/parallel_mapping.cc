#include "libs/promql/parallel_mapping.h"

#include <atomic>
#include <utility>
#include <vector>

#include "libs/base/mutex.h"
#include "libs/base/status.h"

namespace narthex::promql {
namespace {

/// Some series in a row and what became of them. Its memory serves one batch
/// after another.
struct Batch {
  std::unique_ptr<storage::SeriesSet> series;
  std::unique_ptr<SeriesMapper> mapper;
  Tally tally;
  model::Labels labels;
  model::SampleColumns samples;
  std::vector<Column> columns;
  std::size_t size = 0;  // Columns in use.
  absl::Status status;
};

/// One run. Helpers that come when it is closed touch nothing else of it.
class Mapping : public std::enable_shared_from_this<Mapping> {
 public:
  Mapping(storage::SeriesSet& set, NewSeriesMapper new_mapper,
          const ParallelOptions& options)
      : set_(set),
        new_mapper_(new_mapper),
        options_(options),
        batches_(BatchesUnderWay(options.helpers)),
        ready_(batches_.size(), false) {}

  absl::Status Work(ColumnSink sink) {
    absl::Status status = ConsumeAll(sink);
    Close();
    return status;
  }

 private:
  absl::Status ConsumeAll(ColumnSink sink) {
    Recruit();
    for (;;) {
      if (Batch* const first = First(); first != nullptr) {
        NARTHEX_RETURN_IF_ERROR(Consume(*first, sink));
        Recruit();
      } else if (std::size_t at = 0; Begin(&at)) {
        Map(at);
      } else if (!WaitForFirst()) {
        return absl::OkStatus();
      }
    }
  }

  /// The batch whose turn it is, once it is mapped.
  Batch* First() ABSL_LOCKS_EXCLUDED(mutex_) {
    base::MutexLock lock(mutex_);
    const std::size_t at = consumed_ % batches_.size();
    return consumed_ < begun_ && ready_[at] ? &batches_[at] : nullptr;
  }

  /// False when there will be none.
  bool WaitForFirst() ABSL_LOCKS_EXCLUDED(mutex_) {
    base::MutexLock lock(mutex_);
    if (consumed_ == begun_) return !exhausted_;
    waiting_ = true;
    while (!ready_[consumed_ % batches_.size()]) changed_.Wait(mutex_);
    waiting_ = false;
    return true;
  }

  absl::Status Consume(Batch& batch, ColumnSink sink)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    NARTHEX_RETURN_IF_ERROR(options_.count(batch.tally));
    for (std::size_t i = 0; i < batch.size; ++i) {
      NARTHEX_RETURN_IF_ERROR(sink(batch.columns[i]));
    }
    NARTHEX_RETURN_IF_ERROR(batch.status);
    base::MutexLock lock(mutex_);
    ready_[consumed_ % batches_.size()] = false;
    ++consumed_;
    return absl::OkStatus();
  }

  /// Takes the next series from the selection, provided there is room.
  bool Begin(std::size_t* at) ABSL_LOCKS_EXCLUDED(source_mutex_, mutex_) {
    base::MutexLock source_lock(source_mutex_);
    {
      base::MutexLock lock(mutex_);
      if (closed_ || exhausted_) return false;
      if (begun_ - consumed_ == batches_.size()) return false;
      *at = begun_ % batches_.size();
    }
    Batch& batch = batches_[*at];
    batch.size = 0;
    auto part = set_.Split(options_.batch);
    if (part.ok() && *part != nullptr) {
      batch.series = *std::move(part);
      if (batch.mapper == nullptr) batch.mapper = new_mapper_(&batch.tally);
      base::MutexLock lock(mutex_);
      ++begun_;
      return true;
    }
    base::MutexLock lock(mutex_);
    exhausted_ = true;
    if (!part.ok()) {
      // It comes when all that could be read is consumed.
      batch.status = WhileExpanding(part.status());
      ready_[*at] = true;
      ++begun_;
    }
    return false;
  }

  void Map(std::size_t at) ABSL_LOCKS_EXCLUDED(mutex_) {
    Batch& batch = batches_[at];
    batch.status = MapSeries(&batch);
    batch.series.reset();
    base::MutexLock lock(mutex_);
    ready_[at] = true;
    if (waiting_ && at == consumed_ % batches_.size()) changed_.NotifyAll();
  }

  absl::Status MapSeries(Batch* batch) const {
    NARTHEX_RETURN_IF_ERROR(options_.check());
    Checkpoint checkpoint(options_.check);
    while (!abandoned_.load(std::memory_order_relaxed)) {
      NARTHEX_ASSIGN_OR_RETURN(
          const bool more,
          NextSeries(*batch->series, &batch->labels, &batch->samples));
      if (!more) break;
      NARTHEX_RETURN_IF_ERROR(checkpoint.Pass(batch->samples.size()));
      ++batch->tally.stats.series;
      if (batch->size == batch->columns.size()) batch->columns.emplace_back();
      NARTHEX_ASSIGN_OR_RETURN(
          const bool kept, batch->mapper->Map(batch->labels, batch->samples,
                                              &batch->columns[batch->size]));
      if (kept) ++batch->size;
    }
    return absl::OkStatus();
  }

  /// Asks for helpers while there is work for them.
  void Recruit() ABSL_LOCKS_EXCLUDED(mutex_) {
    base::TaskPool& pool = options_.helpers;
    std::size_t wanted = 0;
    {
      base::MutexLock lock(mutex_);
      if (exhausted_ || begun_ - consumed_ > batches_.size() / 2) return;
      wanted = pool.size() - helpers_;
      helpers_ += wanted;
    }
    for (; wanted > 0; --wanted) {
      pool.Post([self = shared_from_this()] { self->Help(); });
    }
  }

  void Help() ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      base::MutexLock lock(mutex_);
      if (closed_) return;
      ++inside_;
    }
    for (std::size_t at = 0; Begin(&at);) Map(at);
    base::MutexLock lock(mutex_);
    --helpers_;
    if (--inside_ == 0 && closed_) changed_.NotifyAll();
  }

  void Close() ABSL_LOCKS_EXCLUDED(mutex_) {
    abandoned_.store(true, std::memory_order_relaxed);
    base::MutexLock lock(mutex_);
    closed_ = true;
    while (inside_ > 0) changed_.Wait(mutex_);
  }

  storage::SeriesSet& set_;
  const NewSeriesMapper new_mapper_;
  const ParallelOptions options_;
  std::atomic<bool> abandoned_{false};

  // One thread at a time takes from the selection.
  base::Mutex source_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  base::Mutex mutex_;
  base::CondVar changed_;
  // Number n is at n modulo their number. Between begun and ready a batch is
  // its mapper's, then the caller's.
  std::vector<Batch> batches_;
  std::vector<bool> ready_ ABSL_GUARDED_BY(mutex_);
  std::size_t begun_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t consumed_ ABSL_GUARDED_BY(mutex_) = 0;
  bool exhausted_ ABSL_GUARDED_BY(mutex_) = false;
  std::size_t helpers_ ABSL_GUARDED_BY(mutex_) = 0;  // Asked for or inside.
  std::size_t inside_ ABSL_GUARDED_BY(mutex_) = 0;
  bool waiting_ ABSL_GUARDED_BY(mutex_) = false;  // The caller, for a batch.
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

absl::Status WhileExpanding(const absl::Status& status) {
  return base::Annotate(status, "expanding series");
}

absl::StatusOr<bool> NextSeries(storage::SeriesSet& set, model::Labels* labels,
                                model::SampleColumns* samples) {
  absl::StatusOr<bool> more = set.NextSamples(labels, samples);
  if (!more.ok()) return WhileExpanding(more.status());
  return more;
}

absl::Status MapInParallel(storage::SeriesSet& set, NewSeriesMapper new_mapper,
                           const ParallelOptions& options, ColumnSink sink) {
  return std::make_shared<Mapping>(set, new_mapper, options)->Work(sink);
}

}  // namespace narthex::promql
