#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/cluster/internal/push_queue.h"
#include "libs/cluster/internal/push_spool.h"
#include "libs/cluster/internal/push_transport.h"
#include "libs/cluster/internal/series_table.h"
#include "libs/cluster/internal/writer_metrics.h"
#include "libs/cluster/writer.h"
#include "libs/rpc/local_channel.h"

namespace grpc {
class Channel;
}  // namespace grpc
namespace narthex::v1 {
class PushResponse;
}  // namespace narthex::v1

namespace narthex::cluster::internal {

/// Delivers parts to one ingester over one stream after another, without gRPC
/// where the ingester is on this machine: a thread
/// sends, a second one per stream takes the answers. What was not answered
/// when a stream breaks is sent again, first, on the next.
///
/// With a spool, what waits too long goes to disk, in order: first what is
/// under way without an answer, then what is in memory, then, until the disk
/// is read to its end, all that comes. Somebody has to call Spill() often.
class PushClient {
 public:
  /// `spool` may be null. All references must outlive the client.
  PushClient(std::string address, const WriterOptions& options,
             SeriesTable& series, WriterMetrics& metrics, base::Logger log,
             std::shared_ptr<PushSpool> spool);
  /// Stops at once.
  ~PushClient();

  const std::string& address() const { return address_; }

  /// False, and `part` untouched, when too much is waiting.
  bool Push(PushPart&& part) { return queue_.Push(std::move(part)); }
  /// Overtakes all that waits and cannot be refused.
  void PushUrgent(PushPart part);

  /// While held, only what is urgent is sent; the rest goes to disk.
  void Hold(bool held) { held_ = held; }
  /// Writes what waits too long to disk, and syncs that every second. Does
  /// nothing without a spool.
  void Spill() ABSL_LOCKS_EXCLUDED(order_mutex_, mutex_);

  /// When the oldest part came that waits in memory or has no answer, on
  /// base::Clock::MonotonicNs(); 0: there is none.
  std::int64_t oldest_ns() const ABSL_LOCKS_EXCLUDED(mutex_);
  /// Gives up the oldest part that waits. While parts are under way it ends
  /// their stream instead, so that they wait again in a moment.
  std::optional<PushPart> GiveUpOldest() ABSL_LOCKS_EXCLUDED(mutex_);

  /// Why nothing is delivered at present; OK while all is well.
  absl::Status trouble() const ABSL_LOCKS_EXCLUDED(mutex_);

  /// Stops delivery. Returns what is neither delivered nor on disk, in order.
  std::vector<PushPart> Stop() ABSL_LOCKS_EXCLUDED(order_mutex_, mutex_);
  /// The spool of a client that has stopped.
  std::shared_ptr<PushSpool> TakeSpool() { return std::move(spool_); }

 private:
  struct Stream;
  struct Message {
    std::uint64_t batch = 0;
    std::vector<PushPart> parts;
    std::int64_t sent_ns = 0;
    // Set when it is on disk too.
    std::optional<DiskPosition> on_disk;
  };

  void Run();
  // Serves one stream until it breaks or the client stops.
  void RunStream();
  // Null when the ingester is known to be away.
  std::unique_ptr<PushTransport> Open();
  bool HasSomethingToSend();
  // Sends what comes next, if anything comes soon. False when the stream is
  // of no more use.
  bool SendNext(Stream& stream) ABSL_LOCKS_EXCLUDED(order_mutex_, mutex_);
  Message NextMessage() ABSL_EXCLUSIVE_LOCKS_REQUIRED(order_mutex_);
  void Receive(Stream& stream) ABSL_LOCKS_EXCLUDED(mutex_);
  void Settle(Message message, const v1::PushResponse& response);
  // `answered` says what of `part` was refused, by its own numbers. Adds what
  // has to be sent again to `*again`.
  void SettlePart(PushPart part, const absl::Status& status,
                  const std::vector<storage::Rejection>& answered,
                  std::vector<PushPart>* again);
  void NoteRejected(const PushPart& part, const storage::Rejection& rejection);
  void PutBackUnanswered() ABSL_LOCKS_EXCLUDED(order_mutex_, mutex_);
  void NoteSuccess() ABSL_LOCKS_EXCLUDED(mutex_);

  bool ShouldSpill() const ABSL_LOCKS_EXCLUDED(mutex_);
  void SpillNow() ABSL_LOCKS_EXCLUDED(order_mutex_, mutex_);
  bool SpillUnderWay() ABSL_EXCLUSIVE_LOCKS_REQUIRED(order_mutex_)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // False when that batch is under way no longer. Otherwise nobody waits for
  // its answer from here on.
  bool NoteOnDisk(std::uint64_t batch, DiskPosition end)
      ABSL_LOCKS_EXCLUDED(mutex_);
  bool SpillWaiting() ABSL_EXCLUSIVE_LOCKS_REQUIRED(order_mutex_);
  void NoteSpilling(const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(order_mutex_);

  const std::string address_;
  const WriterOptions options_;
  SeriesTable& series_;
  WriterMetrics& metrics_;
  const std::uint32_t lane_;
  const base::Logger log_;
  const std::shared_ptr<grpc::Channel> channel_;
  rpc::LocalChannel local_;
  // Set when the ingester on this machine does not know of local pushes. Used
  // by the sender only.
  bool local_refused_ = false;
  PushQueue queue_;
  std::shared_ptr<PushSpool> spool_;
  std::atomic<bool> held_{false};

  // When the spool is synced next. Used by Spill() only.
  std::int64_t sync_at_ns_ = 0;

  // Held while anything moves between memory, disk and what is under way, so
  // that nothing overtakes. Taken before mutex_.
  base::Mutex order_mutex_;
  bool spilling_ ABSL_GUARDED_BY(order_mutex_) = false;
  bool spill_failed_ ABSL_GUARDED_BY(order_mutex_) = false;

  mutable base::Mutex mutex_;
  base::CondVar changed_;
  std::deque<Message> under_way_ ABSL_GUARDED_BY(mutex_);
  absl::Status trouble_ ABSL_GUARDED_BY(mutex_);
  Stream* stream_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread sender_;
};

}  // namespace narthex::cluster::internal
