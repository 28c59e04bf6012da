#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "libs/rpc/local_channel.h"
#include "narthex/v1/ingester.grpc.pb.h"

namespace narthex::cluster::internal {

/// One ingester and how to call it. Thread-safe.
struct IngesterPeer {
  explicit IngesterPeer(const std::string& at);

  const std::string address;
  const std::unique_ptr<v1::Ingester::Stub> stub;
  /// What is asked often; nobody answers when the ingester is elsewhere.
  mutable rpc::LocalChannel local;
  /// The last answer was made without it.
  mutable std::atomic<bool> missing{false};
};
using IngesterPeers = std::vector<std::shared_ptr<IngesterPeer>>;

}  // namespace narthex::cluster::internal
