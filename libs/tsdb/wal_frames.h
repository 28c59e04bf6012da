#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

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

/// Reads the records of one segment, which is in memory as a whole.
class WalSegmentReader {
 public:
  explicit WalSegmentReader(absl::string_view segment) : segment_(segment) {}

  /// Moves to the next record; false at the end and at the first flaw.
  bool Next();
  /// The record, decompressed; valid until the next call of Next.
  absl::string_view record() const { return record_; }
  /// Where the last good record ended.
  std::uint64_t offset() const { return good_; }
  /// OK, or kDataLoss: what is wrong after offset().
  const absl::Status& status() const { return status_; }

 private:
  bool Fail(absl::string_view what);
  bool NextFragment(std::uint8_t* type, absl::string_view* data);
  bool SkipPadding();
  bool Finish(std::uint8_t flags, absl::string_view payload);

  absl::string_view segment_;
  std::size_t position_ = 0;
  std::uint64_t good_ = 0;
  std::string joined_;  // Of several fragments.
  std::string decompressed_;
  absl::string_view record_;
  absl::Status status_;
};

}  // namespace narthex::tsdb
