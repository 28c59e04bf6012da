#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "libs/base/file.h"
#include "libs/storage/storage.h"

namespace narthex::tsdb {

/// A full chunk of a series of the head.
struct HeadChunk {
  storage::SeriesRef ref = 0;
  std::int64_t min_ms = 0;
  std::int64_t max_ms = 0;
  absl::string_view bytes;
  storage::Encoding encoding = storage::Encoding::kXor;
  /// Its samples came out of order: it may overlap other chunks.
  bool out_of_order = false;
  /// What a marker in the log of samples out of order names it by; only of
  /// chunks that were read. Ascends in the order in which chunks are written.
  std::uint64_t file_ref = 0;
};

/// Where full chunks of the head go so that they do not take memory: files in
/// Prometheus's format (`chunks_head`), mapped. What is in them is in the
/// write-ahead log too, so they need not be durable, unless a snapshot of
/// memory relies on them, and outlive the process only until the log was read:
/// should that be damaged, they have some of what it lost.
/// Not thread-safe, but for reading what was written.
class HeadChunkFiles {
 public:
  static constexpr std::uint64_t kDefaultFileBytes = 128 << 20;
  static constexpr std::uint64_t kAllSettled = ~std::uint64_t{0};

  /// Begins anew: removes all that is in `directory`.
  static absl::StatusOr<std::unique_ptr<HeadChunkFiles>> Open(
      const std::string& directory,
      std::uint64_t file_bytes = kDefaultFileBytes);
  /// Begins anew beside the files that are in `directory`, which stay as they
  /// are until RemoveEarlier, whatever number of starts that takes. Of a start
  /// that did not come so far, what it wrote is removed.
  static absl::StatusOr<std::unique_ptr<HeadChunkFiles>> OpenBeside(
      const std::string& directory,
      std::uint64_t file_bytes = kDefaultFileBytes);
  /// Goes on with the files that are in `directory` and appends to `*chunks`
  /// what they hold, in the order it was written. kDataLoss when a file is
  /// damaged or missing between others.
  static absl::StatusOr<std::unique_ptr<HeadChunkFiles>> Load(
      const std::string& directory, std::vector<HeadChunk>* chunks,
      std::uint64_t file_bytes = kDefaultFileBytes);
  ~HeadChunkFiles();
  HeadChunkFiles(const HeadChunkFiles&) = delete;
  HeadChunkFiles& operator=(const HeadChunkFiles&) = delete;

  /// The paths of the files that were there before, oldest first.
  const std::vector<std::string>& earlier() const { return earlier_; }
  /// The same, or those that Load goes on with.
  std::vector<std::string> found() const;
  /// Notes, for this start and those after a crash, that the log lost what the
  /// found files have.
  absl::Status NeedEarlier();
  bool earlier_needed() const { return earlier_needed_; }
  absl::Status RemoveEarlier();

  /// Writes the chunks, those of a series in ascending time, and appends to
  /// `*mapped` where their bytes can be read. On an error nothing is appended.
  absl::Status Write(absl::Span<const HeadChunk> chunks,
                     std::vector<absl::string_view>* mapped);

  /// Where bytes that Write gave lie.
  struct Location {
    std::uint64_t file_ref = 0;  ///< Of the chunk.
    /// Keeps the bytes mapped, even when their file is removed.
    std::shared_ptr<const void> owner;
  };
  Location Locate(absl::string_view mapped) const;

  /// Removes the oldest files while all of their chunks end before `min_ms`
  /// and none is out of order: Prometheus takes no gap between files. Their
  /// bytes must not be read any more by who has no `owner`.
  absl::Status RemoveBefore(std::int64_t min_ms);
  /// The chunks out of order that were written so far may go as others.
  void ForgetOutOfOrder();
  /// The `file_ref` of the last of these that was written; 0: none.
  std::uint64_t last_out_of_order() const { return last_out_of_order_; }
  /// Notes, durably, that those up to this one are in blocks, or their samples
  /// in the log: they are not to be taken back from here. Files that are made
  /// later have later numbers, also when all are gone meanwhile.
  absl::Status Settle(std::uint64_t file_ref);
  /// The last one that is; 0: none. kAllSettled when the note cannot be read:
  /// what was deleted from blocks must not come back.
  std::uint64_t settled() const { return settled_; }

  /// Makes durable what was written.
  absl::Status ForceToDisk() const;

  std::uint64_t size_bytes() const;

 private:
  struct File;
  HeadChunkFiles(std::string directory, std::uint64_t file_bytes);

  absl::Status FindEarlier();
  absl::Status FindSettled();
  absl::Status OpenFile();
  absl::Status LoadFile(const std::string& name,
                        std::vector<HeadChunk>* chunks);
  absl::Status WriteSome(absl::Span<const HeadChunk> chunks,
                         std::vector<absl::string_view>* mapped);
  std::size_t HowManyFit(absl::Span<const HeadChunk> chunks) const;

  const std::string directory_;
  const std::uint64_t file_bytes_;
  int last_number_ = 0;
  std::vector<std::string> earlier_;
  bool earlier_needed_ = false;
  std::uint64_t last_out_of_order_ = 0;
  std::uint64_t settled_ = 0;
  std::deque<std::shared_ptr<File>> files_;  // The last one is written.
};

}  // namespace narthex::tsdb
