#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace narthex::pushgateway {

/// Where the values of a pushed body stand, and where they go: a job pushes
/// the same text again and again with nothing but the values changed, and then
/// neither labels nor layouts need be looked at.
struct ValuePlaces {
  /// The text of a value in the body, one for each line with a sample.
  struct Span {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
  };
  /// Value `line` of the body is value `value` of family `family`.
  struct Target {
    std::uint32_t line = 0;
    std::uint32_t family = 0;
    std::uint32_t value = 0;
    friend bool operator==(const Target&, const Target&) = default;
  };
  std::vector<Span> spans;
  std::vector<Target> targets;
};

/// A body without its values. Immutable.
class BodyShape {
 public:
  /// The spans must be those of `body`.
  BodyShape(absl::string_view body, const ValuePlaces& places);

  /// Whether `body` differs in values only; then these are in `*values`, one
  /// for each line. A value that is no number counts as a difference.
  bool Match(absl::string_view body, std::vector<double>* values) const;

  const std::vector<ValuePlaces::Target>& targets() const { return targets_; }
  std::uint64_t Hash() const;
  friend bool operator==(const BodyShape&, const BodyShape&) = default;

 private:
  std::string text_;
  std::vector<std::uint32_t> value_positions_;  // In text_.
  std::vector<ValuePlaces::Target> targets_;
};

}  // namespace narthex::pushgateway
