#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/file.h"
#include "libs/tsdb/wal_directory.h"
#include "libs/tsdb/wal_frames.h"

namespace narthex::tsdb {

/// Some records of a log that follow each other, all of one segment.
struct WalStretch {
  std::shared_ptr<const base::MappedFile> file;  ///< Holds the records.
  int segment = 0;
  bool of_checkpoint = false;
  std::vector<WalFragments> records;  ///< The first `count` of them.
  std::size_t count = 0;
  bool begins_segment = false;
  bool ends_segment = false;
  std::optional<WalFlaw> flaw;  ///< Behind the records, where reading ended.
};

/// Reads a log from its newest checkpoint on, in stretches that may be
/// assembled and decoded by several threads.
class WalReader {
 public:
  /// From `from` on, unless the checkpoint stands for what is there.
  /// kDataLoss when the log ends before it, kFailedPrecondition when a segment
  /// is missing between others.
  static absl::StatusOr<WalReader> Open(const std::string& directory,
                                        std::optional<WalPosition> from = {});

  /// Reads on, until the records make `most_bytes` or their segment ends.
  /// False at the end of the log. After a flaw in the checkpoint the segments
  /// follow, after one in these nothing.
  absl::StatusOr<bool> Next(std::size_t most_bytes, WalStretch* stretch);
  /// As after a flaw there.
  void SkipRest(bool of_checkpoint);

  /// Of the checkpoint; empty without one.
  const std::string& checkpoint() const { return checkpoint_; }
  /// Numbers of the segments after it; 0 without one.
  int first_segment() const { return first_; }
  int last_segment() const { return last_; }

 private:
  struct Segment {
    std::string directory;
    int number = 0;
    bool of_checkpoint = false;
  };

  absl::Status Add(const std::string& directory, int after, bool of_checkpoint);
  absl::Status BeginAt(const WalPosition& from);

  std::string checkpoint_;
  int first_ = 0;
  int last_ = 0;
  std::vector<Segment> segments_;
  std::size_t at_ = 0;
  std::uint64_t offset_ = 0;  // In the first of them.
  // Of the segment that is being read.
  std::shared_ptr<const base::MappedFile> file_;
  std::optional<WalSegmentReader> reader_;
};

}  // namespace narthex::tsdb
