#include "libs/tsdb/xor_chunk.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/base/varint.h"
#include "libs/tsdb/bit_code.h"
#include "libs/tsdb/bits.h"

namespace narthex::tsdb {
namespace {

constexpr std::size_t kCountBytes = 2;

/// Where a decoder stands after a sample.
struct State {
  std::size_t position = 0;  // In bits.
  std::int64_t timestamp = 0;
  std::uint64_t value = 0;
  std::uint64_t delta = 0;
  int leading = 0;
  int trailing = 0;
  bool window = false;
};

/// Reads the change of a value, of which `word` holds the bits from
/// `state.position` on (at least 13 valid). False when it is malformed.
inline bool ReadValue(const BitReader& bits, std::uint64_t word, State& state) {
  if ((word >> 63) == 0) {
    state.position += 1;
    return true;
  }
  if ((word >> 62) == 2) {
    state.position += 2;
  } else {
    const int leading = static_cast<int>(word << 2 >> 59);
    int meaningful = static_cast<int>(word << 7 >> 58);
    if (meaningful == 0) meaningful = 64;
    if (leading + meaningful > 64) return false;
    state.leading = leading;
    state.trailing = 64 - leading - meaningful;
    state.position += 13;
  }
  state.window = true;
  const int meaningful = 64 - state.leading - state.trailing;
  state.value ^= bits.Read(state.position, meaningful) << state.trailing;
  state.position += static_cast<std::size_t>(meaningful);
  return true;
}

/// Reads a delta of deltas whose prefix has `ones` leading ones (1 to 4).
inline std::uint64_t ReadDod(const BitReader& bits, int ones, State& state) {
  const int n = kDodBits[static_cast<std::size_t>(ones)];
  state.position += static_cast<std::size_t>(ones == 4 ? 4 : ones + 1);
  std::uint64_t dod = bits.Read(state.position, n);
  state.position += static_cast<std::size_t>(n);
  // The format's ranges are uneven: the top value is positive.
  if (n < 64 && dod > (std::uint64_t{1} << (n - 1))) {
    dod -= std::uint64_t{1} << n;
  }
  return dod;
}

/// Moves the time on by the current delta; false when it goes back.
inline bool Advance(State& state) {
  const auto next = static_cast<std::int64_t>(
      static_cast<std::uint64_t>(state.timestamp) + state.delta);
  if (next <= state.timestamp) return false;
  state.timestamp = next;
  return true;
}

/// Emits `n` samples that repeat the delta and the value; false when the time
/// goes back.
inline bool Repeat(std::size_t n, State& state, std::int64_t* timestamps,
                   double* values) {
  std::uint64_t span = 0;
  if (__builtin_mul_overflow(state.delta, n, &span) ||
      span > static_cast<std::uint64_t>(model::kMaxTime) -
                 static_cast<std::uint64_t>(state.timestamp)) {
    return false;
  }
  auto time = static_cast<std::uint64_t>(state.timestamp);
  const double value = std::bit_cast<double>(state.value);
  for (std::size_t i = 0; i < n; ++i) {
    time += state.delta;
    timestamps[i] = static_cast<std::int64_t>(time);
    values[i] = value;
  }
  state.timestamp = static_cast<std::int64_t>(time);
  state.position += 2 * n;
  return true;
}

/// Decodes all samples after the second. The state is local so that the
/// compiler keeps it in registers.
bool DecodeRest(const BitReader& bits, std::size_t count, State& out_state,
                std::int64_t* timestamps, double* values) {
  State state = out_state;
  std::size_t i = 2;
  while (i < count) {
    std::uint64_t word = bits.Peek(state.position);
    if ((word >> 62) == 0) {
      // Every pair of zero bits is a sample like the one before.
      const auto zeros = static_cast<std::size_t>(std::countl_zero(word | 128));
      const std::size_t n = std::min(zeros / 2, count - i);
      if (!Repeat(n, state, timestamps + i, values + i)) return false;
      i += n;
      continue;
    }
    const int ones = std::min(std::countl_one(word), 4);
    if (ones == 0) {
      state.position += 1;
      word <<= 1;
    } else {
      state.delta += ReadDod(bits, ones, state);
      word = bits.Peek(state.position);
    }
    if (!ReadValue(bits, word, state) || !Advance(state)) return false;
    timestamps[i] = state.timestamp;
    values[i] = std::bit_cast<double>(state.value);
    ++i;
  }
  out_state = state;
  return true;
}

/// Decodes `count` samples, at least one.
bool Decode(absl::string_view bytes, std::size_t count, State& state,
            std::int64_t* timestamps, double* values) {
  base::ByteReader reader(bytes.substr(kCountBytes));
  state.timestamp = reader.Varint();
  state.value = reader.Be64();
  timestamps[0] = state.timestamp;
  values[0] = std::bit_cast<double>(state.value);
  if (count > 1) state.delta = reader.Uvarint();
  if (!reader.ok()) return false;
  state.position = (bytes.size() - reader.remaining()) * 8;

  const BitReader bits(bytes);
  if (count > 1) {
    if (!ReadValue(bits, bits.Peek(state.position), state)) return false;
    if (!Advance(state)) return false;
    timestamps[1] = state.timestamp;
    values[1] = std::bit_cast<double>(state.value);
    if (!DecodeRest(bits, count, state, timestamps, values)) return false;
  }
  return state.position <= bytes.size() * 8;
}

absl::Status Corrupt(absl::string_view bytes) {
  return absl::DataLossError(
      absl::StrCat("XOR chunk of ", bytes.size(), " bytes is corrupt"));
}

absl::Status DecodeInto(absl::string_view bytes, State* state,
                        model::SampleColumns* out) {
  const auto count = ChunkSampleCount(storage::Encoding::kXor, bytes);
  if (!count.ok()) return count.status();
  const auto n = static_cast<std::size_t>(*count);
  if (n == 0) return absl::OkStatus();
  // Each sample after the first has two bits at least.
  if (n - 1 > bytes.size() * 4) return Corrupt(bytes);
  const std::size_t before = out->size();
  out->timestamps_ms.resize(before + n);
  out->values.resize(before + n);
  if (Decode(bytes, n, *state, out->timestamps_ms.data() + before,
             out->values.data() + before)) {
    return absl::OkStatus();
  }
  out->timestamps_ms.resize(before);
  out->values.resize(before);
  return Corrupt(bytes);
}

/// Appends bits to a string of whole bytes, eight bytes at a time; the last
/// ones when it is destroyed.
class BitAppender {
 public:
  explicit BitAppender(std::string* out) : out_(out) {}
  BitAppender(const BitAppender&) = delete;
  BitAppender& operator=(const BitAppender&) = delete;
  ~BitAppender() { Write((64 - free_ + 7) / 8); }

  /// The low `n` bits (1 to 64).
  void Put(std::uint64_t bits, int n) {
    if (n < free_) {
      free_ -= n;
      word_ |= bits << free_;
      return;
    }
    const int left = n - free_;
    word_ |= bits >> left;
    Write(8);
    free_ = 64 - left;
    word_ = left == 0 ? 0 : bits << free_;
  }

 private:
  // The upper `bytes` bytes.
  void Write(int bytes) {
    const std::uint64_t swapped = __builtin_bswap64(word_);
    out_->append(reinterpret_cast<const char*>(&swapped),
                 static_cast<std::size_t>(bytes));
  }

  std::string* out_;
  std::uint64_t word_ = 0;
  int free_ = 64;  // Bits of the word.
};

bool FitsDod(std::int64_t dod, int n) {
  const std::int64_t half = std::int64_t{1} << (n - 1);
  return -(half - 1) <= dod && dod <= half;
}

}  // namespace

XorChunk::XorChunk(XorChunk&& other) noexcept { *this = std::move(other); }

XorChunk& XorChunk::operator=(XorChunk&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(capacity_, other.capacity_);
  std::swap(timestamp_ms_, other.timestamp_ms_);
  std::swap(value_, other.value_);
  std::swap(delta_, other.delta_);
  std::swap(leading_, other.leading_);
  std::swap(trailing_, other.trailing_);
  std::swap(free_bits_, other.free_bits_);
  std::swap(count_, other.count_);
  return *this;
}

absl::StatusOr<XorChunk> XorChunk::Resume(absl::string_view bytes) {
  XorChunk chunk;
  State state;
  model::SampleColumns samples;
  NARTHEX_RETURN_IF_ERROR(DecodeInto(bytes, &state, &samples));
  if (samples.empty()) return chunk;

  const std::size_t used = (state.position + 7) / 8;
  chunk.SetCapacity(static_cast<std::uint32_t>(used));
  std::memcpy(chunk.data_.get(), bytes.data(), used);
  chunk.size_ = static_cast<std::uint32_t>(used);
  chunk.free_bits_ = static_cast<std::uint8_t>(used * 8 - state.position);
  char& last = chunk.data_[used - 1];
  last = static_cast<char>(static_cast<unsigned char>(last) >>
                           chunk.free_bits_ << chunk.free_bits_);
  chunk.count_ = static_cast<std::uint16_t>(samples.size());
  chunk.timestamp_ms_ = state.timestamp;
  chunk.value_ = std::bit_cast<double>(state.value);
  chunk.delta_ = state.delta;
  if (state.window) {
    chunk.leading_ = static_cast<std::uint8_t>(state.leading);
    chunk.trailing_ = static_cast<std::uint8_t>(state.trailing);
  }
  return chunk;
}

std::int64_t XorChunk::min_ms() const {
  return base::ByteReader(bytes().substr(kCountBytes)).Varint();
}

void XorChunk::Append(std::int64_t timestamp_ms, double value) {
  const std::uint64_t delta = static_cast<std::uint64_t>(timestamp_ms) -
                              static_cast<std::uint64_t>(timestamp_ms_);
  if (count_ == 0) {
    std::string start(kCountBytes, '\0');
    base::PutVarint(timestamp_ms, &start);
    base::PutBe64(std::bit_cast<std::uint64_t>(value), &start);
    PutBytes(start);
  } else if (count_ == 1) {
    std::string bytes;
    base::PutUvarint(delta, &bytes);
    PutBytes(bytes);
    delta_ = delta;
    PutValue(value);
  } else {
    PutDod(static_cast<std::int64_t>(delta - delta_));
    delta_ = delta;
    PutValue(value);
  }
  timestamp_ms_ = timestamp_ms;
  value_ = value;
  ++count_;
  data_[0] = static_cast<char>(count_ >> 8);
  data_[1] = static_cast<char>(count_ & 0xff);
}

void XorChunk::PutDod(std::int64_t dod) {
  if (dod == 0) return PutBits(0, 1);
  for (int ones = 1; ones <= 3; ++ones) {
    const int n = kDodBits[static_cast<std::size_t>(ones)];
    if (!FitsDod(dod, n)) continue;
    // `ones` ones and a zero.
    const std::uint64_t prefix = (std::uint64_t{2} << ones) - 2;
    const std::uint64_t low = (std::uint64_t{1} << n) - 1;
    return PutBits(prefix << n | (static_cast<std::uint64_t>(dod) & low),
                   ones + 1 + n);
  }
  PutBits(0b1111, 4);
  PutBits(static_cast<std::uint64_t>(dod), 64);
}

void XorChunk::PutValue(double value) {
  const std::uint64_t changed = std::bit_cast<std::uint64_t>(value) ^
                                std::bit_cast<std::uint64_t>(value_);
  if (changed == 0) return PutBits(0, 1);
  // Five bits hold the number of leading zeros.
  const int leading = std::min(std::countl_zero(changed), 31);
  const int trailing = std::countr_zero(changed);
  if (leading_ != kNoWindow && leading >= leading_ && trailing >= trailing_) {
    PutBits(0b10, 2);
    return PutBits(changed >> trailing_, 64 - leading_ - trailing_);
  }
  leading_ = static_cast<std::uint8_t>(leading);
  trailing_ = static_cast<std::uint8_t>(trailing);
  const int meaningful = 64 - leading - trailing;
  PutBits(0b11 << 11 | leading << 6 | (meaningful & 63), 13);
  PutBits(changed >> trailing, meaningful);
}

void XorChunk::PutBits(std::uint64_t bits, int n) {
  bits <<= 64 - n;  // The first on top.
  if (free_bits_ > 0) {
    auto& last = reinterpret_cast<std::uint8_t&>(data_[size_ - 1]);
    last = static_cast<std::uint8_t>(last | bits >> (64 - free_bits_));
    if (n <= free_bits_) {
      free_bits_ = static_cast<std::uint8_t>(free_bits_ - n);
      return;
    }
    bits <<= free_bits_;
    n -= free_bits_;
  }
  PutWord(bits, (n + 7) / 8);
  free_bits_ = static_cast<std::uint8_t>(-n & 7);
}

void XorChunk::PutWord(std::uint64_t word, int bytes) {
  // Room for all of the word, so that one store writes it.
  if (capacity_ < size_ + sizeof(word)) {
    const std::uint32_t grown = capacity_ + std::max(capacity_ / 4, 16U);
    SetCapacity((grown + 15) / 16 * 16);
  }
  const std::uint64_t swapped = __builtin_bswap64(word);
  std::memcpy(data_.get() + size_, &swapped, sizeof(swapped));
  size_ += static_cast<std::uint32_t>(bytes);
}

void XorChunk::PutBytes(absl::string_view bytes) {
  for (const char c : bytes) {
    PutWord(static_cast<std::uint64_t>(static_cast<unsigned char>(c)) << 56, 1);
  }
}

void XorChunk::SetCapacity(std::uint32_t capacity) {
  auto data = std::make_unique_for_overwrite<char[]>(capacity);
  if (size_ > 0) std::memcpy(data.get(), data_.get(), size_);
  data_ = std::move(data);
  capacity_ = capacity;
}

void XorChunk::ShrinkToFit() {
  if (capacity_ > size_) SetCapacity(size_);
}

void EncodeXorChunk(const model::SampleColumns& samples, std::size_t size,
                    std::string* out) {
  const std::vector<std::int64_t>& times = samples.timestamps_ms;
  const std::vector<double>& values = samples.values;
  out->reserve(out->size() + size + 1);
  base::PutBe16(static_cast<std::uint16_t>(samples.size()), out);
  base::PutVarint(times[0], out);
  base::PutBe64(std::bit_cast<std::uint64_t>(values[0]), out);
  if (samples.size() == 1) return;
  std::uint64_t delta = static_cast<std::uint64_t>(times[1] - times[0]);
  base::PutUvarint(delta, out);
  BitAppender bits(out);
  const auto put = [&bits](std::uint64_t word, int n) { bits.Put(word, n); };
  XorWindow window;
  for (std::size_t i = 1; i < samples.size(); ++i) {
    if (i > 1) {
      const auto next = static_cast<std::uint64_t>(times[i] - times[i - 1]);
      PutCode(DodCode(static_cast<std::int64_t>(next - delta)), put);
      delta = next;
    }
    PutCode(XorCode(std::bit_cast<std::uint64_t>(values[i]) ^
                        std::bit_cast<std::uint64_t>(values[i - 1]),
                    &window),
            put);
  }
}

absl::Status DecodeXorChunk(absl::string_view bytes,
                            model::SampleColumns* out) {
  State state;
  return DecodeInto(bytes, &state, out);
}

absl::Status DecodeXorChunk(absl::string_view bytes,
                            const storage::TimeRange& range,
                            model::SampleColumns* out) {
  const std::size_t before = out->size();
  NARTHEX_RETURN_IF_ERROR(DecodeXorChunk(bytes, out));
  KeepInside(range, before, out);
  return absl::OkStatus();
}

void KeepInside(const storage::TimeRange& range, std::size_t before,
                model::SampleColumns* samples) {
  auto& times = samples->timestamps_ms;
  const auto begin = times.begin() + static_cast<std::ptrdiff_t>(before);
  if (begin == times.end()) return;
  if (*begin >= range.min_ms && times.back() <= range.max_ms) return;
  const auto end = std::upper_bound(begin, times.end(), range.max_ms);
  const auto first = std::lower_bound(begin, end, range.min_ms);
  auto& values = samples->values;
  values.erase(values.begin() + (end - times.begin()), values.end());
  values.erase(values.begin() + (begin - times.begin()),
               values.begin() + (first - times.begin()));
  times.erase(end, times.end());
  times.erase(begin, first);
}

}  // namespace narthex::tsdb
