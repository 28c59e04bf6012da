#include "libs/http/url.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace narthex::http {
namespace {

/// Where the port's colon stands in "host:port"; npos without a port.
std::size_t PortColon(absl::string_view host_port) {
  const std::size_t colon = host_port.rfind(':');
  // Colons inside brackets belong to an address.
  if (colon != absl::string_view::npos &&
      host_port.find(']', colon) != absl::string_view::npos) {
    return absl::string_view::npos;
  }
  return colon;
}

}  // namespace

std::string UrlHostPort(absl::string_view url) {
  const auto scheme = url.find("://");
  if (scheme != absl::string_view::npos) url.remove_prefix(scheme + 3);
  url = url.substr(0, url.find_first_of("/?#"));
  const auto user = url.rfind('@');
  if (user != absl::string_view::npos) url.remove_prefix(user + 1);
  return std::string(url);
}

std::string UrlHost(absl::string_view url) {
  const std::string host_port = UrlHostPort(url);
  absl::string_view host = host_port;
  host = host.substr(0, PortColon(host));
  if (absl::StartsWith(host, "[") && absl::EndsWith(host, "]")) {
    host = host.substr(1, host.size() - 2);
  }
  return absl::AsciiStrToLower(host);
}

int UrlPort(absl::string_view url) {
  const std::string host_port = UrlHostPort(url);
  const std::size_t colon = PortColon(host_port);
  int port = 0;
  if (colon != std::string::npos &&
      absl::SimpleAtoi(host_port.substr(colon + 1), &port)) {
    return port;
  }
  if (absl::StartsWithIgnoreCase(url, "http://")) return 80;
  if (absl::StartsWithIgnoreCase(url, "https://")) return 443;
  return 0;
}

std::string RedactUrl(const std::string& url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string::npos) return url;
  const std::size_t start = scheme + 3;
  const std::size_t authority_end = url.find_first_of("/?#", start);
  const std::size_t at = url.substr(0, authority_end).rfind('@');
  if (at == std::string::npos || at < start) return url;
  const std::size_t colon = url.find(':', start);
  if (colon == std::string::npos || colon > at) return url;
  return absl::StrCat(url.substr(0, colon + 1), "xxxxx", url.substr(at));
}

}  // namespace narthex::http
