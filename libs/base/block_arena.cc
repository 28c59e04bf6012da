#include "libs/base/block_arena.h"

#include <cstring>

namespace narthex::base {
namespace {

BlockArena::Handle LoadHandle(const char* at) {
  BlockArena::Handle handle;
  std::memcpy(&handle, at, sizeof(handle));
  return handle;
}

}  // namespace

void BlockArena::AddPage() {
  std::uint32_t number = 0;
  if (free_pages_.empty()) {
    number = static_cast<std::uint32_t>(pages_.size());
    pages_.emplace_back();
  } else {
    number = free_pages_.back();
    free_pages_.pop_back();
  }
  // Not make_unique, which would touch the memory.
  pages_[number].reset(new Page);
  ++page_count_;
  next_ = number << kPageBits;
  end_ = next_ + kPageBlocks;
}

BlockArena::Handle BlockArena::TakeFree() {
  const Handle handle = free_;
  free_ = LoadHandle(At(handle));
  --free_count_;
  return handle;
}

void BlockArena::Free(Handle handle) {
  std::memcpy(At(handle), &free_, sizeof(free_));
  free_ = handle;
  ++free_count_;
}

void BlockArena::Trim() {
  if (free_count_ < kPageBlocks) return;
  std::vector<std::uint16_t> free_in(pages_.size());
  for (Handle h = free_; h != kNone; h = LoadHandle(At(h))) {
    ++free_in[h >> kPageBits];
  }
  // The page that is still being filled stays.
  const std::uint32_t filling = next_ >> kPageBits;
  const auto goes = [&](std::uint32_t page) {
    return free_in[page] == kPageBlocks && (page != filling || next_ == end_);
  };
  Handle kept = kNone;
  std::size_t kept_count = 0;
  for (Handle h = free_; h != kNone;) {
    const Handle next = LoadHandle(At(h));
    if (!goes(h >> kPageBits)) {
      std::memcpy(At(h), &kept, sizeof(kept));
      kept = h;
      ++kept_count;
    }
    h = next;
  }
  free_ = kept;
  free_count_ = kept_count;
  for (std::uint32_t page = 1; page < pages_.size(); ++page) {
    if (!goes(page)) continue;
    pages_[page].reset();
    free_pages_.push_back(page);
    --page_count_;
  }
}

}  // namespace narthex::base
