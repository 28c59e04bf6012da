#include "libs/tsdb/chunk_segments.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/crc32c.h"
#include "libs/base/status.h"
#include "libs/base/varint.h"
#include "libs/tsdb/buffered_file.h"

namespace narthex::tsdb {
namespace {

constexpr std::uint32_t kMagic = 0x85BD40DD;
constexpr char kVersion = 1;
constexpr std::size_t kHeaderBytes = 8;
/// Beside a chunk's bytes: length, encoding, checksum, at most.
constexpr std::size_t kChunkOverhead = 5 + 1 + 4;

bool IsSegmentName(absl::string_view name) {
  return !name.empty() &&
         name.find_first_not_of("0123456789") == absl::string_view::npos;
}

absl::Status Corrupt(absl::string_view path, std::uint64_t offset,
                     absl::string_view what) {
  return absl::DataLossError(
      absl::StrCat(path, ": offset ", offset, ": ", what));
}

}  // namespace

struct ChunkSegmentWriter::Rep {
  absl::Status StartSegment();

  std::string directory;
  std::uint64_t segment_bytes = 0;
  std::uint32_t segments = 0;
  std::optional<BufferedFile> file;
  std::uint64_t finished_bytes = 0;
  std::string scratch;
};

absl::Status ChunkSegmentWriter::Rep::StartSegment() {
  if (file.has_value()) {
    finished_bytes += file->offset();
    NARTHEX_RETURN_IF_ERROR(file->Close(/*sync=*/true));
    file.reset();
  }
  auto created =
      BufferedFile::Create(absl::StrFormat("%s/%06d", directory, segments + 1));
  NARTHEX_RETURN_IF_ERROR(created);
  ++segments;
  file = std::move(*created);
  std::string header;
  base::PutBe32(kMagic, &header);
  header.push_back(kVersion);
  header.append(3, '\0');
  return file->Append(header);
}

ChunkSegmentWriter::ChunkSegmentWriter(std::unique_ptr<Rep> rep)
    : rep_(std::move(rep)) {}

ChunkSegmentWriter::~ChunkSegmentWriter() = default;

absl::StatusOr<std::unique_ptr<ChunkSegmentWriter>> ChunkSegmentWriter::Create(
    const std::string& directory, std::uint64_t segment_bytes) {
  NARTHEX_RETURN_IF_ERROR(base::CreateDirectories(directory));
  auto rep = std::make_unique<Rep>();
  rep->directory = directory;
  rep->segment_bytes = segment_bytes;
  return std::unique_ptr<ChunkSegmentWriter>(
      new ChunkSegmentWriter(std::move(rep)));
}

absl::StatusOr<std::uint64_t> ChunkSegmentWriter::Write(
    storage::Encoding encoding, absl::string_view bytes) {
  Rep& rep = *rep_;
  const std::uint64_t needed = bytes.size() + kChunkOverhead;
  const bool fits = rep.file.has_value() &&
                    (rep.file->offset() == kHeaderBytes ||
                     rep.file->offset() + needed <= rep.segment_bytes);
  if (!fits) NARTHEX_RETURN_IF_ERROR(rep.StartSegment());

  const std::uint64_t ref =
      std::uint64_t{rep.segments - 1} << 32 | rep.file->offset();
  std::string& chunk = rep.scratch;
  chunk.clear();
  base::PutUvarint(bytes.size(), &chunk);
  const std::size_t checked_from = chunk.size();
  chunk.push_back(static_cast<char>(encoding));
  chunk.append(bytes.data(), bytes.size());
  base::PutBe32(base::Crc32c(absl::string_view(chunk).substr(checked_from)),
                &chunk);
  NARTHEX_RETURN_IF_ERROR(rep.file->Append(chunk));
  return ref;
}

absl::Status ChunkSegmentWriter::Finish() {
  if (rep_->file.has_value()) {
    NARTHEX_RETURN_IF_ERROR(rep_->file->Close(/*sync=*/true));
  }
  return base::SyncDirectory(rep_->directory);
}

std::uint64_t ChunkSegmentWriter::bytes_written() const {
  return rep_->finished_bytes +
         (rep_->file.has_value() ? rep_->file->offset() : 0);
}

absl::StatusOr<std::unique_ptr<ChunkSegmentReader>> ChunkSegmentReader::Open(
    const std::string& directory) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                           base::ListDirectory(directory));
  auto reader = std::make_unique<ChunkSegmentReader>();
  for (const std::string& name : names) {
    if (!IsSegmentName(name)) continue;
    const std::string path = absl::StrCat(directory, "/", name);
    NARTHEX_ASSIGN_OR_RETURN(base::MappedFile file,
                             base::MappedFile::Open(path));
    base::ByteReader header(file.data());
    if (header.Be32() != kMagic) return Corrupt(path, 0, "bad magic number");
    const int version = header.Byte();
    if (!header.ok() || version != kVersion) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ": chunk format version ", version, " is not read"));
    }
    reader->segments_.push_back({path, std::move(file)});
  }
  return reader;
}

absl::StatusOr<ChunkSegmentReader::View> ChunkSegmentReader::Read(
    std::uint64_t ref) const {
  const std::uint64_t number = ref >> 32;
  const std::uint64_t offset = ref & 0xffffffff;
  if (number >= segments_.size()) {
    return absl::DataLossError(absl::StrCat("no chunk segment ", number + 1,
                                            " (chunk reference ", ref, ")"));
  }
  const Segment& segment = segments_[number];
  const absl::string_view data = segment.file.data();
  if (offset < kHeaderBytes || offset >= data.size()) {
    return Corrupt(segment.path, offset, "no such chunk");
  }
  base::ByteReader reader(data.substr(offset));
  const std::uint64_t size = reader.Uvarint();
  if (size >= reader.remaining()) {
    return Corrupt(segment.path, offset, "chunk cut off");
  }
  const absl::string_view checked = reader.Bytes(size + 1);
  const std::uint32_t crc = reader.Be32();
  if (!reader.ok()) return Corrupt(segment.path, offset, "chunk cut off");
  if (base::Crc32c(checked) != crc) {
    return Corrupt(segment.path, offset, "chunk checksum mismatch");
  }
  View view;
  view.encoding = static_cast<storage::Encoding>(checked[0]);
  view.bytes = checked.substr(1);
  return view;
}

std::uint64_t ChunkSegmentReader::size_bytes() const {
  std::uint64_t bytes = 0;
  for (const Segment& segment : segments_) bytes += segment.file.data().size();
  return bytes;
}

}  // namespace narthex::tsdb
