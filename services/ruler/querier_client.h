#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/mutex.h"
#include "libs/cluster/addresses.h"
#include "libs/promql/value.h"

namespace grpc {
class Channel;
class ClientContext;
}  // namespace grpc

namespace narthex::ruler {

/// Has expressions evaluated by the queriers, in turn; one that does not
/// answer is passed over. Thread-safe.
class QuerierClient {
 public:
  QuerierClient(const cluster::AddressList& queriers,
                std::chrono::milliseconds timeout);
  ~QuerierClient();

  /// The instant vector (or the scalar as its only element) at `time_ms`.
  /// Errors are the querier's; kUnavailable when none answers.
  absl::StatusOr<std::vector<promql::VectorSample>> Query(
      absl::string_view expression, std::int64_t time_ms,
      absl::string_view origin) ABSL_LOCKS_EXCLUDED(mutex_);

  /// Ends all queries, those to come included, with kCancelled.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // A call under way, known as long as it lives.
  class Call;
  struct Peer {
    std::string address;
    std::shared_ptr<grpc::Channel> channel;
  };

  absl::StatusOr<std::vector<promql::VectorSample>> Ask(
      const Peer& peer, absl::string_view expression, std::int64_t time_ms,
      absl::string_view origin) ABSL_LOCKS_EXCLUDED(mutex_);

  const std::chrono::milliseconds timeout_;
  std::vector<Peer> peers_;
  std::atomic<std::size_t> next_{0};
  base::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<grpc::ClientContext*> calls_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::ruler
