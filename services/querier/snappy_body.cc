#include "services/querier/snappy_body.h"

#include <snappy.h>

#include "absl/strings/str_cat.h"

namespace narthex::querier {

absl::Status UncompressBody(const std::string& body, std::string* message) {
  std::size_t length = 0;
  if (!snappy::GetUncompressedLength(body.data(), body.size(), &length)) {
    return absl::InvalidArgumentError("snappy: corrupt input");
  }
  if (length > kMaxMessageBytes) {
    return absl::InvalidArgumentError(absl::StrCat("snappy: decoded length ",
                                                   length, " exceeds limit ",
                                                   kMaxMessageBytes));
  }
  if (!snappy::Uncompress(body.data(), body.size(), message)) {
    return absl::InvalidArgumentError("snappy: corrupt input");
  }
  return absl::OkStatus();
}

}  // namespace narthex::querier
