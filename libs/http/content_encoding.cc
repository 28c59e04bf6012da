#include "libs/http/content_encoding.h"

#include <zstd.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "libs/http/gzip.h"

namespace narthex::http {
namespace {

struct FreeZstd {
  void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
};

absl::Status ZstdDecompress(absl::string_view data, std::size_t max_bytes,
                            std::string* out) {
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
    out->append(chunk, output.pos);
    if (max_bytes != 0 && out->size() - start > max_bytes) {
      return absl::ResourceExhaustedError("content is too large");
    }
    // A full chunk may mean that more is held back.
    if (input.pos == input.size && output.pos < sizeof(chunk)) break;
  }
  return left == 0 ? absl::OkStatus()
                   : absl::InvalidArgumentError("unexpected EOF");
}

}  // namespace

bool IsDecodable(absl::string_view encoding) {
  return encoding == "gzip" || encoding == "zstd";
}

absl::Status DecodeContent(absl::string_view encoding, absl::string_view data,
                           std::size_t max_bytes, std::string* out) {
  const std::size_t start = out->size();
  absl::Status status = encoding == "zstd"
                            ? ZstdDecompress(data, max_bytes, out)
                            : GzipDecompress(data, max_bytes, out);
  if (!status.ok()) out->resize(start);
  if (!absl::IsResourceExhausted(status)) return status;
  return absl::ResourceExhaustedError("body size limit exceeded");
}

}  // namespace narthex::http
