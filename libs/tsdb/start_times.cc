#include "libs/tsdb/start_times.h"

#include <string>

#include "libs/base/varint.h"

namespace narthex::tsdb {
namespace {

// From this sample on each has one, for the header cannot name a later one.
constexpr std::size_t kMostFrom = 0x7f;

}  // namespace

void StartTimesWriter::Write(std::size_t index, std::int64_t before_ms,
                             std::int64_t start_ms, BitWriter* out) {
  const std::uint64_t distance = static_cast<std::uint64_t>(before_ms) -
                                 static_cast<std::uint64_t>(start_ms);
  if (index == 0) {
    start_ms_ = start_ms;
    first_ = start_ms != 0;
    if (!first_) return;
    std::string varint;
    base::PutVarint(static_cast<std::int64_t>(distance), &varint);
    for (const char byte : varint) {
      out->Bits(static_cast<unsigned char>(byte), 8);
    }
    return;
  }
  if (from_ == 0) {
    if (start_ms == start_ms_ && index != kMostFrom) return;
    from_ = index;
    out->VarbitInt(static_cast<std::int64_t>(distance));
  } else {
    out->VarbitInt(static_cast<std::int64_t>(distance - distance_));
  }
  start_ms_ = start_ms;
  distance_ = distance;
}

std::uint8_t StartTimesWriter::header() const {
  return static_cast<std::uint8_t>((first_ ? 0x80 : 0) | from_);
}

}  // namespace narthex::tsdb
