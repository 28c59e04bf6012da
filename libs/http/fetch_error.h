#pragma once

#include <curl/curl.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace narthex::http {

/// What libcurl knows about a failed transfer.
struct FetchFailure {
  CURLcode code = CURLE_OK;
  std::string method;
  std::string url;
  /// The errno of the failed system call, 0 when there was none.
  int os_error = 0;
  /// The name that its certificate is to have; empty: the URL's.
  std::string server_name;
  /// "ip:port" of the peer, empty when none was reached.
  std::string peer;
  /// The proxy's URL, empty when there is none.
  std::string proxy;
  /// The proxy's answer to CONNECT, 0 when it was not asked that.
  int connect_code = 0;
  std::string unix_socket;
  /// Whether the answer's head had come already.
  bool got_head = false;
  /// OpenSSL's verdict on the server's certificate.
  long verify_result = 0;
  /// libcurl's own words.
  std::string detail;
};

/// `Get "http://a:1/"`, as Go begins the errors of a request.
std::string RequestName(absl::string_view method, const std::string& url);

/// Words a failure as Go's net/http does, e.g. `Get "http://a:1/": dial tcp
/// 127.0.0.1:1: connect: connection refused`.
absl::Status FetchError(const FetchFailure& failure);

}  // namespace narthex::http
