#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/cluster/addresses.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace narthex::querier {

/// One process of another service.
struct Peer {
  std::string address;
  /// What people are told: "scraper 10.0.0.1:9200".
  std::string title;
  std::shared_ptr<grpc::Channel> channel;
};

/// All processes of another service, found anew every few seconds when they
/// are behind a DNS name. Thread-safe.
class Peers {
 public:
  /// `service` is what one of the processes is called.
  Peers(std::string service, cluster::AddressList addresses,
        base::Clock& clock);
  ~Peers();

  /// Sorted by address. kUnavailable when the name does not resolve.
  absl::StatusOr<std::vector<Peer>> All() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  absl::Status Resolve() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string service_;
  const cluster::AddressList addresses_;
  base::Clock& clock_;
  base::Mutex mutex_;
  std::int64_t resolved_ns_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<Peer> peers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::querier
