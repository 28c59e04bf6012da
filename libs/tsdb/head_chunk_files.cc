#include "libs/tsdb/head_chunk_files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/crc32c.h"
#include "libs/base/status.h"
#include "libs/base/varint.h"
#include "libs/tsdb/head_chunk_format.h"

namespace narthex::tsdb {
namespace {

using namespace head_chunk_format;

std::string Header() {
  std::string header;
  base::PutBe32(kMagic, &header);
  header.push_back(static_cast<char>(kVersion));
  header.resize(kHeaderBytes, '\0');
  return header;
}

// Appends a chunk to `*out`; returns where in it the bytes are.
std::size_t AppendChunk(const HeadChunk& chunk, std::string* out) {
  const std::size_t start = out->size();
  base::PutBe64(chunk.ref, out);
  base::PutBe64(static_cast<std::uint64_t>(chunk.min_ms), out);
  base::PutBe64(static_cast<std::uint64_t>(chunk.max_ms), out);
  out->push_back(static_cast<char>(static_cast<std::uint8_t>(chunk.encoding) |
                                   (chunk.out_of_order ? kOutOfOrderBit : 0)));
  base::PutUvarint(chunk.bytes.size(), out);
  const std::size_t at = out->size();
  out->append(chunk.bytes.data(), chunk.bytes.size());
  base::PutBe32(base::Crc32c(absl::string_view(*out).substr(start)), out);
  return at;
}

absl::Status WriteAt(int fd, absl::string_view data, std::uint64_t offset,
                     const std::string& path) {
  if (::lseek(fd, static_cast<off_t>(offset), SEEK_SET) < 0) {
    return base::ErrnoStatus(errno, "seek", path);
  }
  return base::WriteAll(fd, data, path);
}

}  // namespace

// A file of full size from the start, of which only the front is written:
// the rest is a hole, which Prometheus takes for the end.
struct HeadChunkFiles::File {
  std::string path;
  base::UniqueFd fd;
  const char* data = nullptr;
  std::uint64_t capacity = 0;
  std::uint64_t used = 0;
  int number = 0;
  bool out_of_order = false;  // Holds such chunks, which are still read.
  std::int64_t max_ms = std::numeric_limits<std::int64_t>::min();

  ~File() {
    if (data != nullptr) ::munmap(const_cast<char*>(data), capacity);
  }
};

HeadChunkFiles::HeadChunkFiles(std::string directory, std::uint64_t file_bytes)
    : directory_(std::move(directory)), file_bytes_(file_bytes) {}

absl::StatusOr<std::unique_ptr<HeadChunkFiles>> HeadChunkFiles::Open(
    const std::string& directory, std::uint64_t file_bytes) {
  NARTHEX_RETURN_IF_ERROR(base::RemoveAll(directory));
  NARTHEX_RETURN_IF_ERROR(base::CreateDirectories(directory));
  return std::unique_ptr<HeadChunkFiles>(
      new HeadChunkFiles(directory, file_bytes));
}

HeadChunkFiles::~HeadChunkFiles() {
  if (files_.empty()) return;
  // As long as it is used; readers must be gone by now.
  const File& last = *files_.back();
  const int ignored = ::ftruncate(last.fd.get(), static_cast<off_t>(last.used));
  static_cast<void>(ignored);
}

absl::Status HeadChunkFiles::OpenFile() {
  auto file = std::make_shared<File>();
  file->path = absl::StrFormat("%s/%06d", directory_, last_number_ + 1);
  file->fd = base::UniqueFd(
      ::open(file->path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file->fd) return base::ErrnoStatus(errno, "create", file->path);
  const int fd = file->fd.get();
  if (::ftruncate(fd, static_cast<off_t>(file_bytes_)) != 0) {
    return base::ErrnoStatus(errno, "extend", file->path);
  }
  NARTHEX_RETURN_IF_ERROR(WriteAt(fd, Header(), 0, file->path));
  void* data = ::mmap(nullptr, file_bytes_, PROT_READ, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) return base::ErrnoStatus(errno, "mmap", file->path);
  file->data = static_cast<const char*>(data);
  file->capacity = file_bytes_;
  file->used = kHeaderBytes;
  file->number = ++last_number_;
  files_.push_back(std::move(file));
  return absl::OkStatus();
}

std::size_t HeadChunkFiles::HowManyFit(
    absl::Span<const HeadChunk> chunks) const {
  if (files_.empty()) return 0;
  std::uint64_t used = files_.back()->used;
  std::size_t count = 0;
  for (; count < chunks.size(); ++count) {
    used += kMostOverhead + chunks[count].bytes.size();
    if (used > file_bytes_) break;
  }
  return count;
}

absl::Status HeadChunkFiles::WriteSome(absl::Span<const HeadChunk> chunks,
                                       std::vector<absl::string_view>* mapped) {
  File& file = *files_.back();
  std::string buffer;
  std::vector<std::size_t> offsets;
  for (const HeadChunk& chunk : chunks) {
    offsets.push_back(AppendChunk(chunk, &buffer));
  }
  // A write that fails leaves bytes that the next one overwrites.
  NARTHEX_RETURN_IF_ERROR(WriteAt(file.fd.get(), buffer, file.used, file.path));
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    mapped->emplace_back(file.data + file.used + offsets[i],
                         chunks[i].bytes.size());
    file.max_ms = std::max(file.max_ms, chunks[i].max_ms);
    file.out_of_order |= chunks[i].out_of_order;
  }
  file.used += buffer.size();
  return absl::OkStatus();
}

absl::Status HeadChunkFiles::Write(absl::Span<const HeadChunk> chunks,
                                   std::vector<absl::string_view>* mapped) {
  const std::size_t before = mapped->size();
  while (!chunks.empty()) {
    std::size_t count = HowManyFit(chunks);
    absl::Status status = absl::OkStatus();
    if (count == 0) {
      status = OpenFile();
      count = status.ok() ? HowManyFit(chunks) : 0;
      if (status.ok() && count == 0) {
        status = absl::InvalidArgumentError(
            absl::StrCat("a chunk of ", chunks[0].bytes.size(),
                         " bytes fits into no file of head chunks"));
      }
    }
    if (status.ok()) status = WriteSome(chunks.subspan(0, count), mapped);
    if (!status.ok()) {
      mapped->resize(before);
      return status;
    }
    chunks.remove_prefix(count);
  }
  return absl::OkStatus();
}

HeadChunkFiles::Location HeadChunkFiles::Locate(
    absl::string_view mapped) const {
  for (const std::shared_ptr<File>& file : files_) {
    if (mapped.data() < file->data ||
        mapped.data() >= file->data + file->capacity) {
      continue;
    }
    std::string length;
    base::PutUvarint(mapped.size(), &length);
    const auto at = static_cast<std::uint64_t>(mapped.data() - file->data) -
                    length.size() - kBeforeLength;
    return {static_cast<std::uint64_t>(file->number) << 32 | at, file};
  }
  return {};
}

void HeadChunkFiles::ForgetOutOfOrder() {
  for (const std::shared_ptr<File>& file : files_) file->out_of_order = false;
}

absl::Status HeadChunkFiles::RemoveBefore(std::int64_t min_ms) {
  std::deque<std::shared_ptr<File>> kept;
  std::vector<std::string> removed;
  for (auto& file : files_) {
    if (file->max_ms < min_ms && !file->out_of_order) {
      removed.push_back(file->path);
    } else {
      kept.push_back(std::move(file));
    }
  }
  files_ = std::move(kept);
  for (const std::string& path : removed) {
    NARTHEX_RETURN_IF_ERROR(base::RemoveAll(path));
  }
  return absl::OkStatus();
}

std::uint64_t HeadChunkFiles::size_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& file : files_) bytes += file->used;
  return bytes;
}

}  // namespace narthex::tsdb
