#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "libs/http/message.h"

namespace narthex::http {

/// Reads one answer of HTTP/1.1 or 1.0 from a buffer at whose end bytes arrive.
/// It understands what nearly all exporters send: a length, chunks, or neither,
/// when the body goes on to the end of the connection. Everything else is
/// kIrregular, for a complete client to handle.
class ResponseReader {
 public:
  enum class State {
    kMore,       ///< More bytes are needed.
    kDone,       ///< The answer is complete.
    kIrregular,  ///< Malformed, or not of a kind that is understood.
    kTooLarge,   ///< The body is over the limit.
  };

  /// `max_body_bytes` of the body as it is sent; 0 is no limit.
  explicit ResponseReader(std::int64_t max_body_bytes)
      : max_body_(max_body_bytes) {}

  /// Looks at the whole answer as far as it has come: `data` begins with what
  /// earlier calls saw, which they may have changed, and may have moved. The
  /// lines between chunks are taken out in place.
  State Advance(char* data, std::size_t size);

  /// The connection has ended: kDone when that is where the answer ends, else
  /// kMore.
  State End() const {
    return got_head_ && to_the_end_ ? State::kDone : State::kMore;
  }

  /// How many bytes are missing, when that is known; else 1.
  std::size_t wanted() const { return wanted_; }
  bool got_head() const { return got_head_; }

  /// Once it is done.
  int code() const { return code_; }
  Headers& headers() { return headers_; }
  /// Where the body lies in the buffer, and its size.
  std::size_t body_begin() const { return begin_; }
  std::size_t body_size() const { return end_ - begin_; }
  /// Whether another request may follow on the connection.
  bool keep_alive() const { return keep_alive_; }

 private:
  State ReadHead(absl::string_view data);
  bool TakeField(absl::string_view line);
  State ReadLength(std::size_t size);
  State ReadToTheEnd(std::size_t size);
  State ReadChunks(char* data, std::size_t size);
  // Between two chunks. The size of the next in `*next`, 0 at the end.
  State ReadChunkLine(absl::string_view data, std::size_t* next);

  const std::int64_t max_body_;
  std::size_t scanned_ = 0;  // Where to look on for the head's end.
  std::size_t wanted_ = 1;
  bool got_head_ = false;
  bool keep_alive_ = true;
  bool chunked_ = false;
  bool has_length_ = false;
  bool to_the_end_ = false;  // Of the connection.
  std::uint64_t length_ = 0;
  int code_ = 0;
  Headers headers_;
  // The body so far; of chunks, what follows them is at raw_.
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t raw_ = 0;
  std::uint64_t chunk_left_ = 0;
  bool first_chunk_ = true;
};

}  // namespace narthex::http
