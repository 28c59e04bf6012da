#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace narthex::base {

/// Memory in blocks of 32 bytes, each named by a number of 32 bits instead of
/// a pointer. All blocks are alike, so what one owner frees serves any other
/// and nothing is lost between blocks. Blocks stay where they are. Not
/// thread-safe.
class BlockArena {
 public:
  using Handle = std::uint32_t;
  /// The handle of no block.
  static constexpr Handle kNone = 0;
  static constexpr std::size_t kBlockBytes = 32;

  BlockArena() = default;
  BlockArena(const BlockArena&) = delete;
  BlockArena& operator=(const BlockArena&) = delete;

  /// An uninitialised block, aligned to its size.
  Handle Allocate() {
    if (free_ == kNone && next_ == end_) AddPage();
    if (free_ == kNone) return next_++;
    return TakeFree();
  }
  void Free(Handle handle);

  char* At(Handle handle) const {
    return pages_[handle >> kPageBits]->bytes +
           std::size_t{handle & (kPageBlocks - 1)} * kBlockBytes;
  }

  /// Gives the pages back that hold no block in use. Takes time in proportion
  /// to the free blocks.
  void Trim();

  std::size_t allocated_bytes() const { return page_count_ * sizeof(Page); }
  std::size_t used_bytes() const {
    return allocated_bytes() - (free_count_ + (end_ - next_)) * kBlockBytes;
  }

 private:
  static constexpr int kPageBits = 9;
  static constexpr Handle kPageBlocks = 1 << kPageBits;
  struct alignas(64) Page {
    char bytes[kPageBlocks * kBlockBytes];
  };

  void AddPage();
  Handle TakeFree();

  // Page 0 stays empty, so that no block has the handle 0.
  std::vector<std::unique_ptr<Page>> pages_ =
      std::vector<std::unique_ptr<Page>>(1);
  std::vector<std::uint32_t> free_pages_;  // Numbers without a page.
  std::size_t page_count_ = 0;
  // Blocks never used lie in [next_, end_), those used before in a list whose
  // members begin with the handle of the next.
  Handle next_ = 0;
  Handle end_ = 0;
  Handle free_ = kNone;
  std::size_t free_count_ = 0;
};

}  // namespace narthex::base
