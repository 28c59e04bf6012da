#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/file.h"

namespace narthex::tsdb {

/// A new file, written from front to back through a buffer. After an error
/// every further call gives that error. Not thread-safe.
class BufferedFile {
 public:
  /// An existing file is emptied.
  static absl::StatusOr<BufferedFile> Create(const std::string& path);

  absl::Status Append(absl::string_view data);
  /// Appends zeros up to a multiple of `alignment`.
  absl::Status Pad(std::uint64_t alignment);
  /// Hands all to the system, fsyncs if asked to, and closes.
  absl::Status Close(bool sync);

  /// Bytes appended, the position of the next.
  std::uint64_t offset() const { return offset_; }
  const std::string& path() const { return path_; }

 private:
  BufferedFile(std::string path, base::UniqueFd fd);
  absl::Status Flush();

  std::string path_;
  base::UniqueFd fd_;
  std::string buffer_;
  std::uint64_t offset_ = 0;
  absl::Status status_;
};

}  // namespace narthex::tsdb
