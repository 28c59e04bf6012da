#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace narthex::tsdb {

/// The name of a block: 48 bits of time and 80 random bits, printed as 26
/// characters that sort by time.
class Ulid {
 public:
  Ulid() = default;
  /// A new one, different from every other.
  static Ulid New(std::int64_t now_ms);
  /// kInvalidArgument unless `text` is a ULID.
  static absl::StatusOr<Ulid> Parse(absl::string_view text);

  std::string ToString() const;
  /// When it was made.
  std::int64_t time_ms() const;
  friend auto operator<=>(const Ulid&, const Ulid&) = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

}  // namespace narthex::tsdb
