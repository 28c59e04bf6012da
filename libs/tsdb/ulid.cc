#include "libs/tsdb/ulid.h"

#include <random>

#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"

namespace narthex::tsdb {
namespace {

constexpr absl::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::size_t kTextSize = 26;
constexpr std::size_t kTimeBytes = 6;

}  // namespace

Ulid Ulid::New(std::int64_t now_ms) {
  Ulid ulid;
  for (std::size_t i = 0; i < kTimeBytes; ++i) {
    ulid.bytes_[i] = static_cast<std::uint8_t>(now_ms >> (40 - 8 * i));
  }
  std::random_device random;
  for (std::size_t i = kTimeBytes; i < ulid.bytes_.size(); ++i) {
    ulid.bytes_[i] = static_cast<std::uint8_t>(random());
  }
  return ulid;
}

absl::StatusOr<Ulid> Ulid::Parse(absl::string_view text) {
  const absl::Status invalid = absl::InvalidArgumentError(
      absl::StrCat("not a ULID: ", base::Quote(text)));
  // 26 characters are 130 bits: the first has room for two too many.
  if (text.size() != kTextSize || text[0] > '7') return invalid;
  Ulid ulid;
  unsigned window = 0;
  int bits = -2;
  std::size_t byte = 0;
  for (const char c : text) {
    const auto digit = kAlphabet.find(c);
    if (digit == absl::string_view::npos) return invalid;
    window = window << 5 | static_cast<unsigned>(digit);
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    ulid.bytes_[byte++] = static_cast<std::uint8_t>(window >> bits);
  }
  return ulid;
}

std::string Ulid::ToString() const {
  std::string text;
  unsigned window = 0;
  int bits = 2;  // Two leading zero bits make it 26 digits of five bits.
  for (const std::uint8_t byte : bytes_) {
    window = window << 8 | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text.push_back(kAlphabet[window >> bits & 31]);
    }
  }
  return text;
}

std::int64_t Ulid::time_ms() const {
  std::int64_t time = 0;
  for (std::size_t i = 0; i < kTimeBytes; ++i) time = time << 8 | bytes_[i];
  return time;
}

}  // namespace narthex::tsdb
