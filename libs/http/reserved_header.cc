#include "libs/http/reserved_header.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/match.h"

namespace narthex::http {
namespace {

constexpr const char* kReserved[] = {
    "authorization",
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "x-prometheus-remote-write-version",
    "x-prometheus-remote-read-version",
    "x-prometheus-scrape-timeout-seconds",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
};

}  // namespace

bool IsReservedHeader(absl::string_view name) {
  return std::any_of(
      std::begin(kReserved), std::end(kReserved),
      [name](const char* one) { return absl::EqualsIgnoreCase(name, one); });
}

}  // namespace narthex::http
