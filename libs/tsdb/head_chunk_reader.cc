#include "libs/tsdb/head_chunk_reader.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/crc32c.h"
#include "libs/base/status.h"
#include "libs/base/varint.h"
#include "libs/tsdb/head_chunk_format.h"

namespace narthex::tsdb {
namespace {

using namespace head_chunk_format;

absl::Status Corrupt(const std::string& path, std::size_t offset,
                     absl::string_view what) {
  return absl::DataLossError(
      absl::StrCat(path, ": offset ", offset, ": ", what));
}

// The number that names a file of chunks; 0 of others.
std::uint32_t FileNumber(absl::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash != absl::string_view::npos) path.remove_prefix(slash + 1);
  std::uint32_t number = 0;
  return absl::SimpleAtoi(path, &number) ? number : 0;
}

/// What was never written, and so the end of a file that is written.
bool IsHole(absl::string_view data) {
  return data.substr(0, kMostOverhead).find_first_not_of('\0') ==
         absl::string_view::npos;
}

}  // namespace

absl::Status ReadHeadChunks(const std::string& path,
                            const HeadChunkVisit& visit) {
  NARTHEX_ASSIGN_OR_RETURN(const base::MappedFile file,
                           base::MappedFile::Open(path));
  return ReadHeadChunks(path, file.data(), visit).status();
}

absl::StatusOr<std::size_t> ReadHeadChunks(const std::string& path,
                                           absl::string_view data,
                                           const HeadChunkVisit& visit) {
  base::ByteReader reader(data);
  if (reader.Be32() != kMagic) return Corrupt(path, 0, "bad magic number");
  const int version = reader.Byte();
  reader.Bytes(kHeaderBytes - 5);
  if (!reader.ok()) return Corrupt(path, 0, "header cut off");
  if (version != kVersion) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": head chunk format version ", version, " is not read"));
  }
  const std::uint64_t file_number = FileNumber(path);
  while (!IsHole(reader.rest())) {
    const absl::string_view rest = reader.rest();
    const std::size_t offset = data.size() - rest.size();
    HeadChunk chunk;
    chunk.file_ref = file_number << 32 | offset;
    chunk.ref = reader.Be64();
    chunk.min_ms = static_cast<std::int64_t>(reader.Be64());
    chunk.max_ms = static_cast<std::int64_t>(reader.Be64());
    const std::uint8_t encoding = reader.Byte();
    chunk.out_of_order = (encoding & kOutOfOrderBit) != 0;
    chunk.encoding = static_cast<storage::Encoding>(encoding & ~kOutOfOrderBit);
    chunk.bytes = reader.UvarintBytes();
    const absl::string_view checked =
        rest.substr(0, rest.size() - reader.remaining());
    const std::uint32_t crc = reader.Be32();
    if (!reader.ok()) return Corrupt(path, offset, "chunk cut off");
    if (base::Crc32c(checked) != crc) {
      return Corrupt(path, offset, "chunk checksum mismatch");
    }
    NARTHEX_RETURN_IF_ERROR(visit(chunk));
  }
  return data.size() - reader.remaining();
}

}  // namespace narthex::tsdb
