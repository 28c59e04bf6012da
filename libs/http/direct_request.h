#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "libs/http/client.h"

namespace narthex::http {

/// An address to connect to.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  /// Of a numeric IPv4 or IPv6 address.
  static std::optional<SocketAddress> Of(const std::string& ip, int port);
};

/// Where a plain URL leads to; views into it.
struct DirectUrl {
  absl::string_view host_port;
  /// With the query.
  absl::string_view path;
};

/// The parts of `url`; nothing unless it is http://host[:port]/path with
/// nothing in it that would have to be escaped, resolved or left out.
std::optional<DirectUrl> SplitDirectUrl(absl::string_view url);

/// Whether the request needs nothing but HTTP/1.1 over TCP: a GET with a time
/// limit to a plain URL, without proxy and without secrets, whose files would
/// have to be read.
bool IsDirect(const FetchRequest& request);

/// The request as it is sent.
std::string DirectRequestText(const FetchRequest& request, const DirectUrl& url,
                              absl::string_view user_agent);

}  // namespace narthex::http
