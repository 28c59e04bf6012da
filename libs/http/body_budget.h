#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"

namespace narthex::http {

/// Bounds the memory of all bodies that are under way at once. No body may take
/// more than four times what it leaves: the larger a body, the sooner it is
/// refused, so that a few huge ones leave room for all ordinary ones.
/// Thread-safe.
class BodyBudget {
 public:
  /// Bodies up to this are not counted: they are never refused.
  static constexpr std::size_t kFreeBytes = 256 << 10;

  /// `limit_bytes` 0: counted, but not limited.
  explicit BodyBudget(std::size_t limit_bytes) : limit_bytes_(limit_bytes) {}

  std::size_t limit_bytes() const { return limit_bytes_; }
  std::size_t used_bytes() const { return used_bytes_; }
  /// How many bodies found no room.
  std::uint64_t refused() const { return refused_; }

 private:
  friend class BodyClaim;

  // Takes `bytes` more for a body that has `whole` then.
  bool Take(std::size_t bytes, std::size_t whole);
  void Return(std::size_t bytes) { used_bytes_ -= bytes; }

  const std::size_t limit_bytes_;
  std::atomic<std::size_t> used_bytes_{0};
  std::atomic<std::uint64_t> refused_{0};
};

/// What one body has of a budget, given back at its end. Not thread-safe.
class BodyClaim {
 public:
  /// Of no budget: never refused.
  BodyClaim() = default;
  /// `budget` may be null, or must outlive the claim.
  explicit BodyClaim(BodyBudget* budget) : budget_(budget) {}
  BodyClaim(BodyClaim&& other) noexcept { *this = std::move(other); }
  BodyClaim& operator=(BodyClaim&& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~BodyClaim();

  /// Counts a body of `bytes` in all; false when that is too much.
  bool Cover(std::size_t bytes);
  /// Makes room for `bytes` in all in `*buffer`; false, leaving it as it is,
  /// when that is too much.
  bool Grow(std::size_t bytes, std::string* buffer);
  /// Why it was: kUnavailable "no room for the body: ...".
  absl::Status Refusal() const;

 private:
  BodyBudget* budget_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace narthex::http
