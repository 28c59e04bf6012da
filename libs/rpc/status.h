#pragma once

#include "absl/status/status.h"

namespace grpc {
class Status;
}  // namespace grpc

namespace narthex::rpc {

/// The same code and message on the other side of a call.
grpc::Status ToGrpc(const absl::Status& status);

/// As ToGrpc() back. `peer` is named in the message of errors that gRPC made
/// itself (unreachable, deadline), so that a user knows who did not answer.
absl::Status FromGrpc(const grpc::Status& status, absl::string_view peer);

}  // namespace narthex::rpc
