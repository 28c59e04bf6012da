#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/http/body_budget.h"

namespace narthex::http {

/// Compresses piece by piece into the gzip format at zlib's fastest level.
class GzipStream {
 public:
  GzipStream();
  ~GzipStream();
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;

  /// Appends to `*out` what compressing `data` yields so far; `last` ends the
  /// stream.
  void Add(absl::string_view data, bool last, std::string* out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Compresses all of `data`, appending to `*out`.
void GzipCompress(absl::string_view data, std::string* out);

/// Appends the content of a gzip stream (one or more members) to `*out`.
/// kInvalidArgument when it is malformed, kResourceExhausted when it holds
/// more than `max_bytes` (0: no limit), the refusal of `claim`, when there is
/// one, for a `*out` that gets too large for it.
absl::Status GzipDecompress(absl::string_view data, std::size_t max_bytes,
                            std::string* out, BodyClaim* claim = nullptr);

}  // namespace narthex::http
