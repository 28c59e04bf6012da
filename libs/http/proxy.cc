#include "libs/http/proxy.h"

#include <arpa/inet.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/http/url.h"

namespace narthex::http {
namespace {

constexpr int kIpv4PrefixBits = 96;

/// An address as 16 bytes, IPv4 in its mapped form.
using Ip = std::array<std::uint8_t, 16>;

struct ParsedIp {
  Ip bytes{};
  bool is_v4 = false;
};

std::optional<ParsedIp> ParseIp(absl::string_view text) {
  const std::string copy(text);
  ParsedIp ip;
  if (inet_pton(AF_INET6, copy.c_str(), ip.bytes.data()) == 1) return ip;
  if (inet_pton(AF_INET, copy.c_str(), ip.bytes.data() + 12) != 1) return {};
  ip.bytes[10] = ip.bytes[11] = 0xff;
  ip.is_v4 = true;
  return ip;
}

bool SamePrefix(const Ip& a, const Ip& b, int bits) {
  for (std::size_t i = 0; bits > 0; ++i, bits -= 8) {
    const int kept = bits < 8 ? bits : 8;
    const auto mask = static_cast<std::uint8_t>(0xff << (8 - kept));
    if ((a[i] & mask) != (b[i] & mask)) return false;
  }
  return true;
}

bool IsLoopback(const ParsedIp& ip) {
  if (ip.is_v4) return ip.bytes[12] == 127;
  return SamePrefix(ip.bytes, ParseIp("::1")->bytes, 128);
}

/// Whether the network "10.0.0.0/8" holds `ip`; nullopt when `text` is none.
std::optional<bool> NetworkHolds(absl::string_view text,
                                 const std::optional<ParsedIp>& ip) {
  const std::size_t slash = text.find('/');
  if (slash == absl::string_view::npos) return std::nullopt;
  const auto network = ParseIp(text.substr(0, slash));
  int bits = 0;
  if (!network || !absl::SimpleAtoi(text.substr(slash + 1), &bits) ||
      bits < 0 || bits > (network->is_v4 ? 32 : 128)) {
    return std::nullopt;
  }
  if (!ip || ip->is_v4 != network->is_v4) return false;
  return SamePrefix(ip->bytes, network->bytes,
                    network->is_v4 ? bits + kIpv4PrefixBits : bits);
}

/// Takes ":port" off an entry; false when the entry names no host.
bool SplitPort(absl::string_view* entry, int* port) {
  if (absl::StartsWith(*entry, "[")) {
    const std::size_t end = entry->find(']');
    if (end == absl::string_view::npos) return true;
    if (end + 1 < entry->size() && (*entry)[end + 1] == ':' &&
        !absl::SimpleAtoi(entry->substr(end + 2), port)) {
      return false;
    }
    *entry = entry->substr(1, end - 1);
    return !entry->empty();
  }
  const std::size_t colon = entry->find(':');
  // More than one colon is an IPv6 address.
  if (colon == absl::string_view::npos || entry->rfind(':') != colon) {
    return !entry->empty();
  }
  if (!absl::SimpleAtoi(entry->substr(colon + 1), port)) return false;
  *entry = entry->substr(0, colon);
  return !entry->empty();
}

bool DomainHolds(absl::string_view domain, absl::string_view host) {
  if (absl::StartsWith(domain, "*.")) domain.remove_prefix(1);
  if (absl::StartsWith(domain, ".")) return absl::EndsWith(host, domain);
  return host == domain ||
         (absl::EndsWith(host, domain) && host.size() > domain.size() &&
          host[host.size() - domain.size() - 1] == '.');
}

bool EntryHolds(absl::string_view entry, absl::string_view host,
                const std::optional<ParsedIp>& ip, int port) {
  if (entry == "*") return true;
  if (const auto holds = NetworkHolds(entry, ip)) return *holds;
  int wanted_port = 0;
  if (!SplitPort(&entry, &wanted_port)) return false;
  if (wanted_port != 0 && wanted_port != port) return false;
  if (const auto wanted_ip = ParseIp(entry)) {
    return ip && ip->bytes == wanted_ip->bytes;
  }
  return DomainHolds(entry, host);
}

std::string Environment(const char* upper, const char* lower) {
  for (const char* name : {upper, lower}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return "";
}

}  // namespace

bool IsProxyException(absl::string_view no_proxy, absl::string_view host,
                      int port) {
  const auto ip = ParseIp(host);
  if (host == "localhost" || (ip && IsLoopback(*ip))) return true;
  const std::string lower = absl::AsciiStrToLower(no_proxy);
  for (absl::string_view entry : absl::StrSplit(lower, ',')) {
    entry = absl::StripAsciiWhitespace(entry);
    if (!entry.empty() && EntryHolds(entry, host, ip, port)) return true;
  }
  return false;
}

std::string ProxyFor(const ProxyConfig& config, absl::string_view url) {
  std::string proxy = config.proxy_url;
  std::string no_proxy = config.no_proxy;
  if (config.proxy_from_environment) {
    proxy = absl::StartsWithIgnoreCase(url, "https:")
                ? Environment("HTTPS_PROXY", "https_proxy")
                : Environment("HTTP_PROXY", "http_proxy");
    no_proxy = Environment("NO_PROXY", "no_proxy");
  }
  if (proxy.empty()) return proxy;
  const bool has_exceptions =
      config.proxy_from_environment || !no_proxy.empty();
  if (has_exceptions &&
      IsProxyException(no_proxy, UrlHost(url), UrlPort(url))) {
    return "";
  }
  return absl::StrContains(proxy, "://") ? proxy
                                         : absl::StrCat("http://", proxy);
}

}  // namespace narthex::http
