#include "libs/tsdb/head_chunk_files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "libs/base/crc32c.h"
#include "libs/base/status.h"
#include "libs/base/varint.h"
#include "libs/tsdb/head_chunk_format.h"
#include "libs/tsdb/head_chunk_reader.h"

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

// Beside the files while those of an earlier process are kept: the number of
// the last of them, and the word below if they are needed.
constexpr char kEarlierName[] = "earlier";
constexpr absl::string_view kNeeded = " needed";
// Beside the files: the `file_ref` of the last settled chunk.
constexpr char kSettledName[] = "settled";

// 0 when it is no name of a file of chunks.
int NumberOf(const std::string& name) {
  int number = 0;
  return absl::SimpleAtoi(name, &number) && number > 0 ? number : 0;
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
  bool loaded = false;  // Was there before: not written any more.
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

absl::StatusOr<std::unique_ptr<HeadChunkFiles>> HeadChunkFiles::OpenBeside(
    const std::string& directory, std::uint64_t file_bytes) {
  NARTHEX_RETURN_IF_ERROR(base::CreateDirectories(directory));
  std::unique_ptr<HeadChunkFiles> files(
      new HeadChunkFiles(directory, file_bytes));
  NARTHEX_RETURN_IF_ERROR(files->FindEarlier());
  NARTHEX_RETURN_IF_ERROR(files->FindSettled());
  return files;
}

absl::Status HeadChunkFiles::FindSettled() {
  const std::string path = absl::StrCat(directory_, "/", kSettledName);
  if (!base::Exists(path)) return absl::OkStatus();
  NARTHEX_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(path));
  if (!absl::SimpleAtoi(text, &settled_)) {
    settled_ = kAllSettled;
    return absl::OkStatus();
  }
  last_number_ = std::max(last_number_, static_cast<int>(settled_ >> 32));
  return absl::OkStatus();
}

absl::Status HeadChunkFiles::Settle(std::uint64_t file_ref) {
  if (file_ref == 0 || file_ref == settled_) return absl::OkStatus();
  NARTHEX_RETURN_IF_ERROR(base::WriteFileAtomically(
      absl::StrCat(directory_, "/", kSettledName), absl::StrCat(file_ref)));
  settled_ = file_ref;
  return absl::OkStatus();
}

absl::Status HeadChunkFiles::FindEarlier() {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                           base::ListDirectory(directory_));
  const std::string note = absl::StrCat(directory_, "/", kEarlierName);
  int noted = 0;
  if (base::Exists(note)) {
    NARTHEX_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(note));
    absl::string_view rest = text;
    earlier_needed_ = absl::ConsumeSuffix(&rest, kNeeded);
    if (!absl::SimpleAtoi(rest, &noted)) noted = 0;
  }
  for (const std::string& name : names) {
    const int number = NumberOf(name);
    if (number == 0) continue;
    const std::string path = absl::StrCat(directory_, "/", name);
    if (noted > 0 && number > noted) {
      NARTHEX_RETURN_IF_ERROR(base::RemoveAll(path));
      continue;
    }
    earlier_.push_back(path);
    last_number_ = std::max(last_number_, number);
  }
  std::sort(earlier_.begin(), earlier_.end());
  if (earlier_.empty() || noted > 0) return absl::OkStatus();
  return base::WriteFileAtomically(note, absl::StrCat(last_number_));
}

std::vector<std::string> HeadChunkFiles::found() const {
  if (!earlier_.empty()) return earlier_;
  std::vector<std::string> paths;
  for (const std::shared_ptr<File>& file : files_) {
    if (file->loaded) paths.push_back(file->path);
  }
  return paths;
}

absl::Status HeadChunkFiles::NeedEarlier() {
  const std::vector<std::string> paths = found();
  if (paths.empty() || earlier_needed_) return absl::OkStatus();
  earlier_needed_ = true;
  const int last = NumberOf(paths.back().substr(directory_.size() + 1));
  return base::WriteFileAtomically(absl::StrCat(directory_, "/", kEarlierName),
                                   absl::StrCat(last, kNeeded));
}

absl::Status HeadChunkFiles::RemoveEarlier() {
  for (const std::string& path : earlier_) {
    NARTHEX_RETURN_IF_ERROR(base::RemoveAll(path));
  }
  earlier_.clear();
  earlier_needed_ = false;
  return base::RemoveAll(absl::StrCat(directory_, "/", kEarlierName));
}

absl::StatusOr<std::unique_ptr<HeadChunkFiles>> HeadChunkFiles::Load(
    const std::string& directory, std::vector<HeadChunk>* chunks,
    std::uint64_t file_bytes) {
  NARTHEX_RETURN_IF_ERROR(base::CreateDirectories(directory));
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                           base::ListDirectory(directory));
  std::unique_ptr<HeadChunkFiles> files(
      new HeadChunkFiles(directory, file_bytes));
  for (const std::string& name : names) {
    if (NumberOf(name) == 0) continue;
    NARTHEX_RETURN_IF_ERROR(files->LoadFile(name, chunks));
  }
  NARTHEX_RETURN_IF_ERROR(files->FindSettled());
  return files;
}

absl::Status HeadChunkFiles::LoadFile(const std::string& name,
                                      std::vector<HeadChunk>* chunks) {
  auto file = std::make_shared<File>();
  file->path = absl::StrCat(directory_, "/", name);
  file->number = NumberOf(name);
  if (!files_.empty() && file->number != last_number_ + 1) {
    return absl::DataLossError(
        absl::StrCat(file->path, ": the file before it is missing"));
  }
  file->loaded = true;
  file->fd = base::UniqueFd(::open(file->path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!file->fd || ::fstat(file->fd.get(), &info) != 0) {
    return base::ErrnoStatus(errno, "open", file->path);
  }
  // Left by who was killed as it was made.
  if (info.st_size == 0) return base::RemoveAll(file->path);
  last_number_ = file->number;
  file->capacity = static_cast<std::uint64_t>(info.st_size);
  void* data =
      ::mmap(nullptr, file->capacity, PROT_READ, MAP_SHARED, file->fd.get(), 0);
  if (data == MAP_FAILED) return base::ErrnoStatus(errno, "mmap", file->path);
  file->data = static_cast<const char*>(data);
  NARTHEX_ASSIGN_OR_RETURN(
      file->used, ReadHeadChunks(file->path, {file->data, file->capacity},
                                 [&](const HeadChunk& chunk) -> absl::Status {
                                   chunks->push_back(chunk);
                                   file->max_ms =
                                       std::max(file->max_ms, chunk.max_ms);
                                   if (!chunk.out_of_order)
                                     return absl::OkStatus();
                                   file->out_of_order = true;
                                   last_out_of_order_ = chunk.file_ref;
                                   return absl::OkStatus();
                                 }));
  files_.push_back(std::move(file));
  return absl::OkStatus();
}

HeadChunkFiles::~HeadChunkFiles() {
  if (files_.empty() || files_.back()->loaded) return;
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
  if (files_.empty() || files_.back()->loaded) return 0;
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
    if (!chunks[i].out_of_order) continue;
    file.out_of_order = true;
    last_out_of_order_ = Locate(mapped->back()).file_ref;
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
  while (!files_.empty() && files_.front()->max_ms < min_ms &&
         !files_.front()->out_of_order) {
    const std::string path = files_.front()->path;
    files_.pop_front();
    NARTHEX_RETURN_IF_ERROR(base::RemoveAll(path));
  }
  return absl::OkStatus();
}

absl::Status HeadChunkFiles::ForceToDisk() const {
  for (const std::shared_ptr<File>& file : files_) {
    if (::fdatasync(file->fd.get()) != 0) {
      return base::ErrnoStatus(errno, "fsync", file->path);
    }
  }
  return base::SyncDirectory(directory_);
}

std::uint64_t HeadChunkFiles::size_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& file : files_) bytes += file->used;
  return bytes;
}

}  // namespace narthex::tsdb
