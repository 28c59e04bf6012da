#pragma once

#include <cstddef>
#include <cstdint>

#include "libs/tsdb/bits.h"

namespace narthex::tsdb {

/// Reads the start times that XOR2 and ST histogram chunks keep behind their
/// samples, each as its distance from the timestamp of the sample before.
/// Source: Prometheus 3.14, tsdb/docs/format/chunks.md.
class StartTimes {
 public:
  /// Nothing is stored.
  StartTimes() = default;
  /// The header says whether there is one for the first sample, and from
  /// which sample on each has one (0: none).
  explicit StartTimes(std::uint8_t header)
      : first_(header >> 7 != 0), from_(header & 0x7f) {}

  /// Reads that of sample `index`; `before_ms` is the timestamp of the sample
  /// before, of the first one its own.
  void Read(std::size_t index, std::int64_t before_ms, BitCursor* in) {
    if (index == 0) {
      if (!first_) return;
      distance_ = static_cast<std::uint64_t>(in->Varint());
    } else {
      if (from_ == 0 || index < from_) return;
      const auto read = static_cast<std::uint64_t>(in->VarbitInt());
      distance_ = index == from_ ? read : distance_ + read;
    }
    // Of hostile input it wraps around.
    start_ms_ = static_cast<std::int64_t>(
        static_cast<std::uint64_t>(before_ms) - distance_);
  }

  /// Of the last sample read; 0 when it is not known.
  std::int64_t start_ms() const { return start_ms_; }
  bool any() const { return first_ || from_ != 0; }

 private:
  bool first_ = false;
  std::size_t from_ = 0;
  std::uint64_t distance_ = 0;
  std::int64_t start_ms_ = 0;
};

/// Writes them.
class StartTimesWriter {
 public:
  /// Appends that of sample `index`, 0 when it is not known; `before_ms` as in
  /// StartTimes::Read. Called for one sample after the other.
  void Write(std::size_t index, std::int64_t before_ms, std::int64_t start_ms,
             BitWriter* out);
  std::uint8_t header() const;

 private:
  bool first_ = false;
  std::size_t from_ = 0;
  std::int64_t start_ms_ = 0;   // Of the sample before.
  std::uint64_t distance_ = 0;  // Likewise, as it was written.
};

}  // namespace narthex::tsdb
