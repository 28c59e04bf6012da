#include "libs/tsdb/open_chunk.h"

#include <algorithm>
#include <bit>

#include "libs/base/varint.h"
#include "libs/tsdb/bit_chain.h"

namespace narthex::tsdb {
namespace {

constexpr std::size_t kCountBytes = 2;

// Gathers bits so that most samples are written with one store.
class BitQueue {
 public:
  explicit BitQueue(BitChain& chain) : chain_(chain) {}

  /// The low `n` bits (1 to 64).
  void Put(std::uint64_t bits, int n) {
    if (size_ + n > 64) Flush();
    bits_ = n == 64 ? bits : bits_ << n | bits;
    size_ += n;
  }
  void Flush() {
    if (size_ > 0) chain_.PutBits(bits_, size_);
    bits_ = 0;
    size_ = 0;
  }

 private:
  BitChain& chain_;
  std::uint64_t bits_ = 0;
  int size_ = 0;
};

bool FitsDod(std::int64_t dod, int n) {
  const std::int64_t half = std::int64_t{1} << (n - 1);
  return -(half - 1) <= dod && dod <= half;
}

void PutDod(std::int64_t dod, BitQueue& queue) {
  if (dod == 0) return queue.Put(0, 1);
  // Sizes of a delta of deltas after 1, 2 and 3 leading ones.
  constexpr int kBits[] = {14, 17, 20};
  for (int ones = 1; ones <= 3; ++ones) {
    const int n = kBits[ones - 1];
    if (!FitsDod(dod, n)) continue;
    // `ones` ones and a zero.
    const std::uint64_t prefix = (std::uint64_t{2} << ones) - 2;
    const std::uint64_t low = (std::uint64_t{1} << n) - 1;
    return queue.Put(prefix << n | (static_cast<std::uint64_t>(dod) & low),
                     ones + 1 + n);
  }
  queue.Put(0b1111, 4);
  queue.Put(static_cast<std::uint64_t>(dod), 64);
}

}  // namespace

void PutSampleCount(int count, char* chunk) {
  chunk[0] = static_cast<char>(count >> 8);
  chunk[1] = static_cast<char>(count & 0xff);
}

std::int64_t OpenChunk::min_ms(const base::BlockArena& arena) const {
  return base::ByteReader(
             FrontOfChain(arena, block_, bytes_).substr(kCountBytes))
      .Varint();
}

void OpenChunk::Append(base::BlockArena& arena, std::int64_t timestamp_ms,
                       double value) {
  BitChain chain(arena, {block_, bytes_, static_cast<std::uint8_t>(used_),
                         static_cast<std::uint8_t>(free_bits_)});
  const auto delta =
      static_cast<std::uint32_t>(static_cast<std::uint64_t>(timestamp_ms) -
                                 static_cast<std::uint64_t>(last_ms_));
  const auto bits = std::bit_cast<std::uint64_t>(value);
  if (count_ == 0) {
    std::string start(kCountBytes, '\0');
    base::PutVarint(timestamp_ms, &start);
    base::PutBe64(bits, &start);
    chain.PutBytes(start);
  } else {
    BitQueue queue(chain);
    if (count_ == 1) {
      std::string bytes;
      base::PutUvarint(delta, &bytes);
      chain.PutBytes(bytes);
    } else {
      PutDod(std::int64_t{delta} - std::int64_t{delta_ms_}, queue);
    }
    delta_ms_ = delta;
    const std::uint64_t changed =
        bits ^ std::bit_cast<std::uint64_t>(last_value());
    if (changed == 0) {
      queue.Put(0, 1);
    } else {
      // Five bits hold the number of leading zeros.
      const auto leading =
          static_cast<std::uint32_t>(std::min(std::countl_zero(changed), 31));
      const auto trailing =
          static_cast<std::uint32_t>(std::countr_zero(changed));
      if (has_window_ != 0 && leading >= leading_ && trailing >= trailing_) {
        queue.Put(0b10, 2);
      } else {
        has_window_ = 1;
        leading_ = leading & 31;
        trailing_ = trailing & 63;
        const std::uint32_t meaningful = 64 - leading - trailing;
        queue.Put(0b11 << 11 | leading << 6 | (meaningful & 63), 13);
      }
      queue.Put(changed >> trailing_,
                static_cast<int>(64 - leading_ - trailing_));
    }
    queue.Flush();
  }
  last_ms_ = timestamp_ms;
  last_value_ = value;
  ++count_;
  const BitChain::End& end = chain.end();
  block_ = end.block;
  bytes_ = end.bytes;
  used_ = end.used & 31;
  free_bits_ = end.free_bits & 7;
}

void OpenChunk::AppendBytesTo(const base::BlockArena& arena,
                              std::string* out) const {
  const std::size_t start = out->size();
  AppendChain(arena, block_, bytes_, out);
  if (bytes_ > 0) PutSampleCount(count_, out->data() + start);
}

void OpenChunk::Clear(base::BlockArena& arena) {
  FreeChain(arena, block_);
  *this = OpenChunk();
}

base::BlockArena::Handle OpenChunk::Release() {
  const base::BlockArena::Handle block = block_;
  OpenChunk empty;
  empty.last_ms_ = last_ms_;
  empty.last_value_ = last_value_;
  *this = empty;
  return block;
}

}  // namespace narthex::tsdb
