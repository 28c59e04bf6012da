#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "libs/http/client_config.h"

namespace narthex::http {

/// The URL of the proxy through which `url` is to be asked, with a scheme;
/// empty to ask directly. Chosen as Go's httpproxy does: an entry of no_proxy
/// is an address, a network in CIDR form, a domain (with its subdomains, or
/// these alone when it begins with a dot), each with an optional port, or "*".
/// Where exceptions are considered at all, this machine itself is one.
std::string ProxyFor(const ProxyConfig& config, absl::string_view url);

/// Whether `host` (lower case, no port) with `port` is among the exceptions.
bool IsProxyException(absl::string_view no_proxy, absl::string_view host,
                      int port);

}  // namespace narthex::http
