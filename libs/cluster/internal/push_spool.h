#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/cluster/internal/disk_queue.h"
#include "libs/cluster/internal/push_queue.h"
#include "libs/cluster/internal/series_table.h"
#include "libs/cluster/internal/writer_metrics.h"

namespace narthex::v1 {
class PushRequest;
}  // namespace narthex::v1

namespace narthex::cluster::internal {

/// The parts that wait on disk for one ingester. A record is a PushRequest,
/// compressed by zstd, whose references mean something in its segment only: the
/// first that names a series declares it, so that any later process can read
/// the segment. Thread-safe.
class PushSpool {
 public:
  /// Opens what is in the directory. The references outlive the spool.
  static absl::StatusOr<std::unique_ptr<PushSpool>> Open(
      DiskQueueOptions options, SeriesTable& series, WriterMetrics& metrics,
      base::Logger log);
  ~PushSpool();

  /// Appends parts as one record, which needs none of our references, and
  /// returns the place behind it. `lane` is that of the ingester.
  absl::StatusOr<DiskPosition> Append(std::uint32_t lane,
                                      const std::vector<PushPart>& parts)
      ABSL_LOCKS_EXCLUDED(mutex_);

  struct Entry {
    PushPart part;
    DiskPosition end;
  };
  /// The next record; nothing when all are read.
  std::optional<Entry> Read() ABSL_LOCKS_EXCLUDED(mutex_);
  bool HasUnread() const ABSL_LOCKS_EXCLUDED(mutex_);

  /// What was appended up to here is under way already.
  void PassTo(DiskPosition position) ABSL_LOCKS_EXCLUDED(mutex_);
  /// What was read up to here is settled.
  void Commit(DiskPosition position) ABSL_LOCKS_EXCLUDED(mutex_);
  /// What was read and not committed is read again.
  void Rewind() ABSL_LOCKS_EXCLUDED(mutex_);
  void DropExpired() ABSL_LOCKS_EXCLUDED(mutex_);
  /// Makes what was appended outlive the machine. Waits for the disk, without
  /// holding up other calls.
  void Sync() ABSL_LOCKS_EXCLUDED(mutex_);

  const std::string& directory() const { return directory_; }

 private:
  class SegmentSeries;

  PushSpool(std::string directory, SeriesTable& series, WriterMetrics& metrics,
            base::Logger log);
  void Lose(DiskLoss why, std::uint64_t samples)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteSize() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  PushPart Decode(const DiskQueue::Record& record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string directory_;
  SeriesTable& series_;
  WriterMetrics& metrics_;
  const base::Logger log_;
  mutable base::Mutex mutex_;
  std::unique_ptr<DiskQueue> queue_ ABSL_GUARDED_BY(mutex_);
  // Samples were lost and the queue was not empty since.
  bool losing_ ABSL_GUARDED_BY(mutex_) = false;
  std::uint64_t counted_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  // What is written: its segment, and the stream that this counts as.
  std::uint64_t tail_segment_ ABSL_GUARDED_BY(mutex_) = 0;
  StreamId tail_stream_ ABSL_GUARDED_BY(mutex_);
  // Of the labels in it, compressed.
  std::uint64_t tail_label_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  // What is read: its segment, and what its references stand for.
  std::uint64_t read_segment_ ABSL_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<SegmentSeries> read_series_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::cluster::internal
