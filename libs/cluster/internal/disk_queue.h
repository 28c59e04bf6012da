#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"

namespace narthex::cluster::internal {

/// A place in a disk queue: behind a record, or before the first of a segment.
struct DiskPosition {
  std::uint64_t segment = 0;
  std::uint64_t offset = 0;
  friend auto operator<=>(const DiskPosition&, const DiskPosition&) = default;
};

struct DiskQueueOptions {
  std::string directory;  ///< Made with the first record.
  std::uint64_t max_bytes = std::uint64_t{5} << 30;
  std::int64_t max_age_ms = 86'400'000;
  /// A segment is closed beyond this, or beyond what TailSegment() is told.
  std::uint64_t segment_bytes = 64 << 20;
};

/// Why records left the queue undelivered.
enum class DiskLoss { kBytes, kAge, kCorrupted };

/// Records, first in, first out, in segment files of a directory. What was
/// appended outlives the process until it is committed, and the machine once
/// it is synced, as every segment is when it is closed. Not thread-safe.
///
/// A segment is 8 bytes "NXQUEUE1", then records: payload length (4 bytes),
/// CRC32C of all that follows (4), samples (4), Unix milliseconds of writing
/// (8), payload; little-endian. The file "position" holds the segment and the
/// offset up to which all is delivered, those of the end and how many samples
/// its segment holds (8 bytes each), and their CRC32C (4). Its end is at least
/// what was synced, so that a later process can count what is missing.
class DiskQueue {
 public:
  using OnLoss = std::function<void(DiskLoss, std::uint64_t samples)>;

  /// Opens what an earlier process left in the directory, if any.
  static absl::StatusOr<std::unique_ptr<DiskQueue>> Open(
      DiskQueueOptions options, base::Clock& clock, OnLoss on_loss);

  /// The segment that the next record comes into. It is closed later when
  /// `worth_bytes` are more than usual, but holds no more than half of the
  /// queue. Old segments are dropped when the queue is too large.
  absl::StatusOr<std::uint64_t> TailSegment(std::uint64_t worth_bytes = 0);
  /// Appends to TailSegment() and returns the place behind the record. After
  /// an error the queue is as before.
  absl::StatusOr<DiskPosition> Append(absl::string_view payload,
                                      std::uint32_t samples);

  /// Descriptors to be given to fdatasync(), in their order, so that all that
  /// is appended outlives the machine; none when nothing is new.
  std::vector<base::UniqueFd> TakeUnsynced();

  struct Record {
    DiskPosition end;
    std::uint32_t samples = 0;
    std::string payload;
    /// Delivered already, or passed over: wanted only for what later records
    /// of its segment refer to.
    bool passed = false;
    /// May have been delivered before without an answer.
    bool resent = false;
  };
  /// The next record; nothing at the end. Records beyond the age are dropped.
  std::optional<Record> Next();
  /// Whether Next() will give a record that is not `passed`.
  bool HasUnread() const { return tail_ > std::max(cursor_, passed_); }

  /// All up to here need not be read: it is under way already.
  void PassTo(DiskPosition position);
  /// All up to here is delivered for good.
  void Commit(DiskPosition position);
  /// Reads again from the start of the segment of what was committed last.
  void Rewind();
  /// Drops segments that are too old.
  void DropExpired();

  /// Everything is committed.
  bool empty() const { return committed_ >= tail_; }
  std::uint64_t bytes() const;

 private:
  struct Segment {
    std::uint64_t number = 0;
    std::uint64_t bytes = 0;  // All of it whole records, header included.
    std::int64_t newest_ms = 0;
    std::uint64_t samples = 0;
  };
  /// Where the queue ended by the word of an earlier process.
  struct Mark {
    DiskPosition end;
    std::uint64_t samples = 0;  // In that segment.
  };

  DiskQueue(DiskQueueOptions options, base::Clock& clock, OnLoss on_loss)
      : options_(std::move(options)),
        clock_(clock),
        on_loss_(std::move(on_loss)) {}

  absl::Status Load();
  Mark LoadPosition();
  // Counts what the files lack of what was marked.
  void CountMissing(const Mark& mark);
  void StorePosition();
  std::string PathOf(std::uint64_t segment) const;
  absl::Status StartSegment();
  // Removes the first segment; `why` says what its samples died of, nothing
  // when they are delivered.
  void RemoveFirst(std::optional<DiskLoss> why);
  std::uint64_t UndeliveredIn(const Segment& segment) const;
  // Ends the segment at the cursor early: what follows cannot be read.
  void GiveUpSegment();
  const Segment* Find(std::uint64_t number) const;

  const DiskQueueOptions options_;
  base::Clock& clock_;
  const OnLoss on_loss_;
  std::deque<Segment> segments_;
  base::UniqueFd tail_file_;    // Unset: the next record starts a segment.
  base::UniqueFd cursor_file_;  // Of the cursor's segment.
  base::UniqueFd position_file_;
  DiskPosition tail_;
  DiskPosition synced_;
  DiskPosition cursor_;
  DiskPosition passed_;
  DiskPosition committed_;
  DiskPosition handed_out_;
  // Up to here records may have been sent before.
  DiskPosition sent_;
  std::uint64_t next_segment_ = 1;
};

}  // namespace narthex::cluster::internal
