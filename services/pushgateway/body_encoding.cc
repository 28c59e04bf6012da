#include "services/pushgateway/body_encoding.h"

#include <snappy.h>

#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/http/gzip.h"
#include "services/pushgateway/protobuf_body.h"

namespace narthex::pushgateway {

namespace {

// Chunk types of the snappy framing format.
constexpr std::uint8_t kCompressed = 0x00;
constexpr std::uint8_t kUncompressed = 0x01;
constexpr std::uint8_t kFirstSkippable = 0x80;
constexpr std::size_t kChunkHeadBytes = 4;
constexpr std::size_t kChecksumBytes = 4;

absl::Status AppendChunk(std::uint8_t type, absl::string_view chunk,
                         std::string* out) {
  if (type >= kFirstSkippable) return absl::OkStatus();
  const bool known = type == kCompressed || type == kUncompressed;
  if (!known || chunk.size() < kChecksumBytes) {
    return absl::InvalidArgumentError("snappy: corrupt input");
  }
  chunk.remove_prefix(kChecksumBytes);
  if (type == kUncompressed) {
    out->append(chunk.data(), chunk.size());
    return absl::OkStatus();
  }
  std::string plain;
  if (!snappy::Uncompress(chunk.data(), chunk.size(), &plain)) {
    return absl::InvalidArgumentError("snappy: corrupt input");
  }
  *out += plain;
  return absl::OkStatus();
}

absl::Status UncompressFrames(absl::string_view data, std::size_t max_bytes,
                              std::string* out) {
  while (!data.empty()) {
    if (data.size() < kChunkHeadBytes) {
      return absl::InvalidArgumentError("snappy: unexpected EOF");
    }
    const auto byte = [&](std::size_t i) {
      return static_cast<std::uint8_t>(data[i]);
    };
    const std::uint8_t type = byte(0);
    const std::size_t size =
        static_cast<std::size_t>(byte(1) | (byte(2) << 8) | (byte(3) << 16));
    data.remove_prefix(kChunkHeadBytes);
    if (data.size() < size) {
      return absl::InvalidArgumentError("snappy: unexpected EOF");
    }
    NARTHEX_RETURN_IF_ERROR(AppendChunk(type, data.substr(0, size), out));
    if (out->size() > max_bytes) {
      return absl::ResourceExhaustedError("snappy: content is too large");
    }
    data.remove_prefix(size);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DecodedBody> DecodeBody(const http::Request& request,
                                       std::size_t max_bytes) {
  const bool is_protobuf = absl::StrContains(
      request.headers.Get("Content-Type"), "application/vnd.google.protobuf");
  const auto encoding = request.headers.Get("Content-Encoding");
  std::string decoded;
  if (absl::EqualsIgnoreCase(encoding, "gzip")) {
    NARTHEX_RETURN_IF_ERROR(
        http::GzipDecompress(request.body, max_bytes, &decoded));
  } else if (absl::EqualsIgnoreCase(encoding, "snappy")) {
    NARTHEX_RETURN_IF_ERROR(
        UncompressFrames(request.body, max_bytes, &decoded));
  } else if (!is_protobuf) {
    return DecodedBody(absl::string_view(request.body));
  } else {
    decoded = request.body;
  }
  if (is_protobuf) {
    NARTHEX_ASSIGN_OR_RETURN(decoded, ProtobufToText(decoded));
  }
  return DecodedBody(std::move(decoded));
}

}  // namespace narthex::pushgateway
