#include "libs/http/dial_url.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/http/url.h"

namespace narthex::http {

std::string WithoutEmptyPort(const std::string& url) {
  const std::string host_port = UrlHostPort(url);
  if (!absl::EndsWith(host_port, ":")) return url;
  const std::size_t scheme = url.find("://");
  const std::size_t begin = scheme == std::string::npos ? 0 : scheme + 3;
  const std::size_t end = std::min(url.find_first_of("/?#", begin), url.size());
  return absl::StrCat(url.substr(0, end - 1), url.substr(end));
}

std::string WithLocalHost(const std::string& url) {
  const std::string host_port = UrlHostPort(url);
  if (host_port.size() < 2 || host_port[0] != ':' ||
      host_port.find(':', 1) != std::string::npos) {
    return url;
  }
  const std::size_t at = url.find(host_port, url.find("://") + 2);
  return absl::StrCat(url.substr(0, at), "localhost", url.substr(at));
}

std::string DialAddress(absl::string_view url) {
  const std::string host = UrlHost(url);
  const bool v6 = absl::StrContains(host, ':');
  return absl::StrCat(v6 ? "[" : "", host, v6 ? "]:" : ":", UrlPort(url));
}

}  // namespace narthex::http
