#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace narthex::base {

/// The status of a failed system call: errno's meaning as a code (ENOENT is
/// kNotFound, ENOSPC kResourceExhausted, otherwise kInternal and the like)
/// and "what path: reason" as message.
absl::Status ErrnoStatus(int error, absl::string_view what,
                         absl::string_view path);

/// Owns a file descriptor and closes it.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release();
  void reset();

 private:
  int fd_ = -1;
};

/// A whole file mapped read-only. Moves; the view stays valid over a move.
class MappedFile {
 public:
  static absl::StatusOr<MappedFile> Open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  absl::string_view data() const {
    return {static_cast<const char*>(data_), size_};
  }

 private:
  MappedFile(void* data, std::size_t size) : data_(data), size_(size) {}
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

absl::StatusOr<std::string> ReadFile(const std::string& path);

/// Replaces `path` in one step: writes a temporary file beside it, fsyncs,
/// renames, fsyncs the directory. After an error the old file is whole.
absl::Status WriteFileAtomically(const std::string& path,
                                 absl::string_view content);

/// Writes all of `data` to `fd`, over interruptions and short writes.
absl::Status WriteAll(int fd, absl::string_view data, absl::string_view path);

/// Fsyncs a directory, so that renames and new files in it are durable.
absl::Status SyncDirectory(const std::string& path);

/// Creates the directory and its parents; no error when it is there.
absl::Status CreateDirectories(const std::string& path);
/// Renames and fsyncs the directory that holds `to`.
absl::Status RenameDurably(const std::string& from, const std::string& to);
/// Removes a file or a whole directory; no error when it is not there.
absl::Status RemoveAll(const std::string& path);
/// Names (not paths) in a directory, sorted, without "." and "..".
absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path);
bool Exists(const std::string& path);

/// Makes `*path` begin at `directory` unless it is empty or absolute.
void SetDirectory(const std::string& directory, std::string* path);

/// Paths matching a shell pattern, sorted; empty when none does.
std::vector<std::string> Glob(const std::string& pattern);

/// A new empty directory, removed with all it holds at destruction.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace narthex::base
