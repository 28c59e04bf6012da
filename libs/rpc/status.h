#pragma once

#include "absl/status/status.h"

namespace grpc {
class Status;
}  // namespace grpc

namespace narthex::rpc {

/// The same code and message on the other side of a call.
grpc::Status ToGrpc(const absl::Status& status);

/// As ToGrpc() back. The message begins with `peer`, so that a user knows who
/// failed or did not answer.
absl::Status FromGrpc(const grpc::Status& status, absl::string_view peer);

}  // namespace narthex::rpc
