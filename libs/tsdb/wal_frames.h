#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

/// How records lie in a segment: cut into fragments that never cross a page,
/// each with type, length and checksum; the end of a page that is too short
/// for a fragment is zero.
namespace narthex::tsdb {

enum class WalCompression : std::uint8_t { kNone, kSnappy, kZstd };

/// Accepts "none", "snappy", "zstd"; kInvalidArgument otherwise.
absl::StatusOr<WalCompression> ParseWalCompression(absl::string_view text);

/// What ParseWalCompression takes.
absl::string_view WalCompressionName(WalCompression compression);

inline constexpr std::size_t kWalPageBytes = 32 << 10;
inline constexpr std::size_t kWalFragmentHeaderBytes = 7;

/// A record ready to be framed.
struct WalPayload {
  WalCompression compression = WalCompression::kNone;
  std::string bytes;
};

/// Compresses a record, unless that does not make it smaller.
WalPayload CompressRecord(absl::string_view record, WalCompression compression);

/// The most bytes that `payload` can take when it is framed from `offset` of a
/// segment on, padding before it included.
std::size_t FramedSize(std::size_t payload_bytes, std::uint64_t offset);

/// Appends the frames of `payload` to `*out`, whose end is at `offset` of the
/// segment. May put padding first.
void FramePayload(const WalPayload& payload, std::uint64_t offset,
                  std::string* out);

/// A record as it lies in a segment, in parts whose checksums are still to be
/// compared.
struct WalFragments {
  struct Part {
    absl::string_view data;
    std::uint32_t checksum = 0;
  };
  std::vector<Part> parts;
  WalCompression compression = WalCompression::kNone;
  std::uint64_t begin = 0;  ///< Where the record before ended.

  /// Bytes of the record, decompressed; estimated where it does not say.
  std::size_t EstimatedBytes() const;
};

/// Puts records together; keeps its memory for the next one. Not thread-safe.
class WalAssembler {
 public:
  /// The record, decompressed; valid until the next call and as long as the
  /// segment. kDataLoss: a checksum is wrong, or it cannot be decompressed.
  absl::StatusOr<absl::string_view> Assemble(const WalFragments& fragments);

 private:
  std::string joined_;  // Of several fragments.
  std::string decompressed_;
};

/// Reads the records of one segment, which is in memory as a whole.
class WalSegmentReader {
 public:
  /// Begins at `offset`, where a record ends.
  explicit WalSegmentReader(absl::string_view segment, std::uint64_t offset = 0)
      : segment_(segment), position_(offset), good_(offset) {}

  /// Moves to the next record; false at the end and at the first flaw.
  bool Next();
  /// The same, without a look into the record: it is left to who assembles
  /// the fragments, in order, to see the flaws in them.
  bool Next(WalFragments* fragments);
  /// The record, decompressed; valid until the next call of Next.
  absl::string_view record() const { return record_; }
  /// Where the last good record ended.
  std::uint64_t offset() const { return good_; }
  /// OK, or kDataLoss: what is wrong after offset().
  const absl::Status& status() const { return status_; }

 private:
  bool Fail(absl::string_view what);
  bool NextFragment(std::uint8_t* type, WalFragments::Part* part);
  bool SkipPadding();
  bool Finish(std::uint8_t flags, WalFragments* fragments);

  absl::string_view segment_;
  std::size_t position_ = 0;
  std::uint64_t good_ = 0;
  WalFragments fragments_;
  WalAssembler assembler_;
  absl::string_view record_;
  absl::Status status_;
};

}  // namespace narthex::tsdb
