#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "libs/base/file.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/tsdb/metrics.h"
#include "libs/tsdb/wal_directory.h"
#include "libs/tsdb/wal_frames.h"

namespace narthex::tsdb {

/// When records are forced to the disk's platter. Without it a killed process
/// loses nothing; a lost machine may lose what the kernel had not written.
enum class WalSync {
  kSegment,   ///< When a segment is full, as Prometheus.
  kInterval,  ///< Also whenever the owner calls ForceToDisk, at intervals.
  kGroup,     ///< Before every acknowledgement.
};

struct WalOptions {
  std::uint64_t segment_bytes = 128 << 20;  ///< A multiple of 32 KiB.
  WalCompression compression = WalCompression::kSnappy;
  WalSync sync = WalSync::kSegment;
};

/// The write-ahead log: a directory of numbered segments, in Prometheus's
/// format, to which records are appended. Thread-safe. Callers that log at
/// the same time are served as a group by one write.
class Wal {
 public:
  /// Begins a new segment after those in `directory`, creating it if needed.
  static absl::StatusOr<std::unique_ptr<Wal>> Open(const std::string& directory,
                                                   const WalOptions& options,
                                                   base::Logger logger,
                                                   WriteLogMetrics& metrics);
  ~Wal();
  Wal(const Wal&) = delete;
  Wal& operator=(const Wal&) = delete;

  /// Appends the records, in order and with none of others between them.
  /// OK means they are with the kernel (or on disk, by WalSync).
  /// kResourceExhausted when the disk is full and other errors of writing:
  /// then no record is in the log and the log is as before; calling again may
  /// succeed.
  absl::Status Log(absl::Span<const std::string> records)
      ABSL_LOCKS_EXCLUDED(mutex_);

  /// Forces to disk what was logged so far. Logging goes on meanwhile.
  absl::Status ForceToDisk() ABSL_LOCKS_EXCLUDED(mutex_);

  /// Ends the current segment, so that everything logged so far is in
  /// segments below the returned one.
  absl::StatusOr<int> NextSegment() ABSL_LOCKS_EXCLUDED(mutex_);

  /// Removes the segments below `segment`. Never the current one.
  absl::Status RemoveSegmentsBelow(int segment) ABSL_LOCKS_EXCLUDED(mutex_);

  /// Where what was logged so far ends.
  WalPosition Position() ABSL_LOCKS_EXCLUDED(mutex_);

  int current_segment() const { return segment_.load(); }
  const std::string& directory() const { return directory_; }
  const WalOptions& options() const { return options_; }
  /// Bytes of all segments and checkpoints.
  std::uint64_t SizeBytes() const;

  /// Fsyncs and closes the segment. Log fails from then on.
  absl::Status Close() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // A caller's records, compressed, waiting for a leader to write them.
  struct Waiter {
    std::vector<WalPayload> payloads;
    bool done = false;
    absl::Status status;
  };

  Wal(std::string directory, const WalOptions& options, base::Logger logger,
      WriteLogMetrics& metrics);

  // The calls below are made by the one leader, which need not hold mutex_.
  void WriteGroup(const std::vector<Waiter*>& group);
  absl::Status Flush();
  absl::Status OpenSegment(int number);
  absl::Status FinishSegment();
  absl::Status Sync(int fd, const std::string& path);
  void Rewind();
  void Lead() ABSL_LOCKS_EXCLUDED(mutex_);
  void StopLeading() ABSL_LOCKS_EXCLUDED(mutex_);

  const std::string directory_;
  const WalOptions options_;
  const base::Logger logger_;
  WriteLogMetrics& metrics_;
  metrics::Counter& bytes_saved_;

  mutable base::Mutex mutex_;
  base::CondVar changed_;
  std::deque<Waiter*> queue_ ABSL_GUARDED_BY(mutex_);
  bool led_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;

  // Owned by the leader.
  base::UniqueFd file_;
  std::string path_;
  std::uint64_t written_ = 0;  // Good bytes of the segment's file.
  bool torn_ = false;          // The file may hold more than that.
  std::string buffer_;         // Framed, to be written behind them.

  std::atomic<int> segment_{0};
};

}  // namespace narthex::tsdb
