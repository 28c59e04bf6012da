#include "libs/tsdb/xor2_chunk.h"

#include <algorithm>
#include <bit>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/base/varint.h"
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

// Whether a number of two's complement fits into `n` bits.
bool Fits(std::int64_t value, int n) {
  const std::int64_t half = std::int64_t{1} << (n - 1);
  return -half <= value && value < half;
}

class Encoder {
 public:
  explicit Encoder(std::size_t count) {
    out_.Bits(count, 16);
    out_.Bits(0, 8);  // Of the start times: known at the end.
  }

  void Add(std::int64_t timestamp_ms, double value, std::int64_t start_ms) {
    const std::int64_t before = timestamp_ms_;
    const std::uint64_t delta = static_cast<std::uint64_t>(timestamp_ms) -
                                static_cast<std::uint64_t>(before);
    if (index_ == 0) {
      Varint(timestamp_ms);
      out_.Float(value);
      if (!model::IsStaleNan(value)) value_.set_value(value);
      starts_.Write(0, timestamp_ms, start_ms, &out_);
    } else {
      if (index_ == 1) {
        Bytes([&](std::string* bytes) { base::PutUvarint(delta, bytes); });
        PutValue(value);
      } else {
        PutBoth(static_cast<std::int64_t>(delta - delta_ms_), value);
      }
      delta_ms_ = delta;
      starts_.Write(index_, before, start_ms, &out_);
    }
    timestamp_ms_ = timestamp_ms;
    ++index_;
  }

  absl::string_view Finish() {
    out_.SetByte(kHeaderBytes - 1, starts_.header());
    return out_.bytes();
  }

 private:
  template <typename Put>
  void Bytes(const Put& put) {
    std::string bytes;
    put(&bytes);
    for (const char byte : bytes) {
      out_.Bits(static_cast<unsigned char>(byte), 8);
    }
  }
  void Varint(std::int64_t value) {
    Bytes([value](std::string* bytes) { base::PutVarint(value, bytes); });
  }

  void PutBoth(std::int64_t delta_of_delta, double value) {
    if (delta_of_delta == 0) {
      if (model::IsStaleNan(value)) return out_.Bits(0b11111, 5);
      if (!Changes(value)) return out_.Bits(0, 1);
      out_.Bits(0b10, 2);
      return PutChange(value, {0, 1}, {1, 1});
    }
    if (Fits(delta_of_delta, 13)) {
      PutDelta(0b110, 3, delta_of_delta, 13);
    } else if (Fits(delta_of_delta, 20)) {
      PutDelta(0b1110, 4, delta_of_delta, 20);
    } else {
      PutDelta(0b11110, 5, delta_of_delta, 64);
    }
    PutValue(value);
  }

  void PutDelta(std::uint64_t prefix, int prefix_bits, std::int64_t delta,
                int n) {
    out_.Bits(prefix, prefix_bits);
    auto bits = static_cast<std::uint64_t>(delta);
    if (n < 64) bits &= (std::uint64_t{1} << n) - 1;
    out_.Bits(bits, n);
  }

  void PutValue(double value) {
    if (model::IsStaleNan(value)) return out_.Bits(0b111, 3);
    if (!Changes(value)) return out_.Bits(0, 1);
    PutChange(value, {0b10, 2}, {0b110, 3});
  }

  bool Changes(double value) const {
    return std::bit_cast<std::uint64_t>(value) != value_.bits;
  }

  struct Prefix {
    std::uint64_t bits;
    int size;
  };
  // Behind one prefix in the window there is, or behind another in a new one.
  void PutChange(double value, Prefix same_window, Prefix new_window) {
    const std::uint64_t changed =
        std::bit_cast<std::uint64_t>(value) ^ value_.bits;
    value_.set_value(value);
    // Five bits hold the number of leading zeros.
    const int leading = std::min(std::countl_zero(changed), 31);
    const int trailing = std::countr_zero(changed);
    if (value_.leading != XorValue::kNoWindow && leading >= value_.leading &&
        trailing >= value_.trailing) {
      out_.Bits(same_window.bits, same_window.size);
      return out_.Bits(changed >> value_.trailing,
                       64 - value_.leading - value_.trailing);
    }
    value_.leading = static_cast<std::uint8_t>(leading);
    value_.trailing = static_cast<std::uint8_t>(trailing);
    const int meaningful = 64 - leading - trailing;
    out_.Bits(new_window.bits, new_window.size);
    out_.Bits(static_cast<std::uint64_t>(leading), 5);
    out_.Bits(static_cast<std::uint64_t>(meaningful & 63), 6);
    out_.Bits(changed >> trailing, meaningful);
  }

  BitWriter out_;
  StartTimesWriter starts_;
  std::size_t index_ = 0;
  std::int64_t timestamp_ms_ = 0;
  std::uint64_t delta_ms_ = 0;
  XorValue value_;  // The last one that was no staleness marker.
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

void EncodeXor2Chunk(const model::SampleColumns& samples, std::string* out) {
  Encoder encoder(samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    encoder.Add(samples.timestamps_ms[i], samples.values[i],
                samples.starts_ms.empty() ? 0 : samples.starts_ms[i]);
  }
  const absl::string_view bytes = encoder.Finish();
  out->append(bytes.data(), bytes.size());
}

}  // namespace narthex::tsdb
