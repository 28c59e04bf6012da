#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/file.h"
#include "libs/storage/storage.h"

namespace narthex::tsdb {

inline constexpr std::uint64_t kDefaultSegmentBytes = 512ULL << 20;

/// Writes a block's `chunks` directory: numbered segment files of bounded
/// size, in which every chunk has a length, an encoding and a checksum.
class ChunkSegmentWriter {
 public:
  /// Creates the directory.
  static absl::StatusOr<std::unique_ptr<ChunkSegmentWriter>> Create(
      const std::string& directory,
      std::uint64_t segment_bytes = kDefaultSegmentBytes);
  ~ChunkSegmentWriter();

  /// Returns the reference under which an index finds the chunk again.
  absl::StatusOr<std::uint64_t> Write(storage::Encoding encoding,
                                      absl::string_view bytes);
  /// Fsyncs and closes.
  absl::Status Finish();

  std::uint64_t bytes_written() const;

 private:
  struct Rep;
  explicit ChunkSegmentWriter(std::unique_ptr<Rep> rep);
  std::unique_ptr<Rep> rep_;
};

/// The mapped segments of a `chunks` directory. Thread-safe.
class ChunkSegmentReader {
 public:
  static absl::StatusOr<std::unique_ptr<ChunkSegmentReader>> Open(
      const std::string& directory);

  struct View {
    storage::Encoding encoding = storage::Encoding::kNone;
    absl::string_view bytes;  ///< Valid while the reader lives.
  };
  /// kDataLoss naming file and offset when the reference leads nowhere or the
  /// checksum does not fit. Encodings are not judged.
  absl::StatusOr<View> Read(std::uint64_t ref) const;

  std::uint64_t size_bytes() const;

 private:
  struct Segment {
    std::string path;
    base::MappedFile file;
  };
  std::vector<Segment> segments_;
};

}  // namespace narthex::tsdb
