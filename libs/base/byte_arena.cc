#include "libs/base/byte_arena.h"

#include <cstring>

namespace narthex::base {

ByteArena::Handle ByteArena::Allocate(std::size_t size) {
  const std::size_t units = UnitsOf(size);
  if (units > kMostUnits) {
    allocated_bytes_ += units * kUnitBytes;
    return AddPage(units * kUnitBytes) << kUnitBits;
  }
  if (const Handle handle = free_[units]; handle != kNone) {
    std::memcpy(&free_[units], At(handle), sizeof(Handle));
    return handle;
  }
  if (left_units_ < units) {
    if (left_units_ > 0) PutOnFreeList(next_, left_units_);
    next_ = AddPage(kPageUnits * kUnitBytes) << kUnitBits;
    left_units_ = kPageUnits;
    allocated_bytes_ += kPageUnits * kUnitBytes;
  }
  const Handle handle = next_;
  next_ += static_cast<Handle>(units);
  left_units_ -= static_cast<std::uint32_t>(units);
  return handle;
}

void ByteArena::Free(Handle handle, std::size_t size) {
  const std::size_t units = UnitsOf(size);
  if (units <= kMostUnits) {
    PutOnFreeList(handle, units);
    return;
  }
  const std::uint32_t page = handle >> kUnitBits;
  pages_[page].reset();
  free_pages_.push_back(page);
  allocated_bytes_ -= units * kUnitBytes;
}

std::uint32_t ByteArena::AddPage(std::size_t bytes) {
  // Not make_unique, which would touch the memory.
  std::unique_ptr<char[]> page(new char[bytes]);
  if (free_pages_.empty()) {
    pages_.push_back(std::move(page));
    return static_cast<std::uint32_t>(pages_.size() - 1);
  }
  const std::uint32_t number = free_pages_.back();
  free_pages_.pop_back();
  pages_[number] = std::move(page);
  return number;
}

void ByteArena::PutOnFreeList(Handle handle, std::size_t units) {
  std::memcpy(At(handle), &free_[units], sizeof(Handle));
  free_[units] = handle;
}

}  // namespace narthex::base
