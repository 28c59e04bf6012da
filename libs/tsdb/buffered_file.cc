#include "libs/tsdb/buffered_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "libs/base/status.h"

namespace narthex::tsdb {
namespace {

constexpr std::size_t kBufferBytes = 1 << 20;

}  // namespace

BufferedFile::BufferedFile(std::string path, base::UniqueFd fd)
    : path_(std::move(path)), fd_(std::move(fd)) {}

absl::StatusOr<BufferedFile> BufferedFile::Create(const std::string& path) {
  base::UniqueFd fd(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd) return base::ErrnoStatus(errno, "create", path);
  return BufferedFile(path, std::move(fd));
}

absl::Status BufferedFile::Append(absl::string_view data) {
  NARTHEX_RETURN_IF_ERROR(status_);
  buffer_.append(data.data(), data.size());
  offset_ += data.size();
  if (buffer_.size() < kBufferBytes) return absl::OkStatus();
  return Flush();
}

absl::Status BufferedFile::Pad(std::uint64_t alignment) {
  const std::uint64_t over = offset_ % alignment;
  if (over == 0) return absl::OkStatus();
  return Append(std::string(alignment - over, '\0'));
}

absl::Status BufferedFile::Flush() {
  status_ = base::WriteAll(fd_.get(), buffer_, path_);
  buffer_.clear();
  return status_;
}

absl::Status BufferedFile::Close(bool sync) {
  NARTHEX_RETURN_IF_ERROR(status_);
  NARTHEX_RETURN_IF_ERROR(Flush());
  if (sync && ::fsync(fd_.get()) != 0) {
    status_ = base::ErrnoStatus(errno, "fsync", path_);
  }
  fd_.reset();
  return status_;
}

}  // namespace narthex::tsdb
