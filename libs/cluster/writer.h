#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "libs/base/clock.h"
#include "libs/base/log.h"
#include "libs/cluster/addresses.h"
#include "libs/cluster/push_columns.h"
#include "libs/metrics/metrics.h"
#include "libs/model/labels.h"
#include "libs/storage/storage.h"

namespace narthex::cluster {

/// What became of a batch.
struct PushOutcome {
  /// OK: every sample that is not in `rejected` is in the log of an ingester,
  /// with replicas of a majority of those that it is sent to, or in the queue
  /// on disk for it if there is one, which reports no rejections.
  /// Otherwise part of the batch, or all of it, was not taken:
  ///   kUnavailable        an ingester (named) did not answer; try again.
  ///   kResourceExhausted  too much is waiting already, or an ingester's disk
  ///                       is full.
  ///   kInvalidArgument    an ingester refused the batch as malformed.
  absl::Status status;
  /// Positions in the batch, as PushBatch numbers them, ascending.
  std::vector<storage::Rejection> rejected;
};

/// The queue on disk of each ingester.
struct DiskOptions {
  /// Empty: samples wait in memory only.
  std::string directory;
  /// Bounds for one ingester. Beyond them the oldest samples are dropped and
  /// counted.
  std::uint64_t max_bytes = std::uint64_t{5} << 30;
  std::chrono::milliseconds max_age = std::chrono::hours(24);
};

struct WriterOptions {
  /// How many ingesters each series is sent to. What becomes of a sample is
  /// what a majority of them does with it; for the others it waits, is sent
  /// and is counted by itself.
  std::size_t replication_factor = 1;
  /// How long samples may wait for others to share a message with.
  std::chrono::milliseconds linger{0};
  /// A message is sent at once when it holds this many samples.
  std::size_t max_batch_samples = 10'000;
  /// Samples (24 bytes each) that wait for one ingester, at most; a batch
  /// beyond that is dropped, counted and answered with kResourceExhausted.
  std::size_t max_queued_samples = 10'000'000;
  DiskOptions disk;
  /// Samples that wait longer than this in memory, or are under way that long
  /// without an answer, go to disk; as they do when memory is half full.
  std::chrono::milliseconds spill_after{2'000};
  /// Told, on any thread, of each sample and exemplar of what waited on disk
  /// that an ingester refused: no outcome can report it any more. Not with
  /// replicas, each of which would tell the same: what they refuse is in
  /// narthex_push_rejected_samples_total.
  std::function<void(storage::RejectReason, bool is_exemplar)>
      on_late_rejection = {};
};

/// Writes samples to the ingesters, each series to the one that owns its
/// hash, or to the several with the highest weights for it. While an ingester
/// is away its samples wait in memory or, with WriterOptions::disk, on disk,
/// where they outlive the process; they are sent, in order, when it returns.
/// Thread-safe.
///
/// Series are declared once and then named by reference, so a known series
/// costs neither its labels nor a hash.
class Writer {
 public:
  /// Resolves `ingesters`, again every few seconds when it is a DNS name;
  /// connects in the background.
  static absl::StatusOr<std::unique_ptr<Writer>> Create(
      const AddressList& ingesters, WriterOptions options, base::Logger log,
      metrics::Registry& registry);
  /// Stops without waiting for what is queued: see Stop().
  ~Writer();

  /// A new reference for a series. The same labels declared twice give two
  /// references to one series. Release() frees it.
  storage::SeriesRef Declare(const model::Labels& labels);

  /// The hash of the labels behind a reference that was not released.
  std::uint64_t HashOf(storage::SeriesRef ref) const;

  /// The caller will not push to `refs` again. Samples pushed before are
  /// still delivered.
  void Release(absl::Span<const storage::SeriesRef> refs);

  /// Takes a batch for delivery; samples of one series are delivered in the
  /// order of the calls. `done` is called once, on another thread or this
  /// one; it must be quick and must not call the writer.
  void Push(PushBatch batch, std::function<void(PushOutcome)> done);
  void Push(std::vector<RefSample> samples,
            std::function<void(PushOutcome)> done) {
    PushBatch batch;
    batch.samples = std::move(samples);
    Push(std::move(batch), std::move(done));
  }

  /// Push() and wait for the outcome. kUnavailable when it takes longer than
  /// `timeout`; samples may then still be delivered later.
  PushOutcome PushAndWait(PushBatch batch, std::chrono::milliseconds timeout);
  PushOutcome PushAndWait(std::vector<RefSample> samples,
                          std::chrono::milliseconds timeout) {
    PushBatch batch;
    batch.samples = std::move(samples);
    return PushAndWait(std::move(batch), timeout);
  }

  /// Waits up to `grace` until everything is delivered, then stops: what is
  /// left goes to disk or else is answered with kUnavailable, counted and
  /// logged.
  void Stop(std::chrono::milliseconds grace);

 private:
  class Rep;
  explicit Writer(std::unique_ptr<Rep> rep);
  std::unique_ptr<Rep> rep_;
};

}  // namespace narthex::cluster
