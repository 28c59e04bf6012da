#include "libs/http/direct_request.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace narthex::http {
namespace {

// Which characters may stand in a path as they are.
constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (int c = '!'; c < 0x7f; ++c) plain[static_cast<std::size_t>(c)] = true;
  for (const char c : {'"', '<', '>', '\\', '^', '`', '{', '|', '}', '#'}) {
    plain[static_cast<std::size_t>(c)] = false;
  }
  return plain;
}();

bool IsPlain(char c) { return kPlain[static_cast<unsigned char>(c)]; }

bool IsPlainHost(absl::string_view host) {
  return !host.empty() && std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z') || std::strchr("-._:[]", c) != nullptr;
  });
}

// None, or one that exists.
bool HasPlainPort(absl::string_view host_port) {
  const std::size_t colon = host_port.rfind(':');
  if (colon == absl::string_view::npos) return true;
  if (host_port.find(']', colon) != absl::string_view::npos) return true;
  const absl::string_view port = host_port.substr(colon + 1);
  std::uint16_t number = 0;
  const auto parsed =
      std::from_chars(port.data(), port.data() + port.size(), number);
  return port.empty() ||
         (parsed.ec == std::errc() && parsed.ptr == port.data() + port.size());
}

bool IsPlainField(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c != '\r' && c != '\n' && c != '\0';
  });
}

bool HasOnlyDefaults(const ClientConfig& config) {
  return !config.basic_auth.has_value() && !config.authorization.has_value() &&
         !config.oauth2.has_value() && config.http_headers.empty() &&
         config.proxy.proxy_url.empty() && !config.proxy.proxy_from_environment;
}

}  // namespace

std::optional<SocketAddress> SocketAddress::Of(const std::string& ip,
                                               int port) {
  SocketAddress address;
  const auto net_port = htons(static_cast<std::uint16_t>(port));
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (inet_pton(AF_INET, ip.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = net_port;
    address.size = sizeof(v4);
    std::memcpy(&address.storage, &v4, sizeof(v4));
    return address;
  }
  if (inet_pton(AF_INET6, ip.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = net_port;
    address.size = sizeof(v6);
    std::memcpy(&address.storage, &v6, sizeof(v6));
    return address;
  }
  return std::nullopt;
}

std::optional<DirectUrl> SplitDirectUrl(absl::string_view url) {
  if (!absl::ConsumePrefix(&url, "http://")) return std::nullopt;
  const std::size_t slash = url.find('/');
  if (slash == absl::string_view::npos) return std::nullopt;
  const DirectUrl parts{url.substr(0, slash), url.substr(slash)};
  if (!IsPlainHost(parts.host_port) || !HasPlainPort(parts.host_port) ||
      !std::all_of(parts.path.begin(), parts.path.end(), IsPlain) ||
      absl::StrContains(parts.path.substr(0, parts.path.find('?')), "/.")) {
    return std::nullopt;
  }
  return parts;
}

bool IsDirect(const FetchRequest& request) {
  if (request.method != "GET" || !request.body.empty() ||
      request.timeout_ms <= 0 || !request.unix_socket.empty() ||
      request.on_body) {
    return false;
  }
  if (request.config != nullptr && !HasOnlyDefaults(*request.config)) {
    return false;
  }
  for (const auto& [name, value] : request.headers.fields()) {
    if (!IsPlainField(name) || !IsPlainField(value)) return false;
  }
  return SplitDirectUrl(request.url).has_value();
}

std::string DirectRequestText(const FetchRequest& request, const DirectUrl& url,
                              absl::string_view user_agent) {
  std::string text = absl::StrCat("GET ", url.path,
                                  " HTTP/1.1\r\nHost: ", url.host_port, "\r\n");
  if (!request.headers.Has("User-Agent")) {
    absl::StrAppend(&text, "User-Agent: ", user_agent, "\r\n");
  }
  if (request.accept_gzip && !request.headers.Has("Accept-Encoding")) {
    absl::StrAppend(&text, "Accept-Encoding: gzip\r\n");
  }
  for (const auto& [name, value] : request.headers.fields()) {
    absl::StrAppend(&text, name, ": ", value, "\r\n");
  }
  text += "\r\n";
  return text;
}

}  // namespace narthex::http
