#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "libs/http/message.h"

namespace narthex::http {

/// What the head of an answer depends on beside the handler's own headers.
struct Framing {
  bool keep_alive = true;
  bool http_1_0 = false;
  /// Unknown for a stream, which then goes out in chunks.
  std::optional<std::size_t> content_length;
};

/// Status line and header fields up to and with the empty line.
std::string ResponseHead(const Response& response, const Framing& framing);

/// Whether an Accept-Encoding field allows gzip.
bool AcceptsGzip(absl::string_view accept_encoding);
/// Whether content of this type gets smaller when compressed.
bool IsCompressible(absl::string_view content_type);

}  // namespace narthex::http
