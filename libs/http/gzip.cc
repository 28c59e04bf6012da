#include "libs/http/gzip.h"

#include <zlib.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace narthex::http {

namespace {

// Adds the gzip wrapping to zlib's window size.
constexpr int kGzipWindow = MAX_WBITS + 16;

Bytef* Bytes(const char* data) {
  // zlib's input pointer lacks the const it honours.
  return reinterpret_cast<Bytef*>(const_cast<char*>(data));
}

absl::Status InflateAll(z_stream& stream, std::size_t max_bytes,
                        std::string* out, BodyClaim* claim) {
  const std::size_t start = out->size();
  char chunk[64 << 10];
  bool member_open = true;
  while (stream.avail_in > 0 || member_open) {
    stream.next_out = Bytes(chunk);
    stream.avail_out = sizeof(chunk);
    const int result = inflate(&stream, Z_NO_FLUSH);
    if (result == Z_BUF_ERROR) {
      return absl::InvalidArgumentError("unexpected EOF");
    }
    if (result != Z_OK && result != Z_STREAM_END) {
      return absl::InvalidArgumentError(absl::StrCat(
          "gzip: ", stream.msg == nullptr ? "invalid data" : stream.msg));
    }
    const std::size_t size = sizeof(chunk) - stream.avail_out;
    if (max_bytes != 0 && out->size() - start + size > max_bytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat("gzip: content is larger than ", max_bytes, " bytes"));
    }
    if (claim != nullptr && !claim->Grow(out->size() + size, out)) {
      return claim->Refusal();
    }
    out->append(chunk, size);
    member_open = result != Z_STREAM_END;
    if (!member_open && stream.avail_in > 0) inflateReset(&stream);
  }
  return absl::OkStatus();
}

}  // namespace

struct GzipStream::State {
  z_stream stream{};
};

GzipStream::GzipStream() : state_(std::make_unique<State>()) {
  deflateInit2(&state_->stream, Z_BEST_SPEED, Z_DEFLATED, kGzipWindow, 8,
               Z_DEFAULT_STRATEGY);
}

GzipStream::~GzipStream() { deflateEnd(&state_->stream); }

void GzipStream::Add(absl::string_view data, bool last, std::string* out) {
  constexpr std::size_t kMaxStep = 1 << 30;  // zlib counts in 32 bits.
  z_stream& stream = state_->stream;
  bool more = true;
  while (more) {
    const auto step = data.substr(0, kMaxStep);
    data.remove_prefix(step.size());
    const bool finish = last && data.empty();
    stream.next_in = Bytes(step.data());
    stream.avail_in = static_cast<uInt>(step.size());
    do {
      const std::size_t used = out->size();
      const auto room = static_cast<uInt>(
          std::max<std::size_t>(stream.avail_in / 4, 16 << 10));
      out->resize(used + room);
      stream.next_out = Bytes(out->data() + used);
      stream.avail_out = room;
      deflate(&stream, finish ? Z_FINISH : Z_NO_FLUSH);
      out->resize(used + room - stream.avail_out);
    } while (stream.avail_out == 0);
    more = !data.empty();
  }
}

void GzipCompress(absl::string_view data, std::string* out) {
  GzipStream().Add(data, /*last=*/true, out);
}

absl::Status GzipDecompress(absl::string_view data, std::size_t max_bytes,
                            std::string* out, BodyClaim* claim) {
  if (data.size() > (1U << 31)) {
    return absl::InvalidArgumentError("gzip: input is larger than 2 GiB");
  }
  z_stream stream{};
  inflateInit2(&stream, kGzipWindow);
  stream.next_in = Bytes(data.data());
  stream.avail_in = static_cast<uInt>(data.size());
  absl::Status status = InflateAll(stream, max_bytes, out, claim);
  inflateEnd(&stream);
  return status;
}

}  // namespace narthex::http
