#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/cluster/internal/push_queue.h"
#include "libs/cluster/internal/series_table.h"
#include "libs/cluster/internal/writer_metrics.h"
#include "libs/cluster/writer.h"

namespace grpc {
class Channel;
}  // namespace grpc
namespace narthex::v1 {
class PushResponse;
}  // namespace narthex::v1

namespace narthex::cluster::internal {

/// Delivers parts to one ingester over one stream after another: a thread
/// sends, a second one per stream takes the answers. What was not answered
/// when a stream breaks is sent again, first, on the next.
class PushClient {
 public:
  /// All references must outlive the client.
  PushClient(std::string address, const WriterOptions& options,
             SeriesTable& series, WriterMetrics& metrics, base::Logger log);
  /// Stops at once.
  ~PushClient();

  const std::string& address() const { return address_; }

  /// False, and `part` untouched, when too much is waiting.
  bool Push(PushPart&& part) { return queue_.Push(std::move(part)); }

  /// Why nothing is delivered at present; OK while all is well.
  absl::Status trouble() const ABSL_LOCKS_EXCLUDED(mutex_);

  /// Stops delivery and returns what is not delivered, in order.
  std::vector<PushPart> Stop() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Stream;
  struct Message {
    std::uint64_t batch = 0;
    std::vector<PushPart> parts;
    std::int64_t sent_ns = 0;
  };

  void Run();
  // Serves one stream until it breaks or the client stops.
  void RunStream();
  bool Send(Stream& stream, std::vector<PushPart> parts)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void Receive(Stream& stream) ABSL_LOCKS_EXCLUDED(mutex_);
  void Settle(Message message, const v1::PushResponse& response);
  void PutBackUnanswered() ABSL_LOCKS_EXCLUDED(mutex_);
  void NoteSuccess() ABSL_LOCKS_EXCLUDED(mutex_);

  const std::string address_;
  const WriterOptions options_;
  SeriesTable& series_;
  WriterMetrics& metrics_;
  const base::Logger log_;
  const std::shared_ptr<grpc::Channel> channel_;
  PushQueue queue_;
  // Parts under way or put back that were declared a second time. Used by the
  // receivers only, of which there is one at a time.
  std::size_t redeclared_ = 0;

  mutable base::Mutex mutex_;
  base::CondVar changed_;
  std::deque<Message> under_way_ ABSL_GUARDED_BY(mutex_);
  absl::Status trouble_ ABSL_GUARDED_BY(mutex_);
  Stream* stream_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread sender_;
};

}  // namespace narthex::cluster::internal
