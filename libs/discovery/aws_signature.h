#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "libs/http/client.h"

namespace narthex::discovery {

/// What signs requests to AWS. The token belongs to temporary ones.
struct AwsCredentials {
  std::string access_key;
  std::string secret_key;
  std::string token;
  friend bool operator==(const AwsCredentials&,
                         const AwsCredentials&) = default;
};

/// Adds X-Amz-Date, X-Amz-Security-Token and Authorization to a request: AWS
/// Signature Version 4 over method, path, query, host, type, all X-Amz-
/// headers and body. Path and query are escaped as http::PercentEncode() does.
void SignForAws(const AwsCredentials& credentials, absl::string_view region,
                absl::string_view service, std::int64_t now_seconds,
                http::FetchRequest* request);

}  // namespace narthex::discovery
