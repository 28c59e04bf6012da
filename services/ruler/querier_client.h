#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/cluster/addresses.h"
#include "libs/promql/value.h"

namespace grpc {
class Channel;
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
      absl::string_view origin);

 private:
  struct Peer {
    std::string address;
    std::shared_ptr<grpc::Channel> channel;
  };

  absl::StatusOr<std::vector<promql::VectorSample>> Ask(
      const Peer& peer, absl::string_view expression, std::int64_t time_ms,
      absl::string_view origin) const;

  const std::chrono::milliseconds timeout_;
  std::vector<Peer> peers_;
  std::atomic<std::size_t> next_{0};
};

}  // namespace narthex::ruler
