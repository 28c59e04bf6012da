#include "libs/tsdb/chunk_header.h"

#include "absl/strings/str_cat.h"
#include "libs/base/varint.h"

namespace narthex::tsdb {

using storage::Encoding;

absl::StatusOr<int> ChunkSampleCount(Encoding encoding,
                                     absl::string_view bytes) {
  if (!IsKnownEncoding(encoding)) {
    return absl::DataLossError(
        absl::StrCat("unknown chunk encoding ", static_cast<int>(encoding)));
  }
  base::ByteReader reader(bytes);
  const std::uint16_t count = reader.Be16();
  if (!reader.ok()) {
    return absl::DataLossError(
        absl::StrCat("chunk of ", bytes.size(), " bytes has no sample count"));
  }
  // Where start times follow, the header's upper bits are not the count's.
  return IsHistogramEncoding(encoding) && HasStartTimes(encoding)
             ? count & 0x3fff
             : count;
}

bool IsKnownEncoding(Encoding encoding) {
  return encoding >= Encoding::kXor && encoding <= Encoding::kFloatHistogramSt;
}

bool IsHistogramEncoding(Encoding encoding) {
  return IsKnownEncoding(encoding) && encoding != Encoding::kXor &&
         encoding != Encoding::kXor2;
}

bool HasStartTimes(Encoding encoding) {
  return encoding == Encoding::kXor2 || encoding == Encoding::kHistogramSt ||
         encoding == Encoding::kFloatHistogramSt;
}

}  // namespace narthex::tsdb
