#pragma once

#include <cstddef>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/task_pool.h"
#include "libs/promql/column.h"
#include "libs/promql/series_mapper.h"
#include "libs/storage/storage.h"

namespace narthex::promql {

/// Maps the series of a selection on several threads. Columns come out one by
/// one, on the caller's thread and in the order of their series, so that what
/// is made of them (sums of floats above all) does not depend on how many
/// threads there are, nor on which is faster.
///
/// The selection is cut into batches, of which only a few are under way at a
/// time. The caller works as well, so that progress never waits for a thread
/// of the pool: when those are busy with other queries, it does everything.
struct ParallelOptions {
  base::TaskPool& helpers;
  /// Series of a batch: enough work to be worth handing over.
  std::size_t batch = 64;
  /// Asked now and then by all threads whether to go on.
  absl::FunctionRef<absl::Status()> check;
  /// Told of every batch, in order, before its columns.
  absl::FunctionRef<absl::Status(Tally& tally)> count;
};

/// Returns when all columns are out, or with the first error in the order of
/// the series. No other thread uses the arguments then.
absl::Status MapInParallel(storage::SeriesSet& set, NewSeriesMapper new_mapper,
                           const ParallelOptions& options, ColumnSink sink);

/// Of how many batches there may be columns at a time.
inline std::size_t BatchesUnderWay(const base::TaskPool& helpers) {
  return 2 * (helpers.size() + 1) + 2;
}

/// What reading a selection fails with.
absl::Status WhileExpanding(const absl::Status& status);
/// SeriesSet::NextSamples() with such errors.
absl::StatusOr<bool> NextSeries(storage::SeriesSet& set, model::Labels* labels,
                                model::SampleColumns* samples);

/// Checks now and then, by the work done, whether a query must end.
class Checkpoint {
 public:
  explicit Checkpoint(absl::FunctionRef<absl::Status()> check)
      : check_(check) {}
  /// Another series of so many samples was read.
  absl::Status Pass(std::size_t samples) {
    // Reading takes some microseconds at most for each that this stands for.
    constexpr std::size_t kWorth = 16'384;
    constexpr std::size_t kOfSeries = 256;
    done_ += kOfSeries + samples;
    if (done_ < kWorth) return absl::OkStatus();
    done_ = 0;
    return check_();
  }

 private:
  absl::FunctionRef<absl::Status()> check_;
  std::size_t done_ = 0;
};

}  // namespace narthex::promql
