#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/http/message.h"

namespace narthex::pushgateway {

/// The text of a pushed body: the request's own, or what was compressed.
class DecodedBody {
 public:
  explicit DecodedBody(absl::string_view original) : original_(original) {}
  explicit DecodedBody(std::string decoded)
      : decoded_(std::move(decoded)), is_decoded_(true) {}
  absl::string_view view() const {
    return is_decoded_ ? absl::string_view(decoded_) : original_;
  }

 private:
  absl::string_view original_;
  std::string decoded_;
  bool is_decoded_ = false;
};

/// Undoes Content-Encoding gzip and snappy (framed); others are taken as
/// plain. Protobuf becomes text. kInvalidArgument when malformed,
/// kResourceExhausted beyond `max_bytes`, kUnimplemented for what the text
/// format cannot hold. The request must outlive the result.
absl::StatusOr<DecodedBody> DecodeBody(const http::Request& request,
                                       std::size_t max_bytes);

}  // namespace narthex::pushgateway
