#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace narthex::http {

/// The host of a URL with its port, as it stands there.
std::string UrlHostPort(absl::string_view url);
/// The host alone, in lower case and without the brackets of an IPv6 address.
std::string UrlHost(absl::string_view url);
/// The port, or else the usual one of the scheme (80, 443); 0 when neither is
/// known.
int UrlPort(absl::string_view url);
/// The URL with its password, if any, replaced by "xxxxx".
std::string RedactUrl(const std::string& url);

}  // namespace narthex::http
