#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace narthex::http {

/// The URL without the colon of an empty port.
std::string WithoutEmptyPort(const std::string& url);
/// The URL to connect to: a port alone is one of this machine.
std::string WithLocalHost(const std::string& url);
/// "host:port" to connect to, with the usual port when the URL names none.
std::string DialAddress(absl::string_view url);

}  // namespace narthex::http
