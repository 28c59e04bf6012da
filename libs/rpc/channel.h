#pragma once

#include <memory>
#include <string>

namespace grpc {
class Channel;
}  // namespace grpc

namespace narthex::rpc {

/// Largest message that our services send and accept, in bytes.
inline constexpr int kMaxMessageBytes = 256 << 20;

/// A channel to `address` (host:port), connecting when it is first used and
/// again, within a second of the peer's return, when it breaks. Calls on it
/// must carry a deadline, except streams that live as long as the channel.
std::shared_ptr<grpc::Channel> NewChannel(const std::string& address);

}  // namespace narthex::rpc
