#pragma once

#include <curl/curl.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/http/client_config.h"

namespace narthex::http {

/// Certificates and keys of one transfer, read from their files. libcurl does
/// not reuse a connection that was made with others, so that rotated files
/// take effect with the next request.
class TlsMaterial {
 public:
  /// Sets the TLS options of `easy`, for the server and for a proxy that is
  /// reached by TLS. `easy` refers to this object from then on.
  /// kInvalidArgument, worded as Go does, when a file cannot be read or the
  /// versions exclude each other.
  absl::Status Apply(const TlsConfig& config, CURL* easy);

 private:
  std::string ca_;
  std::string cert_;
  std::string key_;
};

/// The text, or else the content of the file without surrounding space.
/// kInvalidArgument "unable to read file f: open f: no such file or
/// directory".
absl::StatusOr<std::string> ReadSecret(const std::string& text,
                                       const std::string& file);
/// The content of the file without surrounding space. kInvalidArgument "open
/// f: no such file or directory".
absl::StatusOr<std::string> ReadTrimmed(const std::string& file);

}  // namespace narthex::http
