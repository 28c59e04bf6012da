#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "libs/base/mutex.h"
#include "libs/cluster/push_columns.h"
#include "libs/model/label_pool.h"
#include "libs/model/labels.h"

namespace narthex::v1 {
class PushRequest;
}  // namespace narthex::v1

namespace narthex::cluster::internal {

/// What series are declared on: a stream to an ingester, or a segment of what
/// waits on disk for it.
struct StreamId {
  /// The same for all streams to one ingester.
  std::uint32_t lane = 0;
  /// Unlike that of any other stream; never 0.
  std::uint32_t number = 0;

  static StreamId Next(std::uint32_t lane);
};
/// The lane of the ingester at an address.
std::uint32_t LaneOf(absl::string_view address);

/// The series that a Writer has declared: their labels, their hash and on
/// which stream their labels were last sent. References are 1, 2, 3 ...;
/// freed ones are used again. Thread-safe.
class SeriesTable {
 public:
  /// Each series is pushed to `replicas` ingesters.
  explicit SeriesTable(std::size_t replicas);

  storage::SeriesRef Declare(const model::Labels& labels)
      ABSL_LOCKS_EXCLUDED(mutex_);
  /// Requires: no sample with these references is waiting or under way.
  void Free(absl::Span<const storage::SeriesRef> refs)
      ABSL_LOCKS_EXCLUDED(mutex_);

  /// Hashes of the label sets behind the samples' references, in order; 0 for
  /// references that are not declared.
  void HashesOf(absl::Span<const RefSample> samples,
                std::vector<std::uint64_t>* hashes) const
      ABSL_LOCKS_EXCLUDED(mutex_);

  /// The hash behind one reference, likewise.
  std::uint64_t HashOf(storage::SeriesRef ref) const
      ABSL_LOCKS_EXCLUDED(mutex_);

  /// Puts the labels of those series of `batch` into `request` that have
  /// not been sent on `stream` yet, and notes that they have been now.
  void DeclareOn(StreamId stream, const PushBatch& batch,
                 v1::PushRequest* request) ABSL_LOCKS_EXCLUDED(mutex_);
  /// The other side of the stream has forgotten the series.
  void Undeclare(const PushBatch& batch) ABSL_LOCKS_EXCLUDED(mutex_);

  /// Bytes that the declared series take; estimated.
  std::size_t memory_bytes() const ABSL_LOCKS_EXCLUDED(mutex_);
  std::size_t size() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Entry {
    std::uint64_t hash = 0;
    model::LabelPool::Handle labels = model::LabelPool::kEmpty;
    // The number of the stream that knows them, without replicas.
    std::uint32_t stream = 0;
  };

  Entry& At(storage::SeriesRef ref) const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return (*pages_[ref / kPageEntries])[ref % kPageEntries];
  }
  void DeclareOneOn(StreamId stream, storage::SeriesRef ref,
                    v1::PushRequest* request)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Notes that the stream knows the series. False when it did.
  bool NoteDeclared(StreamId stream, storage::SeriesRef ref)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteUndeclared(storage::SeriesRef ref)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of one series, a stream for each replica, the one noted last first.
  absl::Span<StreamId> StreamsOf(storage::SeriesRef ref)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return absl::MakeSpan(streams_).subspan(ref * replicas_, replicas_);
  }

  const std::size_t replicas_;
  mutable base::Mutex mutex_;
  model::LabelPool labels_ ABSL_GUARDED_BY(mutex_);
  // In pages, so that they grow without being copied. Entry 0 stands for no
  // series.
  static constexpr std::size_t kPageEntries = 1024;
  using Page = std::array<Entry, kPageEntries>;
  std::vector<std::unique_ptr<Page>> pages_ ABSL_GUARDED_BY(mutex_);
  std::size_t count_ ABSL_GUARDED_BY(mutex_) = 1;
  std::vector<storage::SeriesRef> free_ ABSL_GUARDED_BY(mutex_);
  // With replicas only: see StreamsOf().
  std::vector<StreamId> streams_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::cluster::internal
