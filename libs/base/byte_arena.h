#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace narthex::base {

/// Memory for millions of small byte strings, each named by a number of 32
/// bits instead of a pointer and held without a header. What is freed serves
/// the next string of the same length, rounded up to 4 bytes. Strings stay
/// where they are. Not thread-safe.
class ByteArena {
 public:
  using Handle = std::uint32_t;
  /// The handle of no string.
  static constexpr Handle kNone = 0;

  ByteArena() = default;
  ByteArena(const ByteArena&) = delete;
  ByteArena& operator=(const ByteArena&) = delete;

  /// Uninitialised bytes, aligned to 4. Requires: `size` is not 0.
  Handle Allocate(std::size_t size);
  /// Requires: `handle` came from Allocate(size).
  void Free(Handle handle, std::size_t size);

  char* At(Handle handle) const {
    return pages_[handle >> kUnitBits].get() +
           std::size_t{handle & (kPageUnits - 1)} * kUnitBytes;
  }

  /// Bytes of memory held, those of free strings included.
  std::size_t allocated_bytes() const { return allocated_bytes_; }

 private:
  static constexpr std::size_t kUnitBytes = 4;
  static constexpr int kUnitBits = 14;
  static constexpr std::uint32_t kPageUnits = 1 << kUnitBits;
  // Longer strings get pages of their own.
  static constexpr std::size_t kMostUnits = 256;

  static std::size_t UnitsOf(std::size_t size) {
    return (size + kUnitBytes - 1) / kUnitBytes;
  }
  std::uint32_t AddPage(std::size_t bytes);
  void PutOnFreeList(Handle handle, std::size_t units);

  // Page 0 stays empty, so that no string has the handle 0.
  std::vector<std::unique_ptr<char[]>> pages_ =
      std::vector<std::unique_ptr<char[]>>(1);
  std::vector<std::uint32_t> free_pages_;
  // First free string by length in units; each begins with the next's handle.
  std::array<Handle, kMostUnits + 1> free_{};
  Handle next_ = 0;
  std::uint32_t left_units_ = 0;  // In the page of next_.
  std::size_t allocated_bytes_ = 0;
};

}  // namespace narthex::base
