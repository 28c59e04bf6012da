#include "libs/http/content_encoding.h"

#include <zstd.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/http/gzip.h"

namespace narthex::http {
namespace {

struct FreeZstd {
  void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
};

absl::Status ZstdDecompress(absl::string_view data, std::size_t max_bytes,
                            std::string* out, BodyClaim* claim) {
  const std::unique_ptr<ZSTD_DStream, FreeZstd> stream(ZSTD_createDStream());
  const std::size_t start = out->size();
  char chunk[64 << 10];
  ZSTD_inBuffer input{data.data(), data.size(), 0};
  // What is left of a frame; 0 at its end.
  std::size_t left = 1;
  while (true) {
    ZSTD_outBuffer output{chunk, sizeof(chunk), 0};
    left = ZSTD_decompressStream(stream.get(), &output, &input);
    if (ZSTD_isError(left) != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("zstd: ", ZSTD_getErrorName(left)));
    }
    if (max_bytes != 0 && out->size() - start + output.pos > max_bytes) {
      return absl::ResourceExhaustedError("content is too large");
    }
    if (claim != nullptr && !claim->Grow(out->size() + output.pos, out)) {
      return claim->Refusal();
    }
    out->append(chunk, output.pos);
    // A full chunk may mean that more is held back.
    if (input.pos == input.size && output.pos < sizeof(chunk)) break;
  }
  return left == 0 ? absl::OkStatus()
                   : absl::InvalidArgumentError("unexpected EOF");
}

// What a gzip stream of one member says to hold (RFC 1952, ISIZE).
std::size_t SizeInTrailer(absl::string_view data) {
  std::size_t size = 0;
  for (std::size_t i = 1; i <= 4 && i <= data.size(); ++i) {
    size = size << 8 | static_cast<std::uint8_t>(data[data.size() - i]);
  }
  return size;
}

}  // namespace

absl::Status DecodeContent(absl::string_view encoding, absl::string_view data,
                           std::size_t max_bytes, std::string* out,
                           BodyClaim* claim) {
  const std::size_t start = out->size();
  absl::Status status = encoding == "zstd"
                            ? ZstdDecompress(data, max_bytes, out, claim)
                            : GzipDecompress(data, max_bytes, out, claim);
  if (!status.ok()) out->resize(start);
  if (!absl::IsResourceExhausted(status)) return status;
  return absl::ResourceExhaustedError("body size limit exceeded");
}

bool DecodeReceived(const FetchRequest& request, absl::string_view body,
                    FetchResult* result, std::string* out) {
  const std::string encoding(result->headers.Get("Content-Encoding"));
  const bool gzip = encoding == "gzip";
  // Any other encoding is taken as it is, as Prometheus does.
  if (body.empty() || !(gzip || encoding == "zstd")) return false;
  const auto limit = static_cast<std::size_t>(request.max_body_bytes);
  const auto at_once = static_cast<std::size_t>(request.most_decoded_bytes);
  // What is wrong with an error page does not matter: its code tells enough.
  const auto take = [result](absl::Status status) {
    if (result->code < 300) result->status = std::move(status);
    return true;
  };
  if (at_once == 0 || (limit > 0 && limit <= at_once)) {
    return take(DecodeContent(encoding, body, limit, out));
  }
  // The trailer may lie, and spares the attempt when it does not.
  if (!gzip || SizeInTrailer(body) <= at_once) {
    absl::Status status = DecodeContent(encoding, body, at_once, out);
    if (!absl::IsResourceExhausted(status)) return take(std::move(status));
  }
  result->packed = encoding;
  return false;
}

}  // namespace narthex::http
