#include "libs/tsdb/xor2_chunk.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/tsdb/bits.h"
#include "libs/tsdb/chunk_header.h"
#include "libs/tsdb/start_times.h"

namespace narthex::tsdb {
namespace {

/// The sample count and the header of the start times.
constexpr std::size_t kHeaderBytes = 3;

/// A delta of deltas of `n` bits, in two's complement.
std::uint64_t ReadSigned(BitCursor* in, int n) {
  std::uint64_t bits = in->Bits(n);
  if (n < 64 && bits >> (n - 1) != 0) bits -= std::uint64_t{1} << n;
  return bits;
}

class Decoder {
 public:
  explicit Decoder(absl::string_view bytes)
      : in_(bytes.substr(kHeaderBytes)),
        starts_(static_cast<std::uint8_t>(bytes[kHeaderBytes - 1])) {}

  /// Reads the next sample; false when it cannot be.
  bool Next() {
    const std::int64_t before = timestamp_ms_;
    stale_ = false;
    if (index_ == 0) {
      timestamp_ms_ = in_.Varint();
      value_.set_value(in_.Float());
      stale_ = model::IsStaleNan(value_.value());
      // Differences are to the last value that was not a staleness marker.
      if (stale_) value_.set_value(0);
      starts_.Read(0, timestamp_ms_, &in_);
    } else {
      if (index_ == 1) {
        delta_ms_ = in_.Uvarint();
        ReadValue();
      } else {
        ReadDeltaAndValue();
      }
      timestamp_ms_ = static_cast<std::int64_t>(
          static_cast<std::uint64_t>(before) + delta_ms_);
      starts_.Read(index_, before, &in_);
    }
    const bool ascends = index_ == 0 || timestamp_ms_ > before;
    ++index_;
    return in_.ok() && ascends;
  }

  std::int64_t timestamp_ms() const { return timestamp_ms_; }
  double value() const { return stale_ ? model::StaleNan() : value_.value(); }
  const StartTimes& starts() const { return starts_; }

 private:
  void ReadDeltaAndValue() {
    // A prefix of up to five ones says both what the delta and what the value
    // does.
    int ones = 0;
    while (ones < 5 && in_.Bit()) ++ones;
    switch (ones) {
      case 0:  // Nothing changes.
        return;
      case 1:  // The value does.
        return in_.Bit() ? in_.XorWindow(&value_) : in_.XorInWindow(&value_);
      case 2:
        delta_ms_ += ReadSigned(&in_, 13);
        return ReadValue();
      case 3:
        delta_ms_ += ReadSigned(&in_, 20);
        return ReadValue();
      case 4:
        delta_ms_ += ReadSigned(&in_, 64);
        return ReadValue();
      default:
        stale_ = true;
    }
  }

  void ReadValue() {
    if (!in_.Bit()) return;
    if (!in_.Bit()) return in_.XorInWindow(&value_);
    if (!in_.Bit()) return in_.XorWindow(&value_);
    stale_ = true;
  }

  BitCursor in_;
  StartTimes starts_;
  std::size_t index_ = 0;
  std::int64_t timestamp_ms_ = 0;
  std::uint64_t delta_ms_ = 0;
  XorValue value_;
  bool stale_ = false;
};

absl::Status Corrupt(absl::string_view bytes) {
  return absl::DataLossError(
      absl::StrCat("XOR2 chunk of ", bytes.size(), " bytes is corrupt"));
}

}  // namespace

absl::Status DecodeXor2Chunk(absl::string_view bytes,
                             const storage::TimeRange& range,
                             model::SampleColumns* out) {
  NARTHEX_ASSIGN_OR_RETURN(const int count,
                           ChunkSampleCount(storage::Encoding::kXor2, bytes));
  if (bytes.size() < kHeaderBytes) return Corrupt(bytes);
  Decoder decoder(bytes);
  model::SampleColumns samples;
  bool any_start = false;
  for (int i = 0; i < count; ++i) {
    if (!decoder.Next()) return Corrupt(bytes);
    const std::int64_t time = decoder.timestamp_ms();
    if (time < range.min_ms || time > range.max_ms) continue;
    samples.timestamps_ms.push_back(time);
    samples.values.push_back(decoder.value());
    samples.starts_ms.push_back(decoder.starts().start_ms());
    any_start = any_start || decoder.starts().start_ms() != 0;
  }
  if (!any_start) samples.starts_ms.clear();
  out->AppendRange(samples, 0, samples.size());
  return absl::OkStatus();
}

}  // namespace narthex::tsdb
