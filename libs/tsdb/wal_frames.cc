#include "libs/tsdb/wal_frames.h"

#include <snappy.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "libs/base/crc32c.h"
#include "libs/base/varint.h"

namespace narthex::tsdb {
namespace {

// The low bits of a fragment's type byte say which part of a record it is,
// two others how the record is compressed.
enum Fragment : std::uint8_t {
  kPageEnd = 0,
  kFull = 1,
  kFirst = 2,
  kMiddle = 3,
  kLast = 4,
};
constexpr std::uint8_t kFragmentMask = 0x07;
constexpr std::uint8_t kSnappyFlag = 0x08;
constexpr std::uint8_t kZstdFlag = 0x10;

// No writer makes records that large; a corrupt length must not exhaust memory.
constexpr std::size_t kMostDecompressedBytes = std::size_t{1} << 30;

std::uint8_t FlagOf(WalCompression compression) {
  switch (compression) {
    case WalCompression::kSnappy:
      return kSnappyFlag;
    case WalCompression::kZstd:
      return kZstdFlag;
    case WalCompression::kNone:
      break;
  }
  return 0;
}

std::size_t LeftInPage(std::uint64_t offset) {
  return kWalPageBytes - static_cast<std::size_t>(offset % kWalPageBytes);
}

bool CompressZstd(absl::string_view record, std::string* out) {
  out->resize(ZSTD_compressBound(record.size()));
  const std::size_t size =
      ZSTD_compress(out->data(), out->size(), record.data(), record.size(), 1);
  if (ZSTD_isError(size) != 0) return false;
  out->resize(size);
  return true;
}

bool DecompressSnappy(absl::string_view bytes, std::string* out) {
  std::size_t size = 0;
  if (!snappy::GetUncompressedLength(bytes.data(), bytes.size(), &size) ||
      size > kMostDecompressedBytes) {
    return false;
  }
  return snappy::Uncompress(bytes.data(), bytes.size(), out);
}

// Prometheus's encoder need not write the size into the frame: the output
// grows as it comes.
bool DecompressZstd(absl::string_view bytes, std::string* out) {
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(
      ZSTD_createDCtx(), &ZSTD_freeDCtx);
  ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
  std::size_t size = 0;
  std::size_t left = 1;
  out->clear();
  while (left != 0) {
    if (size >= kMostDecompressedBytes) return false;
    out->resize(std::max(size * 2, 4 * bytes.size() + 1024));
    ZSTD_outBuffer output{out->data(), out->size(), size};
    left = ZSTD_decompressStream(context.get(), &output, &input);
    if (ZSTD_isError(left) != 0) return false;
    // Room left and nothing more to read: the frame has no end.
    if (left != 0 && output.pos < output.size && input.pos == input.size) {
      return false;
    }
    size = output.pos;
  }
  out->resize(size);
  return input.pos == input.size;
}

void AppendFragment(std::uint8_t type, absl::string_view data,
                    std::string* out) {
  out->push_back(static_cast<char>(type));
  base::PutBe16(static_cast<std::uint16_t>(data.size()), out);
  base::PutBe32(base::Crc32c(data), out);
  out->append(data.data(), data.size());
}

}  // namespace

absl::StatusOr<WalCompression> ParseWalCompression(absl::string_view text) {
  if (text == "none") return WalCompression::kNone;
  if (text == "snappy") return WalCompression::kSnappy;
  if (text == "zstd") return WalCompression::kZstd;
  return absl::InvalidArgumentError(
      absl::StrCat("unknown compression of the write-ahead log \"", text,
                   "\", expected none, snappy or zstd"));
}

absl::string_view WalCompressionName(WalCompression compression) {
  switch (compression) {
    case WalCompression::kSnappy:
      return "snappy";
    case WalCompression::kZstd:
      return "zstd";
    case WalCompression::kNone:
      break;
  }
  return "none";
}

WalPayload CompressRecord(absl::string_view record,
                          WalCompression compression) {
  WalPayload payload;
  if (compression == WalCompression::kSnappy) {
    snappy::Compress(record.data(), record.size(), &payload.bytes);
  } else if (compression == WalCompression::kZstd) {
    if (!CompressZstd(record, &payload.bytes)) payload.bytes.clear();
  }
  if (payload.bytes.empty() || payload.bytes.size() >= record.size()) {
    payload.bytes.assign(record.data(), record.size());
    return payload;
  }
  payload.compression = compression;
  return payload;
}

std::size_t FramedSize(std::size_t payload_bytes, std::uint64_t offset) {
  const std::size_t left = LeftInPage(offset);
  const std::size_t first =
      left <= kWalFragmentHeaderBytes ? 0 : left - kWalFragmentHeaderBytes;
  if (payload_bytes <= first) return kWalFragmentHeaderBytes + payload_bytes;
  const std::size_t rest = payload_bytes - first;
  const std::size_t per_page = kWalPageBytes - kWalFragmentHeaderBytes;
  const std::size_t pages = (rest + per_page - 1) / per_page;
  return left + rest + pages * kWalFragmentHeaderBytes;
}

void FramePayload(const WalPayload& payload, std::uint64_t offset,
                  std::string* out) {
  const std::uint64_t start = offset - out->size();
  absl::string_view rest = payload.bytes;
  for (bool first = true; first || !rest.empty(); first = false) {
    std::size_t left = LeftInPage(start + out->size());
    // A page's end that could hold a header but no data is left empty too.
    if (left <= kWalFragmentHeaderBytes) {
      out->append(left, '\0');
      left = kWalPageBytes;
    }
    const std::size_t size =
        std::min(rest.size(), left - kWalFragmentHeaderBytes);
    const bool last = size == rest.size();
    const std::uint8_t part =
        first ? (last ? kFull : kFirst) : (last ? kLast : kMiddle);
    AppendFragment(part | FlagOf(payload.compression), rest.substr(0, size),
                   out);
    rest.remove_prefix(size);
  }
}

bool WalSegmentReader::Fail(absl::string_view what) {
  status_ = absl::DataLossError(
      absl::StrCat(what, " at offset ", position_, " of the segment"));
  return false;
}

// The rest of a page is zero. A file cut inside of it is whole.
bool WalSegmentReader::SkipPadding() {
  const std::size_t end =
      std::min(position_ + LeftInPage(position_), segment_.size());
  for (std::size_t i = position_; i < end; ++i) {
    if (segment_[i] != 0) return Fail("unexpected byte in padding");
  }
  position_ = end;
  return true;
}

// Moves to the next fragment. False at the end, or with a status.
bool WalSegmentReader::NextFragment(std::uint8_t* type,
                                    WalFragments::Part* part) {
  while (position_ < segment_.size() &&
         (static_cast<std::uint8_t>(segment_[position_]) & kFragmentMask) ==
             kPageEnd) {
    if (!SkipPadding()) return false;
  }
  if (position_ == segment_.size()) return false;
  base::ByteReader reader(segment_.substr(position_));
  *type = reader.Byte();
  const std::size_t size = reader.Be16();
  part->checksum = reader.Be32();
  part->data = reader.Bytes(size);
  if (!reader.ok()) return Fail("record cut off");
  if (size + kWalFragmentHeaderBytes > LeftInPage(position_)) {
    return Fail("record fragment beyond its page");
  }
  position_ += kWalFragmentHeaderBytes + size;
  return true;
}

bool WalSegmentReader::Finish(std::uint8_t flags, WalFragments* fragments) {
  fragments->compression = (flags & kSnappyFlag) != 0 ? WalCompression::kSnappy
                           : (flags & kZstdFlag) != 0 ? WalCompression::kZstd
                                                      : WalCompression::kNone;
  fragments->begin = good_;
  good_ = position_;
  return true;
}

bool WalSegmentReader::Next(WalFragments* fragments) {
  if (!status_.ok()) return false;
  fragments->parts.clear();
  std::uint8_t type = 0;
  WalFragments::Part part;
  if (!NextFragment(&type, &part)) return false;
  fragments->parts.push_back(part);
  if ((type & kFragmentMask) == kFull) return Finish(type, fragments);
  if ((type & kFragmentMask) != kFirst) {
    return Fail("record without its beginning before");
  }
  const std::uint8_t flags = type;
  while (NextFragment(&type, &part)) {
    const std::uint8_t place = type & kFragmentMask;
    if (place != kMiddle && place != kLast) {
      return Fail("record without its end before");
    }
    fragments->parts.push_back(part);
    if (place == kLast) return Finish(flags, fragments);
  }
  if (!status_.ok()) return false;
  return Fail("record without its end");
}

bool WalSegmentReader::Next() {
  if (!Next(&fragments_)) return false;
  const absl::StatusOr<absl::string_view> record =
      assembler_.Assemble(fragments_);
  if (!record.ok()) {
    status_ = record.status();
    good_ = fragments_.begin;
    return false;
  }
  record_ = *record;
  return true;
}

std::size_t WalFragments::EstimatedBytes() const {
  // What zstd makes of records is seldom smaller than that.
  constexpr std::size_t kMostRatio = 8;
  if (compression == WalCompression::kSnappy) {
    std::size_t size = 0;
    const absl::string_view front = parts.front().data;
    if (snappy::GetUncompressedLength(front.data(), front.size(), &size)) {
      return std::min(size, kMostDecompressedBytes);
    }
  }
  std::size_t size = 0;
  for (const Part& part : parts) size += part.data.size();
  return compression == WalCompression::kNone ? size : size * kMostRatio;
}

absl::StatusOr<absl::string_view> WalAssembler::Assemble(
    const WalFragments& fragments) {
  const auto fail = [&fragments](absl::string_view what) {
    return absl::DataLossError(
        absl::StrCat(what, " in the record after offset ", fragments.begin,
                     " of the segment"));
  };
  absl::string_view record = fragments.parts.front().data;
  if (fragments.parts.size() > 1) joined_.clear();
  for (const WalFragments::Part& part : fragments.parts) {
    if (base::Crc32c(part.data) != part.checksum) {
      return fail("unexpected checksum");
    }
    if (fragments.parts.size() > 1) {
      joined_.append(part.data.data(), part.data.size());
    }
  }
  if (fragments.parts.size() > 1) record = joined_;
  switch (fragments.compression) {
    case WalCompression::kNone:
      return record;
    case WalCompression::kSnappy:
      if (!DecompressSnappy(record, &decompressed_)) {
        return fail("broken snappy compression");
      }
      break;
    case WalCompression::kZstd:
      if (!DecompressZstd(record, &decompressed_)) {
        return fail("broken zstd compression");
      }
      break;
  }
  return absl::string_view(decompressed_);
}

}  // namespace narthex::tsdb
