#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/model/sample.h"
#include "libs/storage/storage.h"
#include "libs/tsdb/chunk_header.h"

namespace narthex::tsdb {

/// An XOR chunk (Gorilla's delta-of-delta times and XORed values, in
/// Prometheus's bit layout) to which samples are appended. Its bytes are whole
/// and decodable after every append. Small: the object is 48 bytes, its buffer
/// grows in steps. Not thread-safe.
class XorChunk {
 public:
  XorChunk() = default;
  XorChunk(XorChunk&& other) noexcept;
  XorChunk& operator=(XorChunk&& other) noexcept;

  /// Goes on with a chunk that was written before; the bytes are copied and
  /// what follows is encoded as if there had been no interruption. kDataLoss
  /// when they cannot be decoded.
  static absl::StatusOr<XorChunk> Resume(absl::string_view bytes);

  /// Requires: `timestamp_ms` is after the last one and count() is below
  /// kMaxSamplesPerChunk.
  void Append(std::int64_t timestamp_ms, double value);

  int count() const { return count_; }
  bool empty() const { return size_ == 0; }
  /// The encoded chunk, empty without samples; valid until the next Append,
  /// which may also change the last byte and the first two.
  absl::string_view bytes() const { return {data_.get(), size_}; }
  /// Of the first sample. Requires: not empty.
  std::int64_t min_ms() const;
  /// Of the last sample. Requires: not empty.
  std::int64_t max_ms() const { return timestamp_ms_; }
  double last_value() const { return value_; }

  /// Fetches what the next Append needs into the cache.
  void Prefetch() const {
    __builtin_prefetch(data_.get());
    __builtin_prefetch(data_.get() + size_);
  }

  /// Bytes held beside the object itself.
  std::size_t allocated_bytes() const { return capacity_; }
  /// Gives back what the buffer has too much; worth it when a chunk is full.
  void ShrinkToFit();

 private:
  void SetCapacity(std::uint32_t capacity);
  /// Appends the low `n` bits (1 to 64).
  void PutBits(std::uint64_t bits, int n);
  /// Appends the upper `bytes` bytes; requires free_bits_ to be 0.
  void PutWord(std::uint64_t word, int bytes);
  void PutBytes(absl::string_view bytes);
  void PutDod(std::int64_t dod);
  void PutValue(double value);

  std::unique_ptr<char[]> data_;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 0;
  std::int64_t timestamp_ms_ = 0;
  double value_ = 0;
  std::uint64_t delta_ = 0;
  // The window of meaningful bits of the last value that opened one;
  // kNoWindow before the first.
  static constexpr std::uint8_t kNoWindow = 0xff;
  std::uint8_t leading_ = kNoWindow;
  std::uint8_t trailing_ = 0;
  std::uint8_t free_bits_ = 0;  // Still unused in the last byte.
  // As in the header; here too because the buffer is cold when asked.
  std::uint16_t count_ = 0;
};

/// Appends the XOR chunk of `samples` (at least one, all floats, ascending), of
/// `size` bytes, to `*out`: what appending them to an XorChunk would give.
void EncodeXorChunk(const model::SampleColumns& samples, std::size_t size,
                    std::string* out);

/// Appends all samples of an encoded XOR chunk to `*out`. kDataLoss for bytes
/// that end too early or whose times do not ascend; `*out` is then as before.
absl::Status DecodeXorChunk(absl::string_view bytes, model::SampleColumns* out);

/// Likewise, of the samples inside `range` (inclusive) only.
absl::Status DecodeXorChunk(absl::string_view bytes,
                            const storage::TimeRange& range,
                            model::SampleColumns* out);

/// Removes from the samples after the first `before` ones those that are not
/// inside `range`.
void KeepInside(const storage::TimeRange& range, std::size_t before,
                model::SampleColumns* samples);

}  // namespace narthex::tsdb
