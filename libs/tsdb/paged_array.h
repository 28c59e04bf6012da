#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace narthex::tsdb {

/// An array over sparse 32-bit indices in which neighbours lie together: pages
/// of 64 elements exist while one of theirs is in use. Elements stay where
/// they are. Not thread-safe.
template <typename T>
class PagedArray {
  struct Page;

 public:
  static constexpr std::uint32_t kPageSize = 64;

  static std::uint32_t PageOf(std::uint32_t index) { return index / kPageSize; }

  /// The element, or null when it is not in use.
  T* Find(std::uint32_t index) const {
    Page* page = FindPage(PageOf(index));
    return page == nullptr || !page->Has(index) ? nullptr : page->At(index);
  }

  /// Finds neighbours at little cost. Valid until an element is made or erased.
  class Cursor {
   public:
    explicit Cursor(const PagedArray& array) : array_(array) {}
    T* Find(std::uint32_t index) {
      if (page_ == nullptr || PageOf(index) != number_) {
        number_ = PageOf(index);
        page_ = array_.FindPage(number_);
      }
      return page_ == nullptr || !page_->Has(index) ? nullptr
                                                    : page_->At(index);
    }

   private:
    const PagedArray& array_;
    std::uint32_t number_ = 0;
    Page* page_ = nullptr;
  };

  /// The element, made when it is not in use.
  T& Make(std::uint32_t index) {
    std::unique_ptr<Page>& page = pages_[PageOf(index)];
    if (page == nullptr) page = std::make_unique<Page>();
    page->used |= Bit(index);
    return *page->At(index);
  }

  /// Takes the element out of use and destroys what it holds.
  void Erase(std::uint32_t index) {
    const auto it = pages_.find(PageOf(index));
    if (it == pages_.end() || !it->second->Has(index)) return;
    *it->second->At(index) = T();
    it->second->used &= ~Bit(index);
    if (it->second->used != 0) return;
    pages_.erase(it);
  }

  /// Bytes held, but for what the elements hold elsewhere.
  std::size_t allocated_bytes() const {
    return pages_.size() * sizeof(Page) +
           pages_.capacity() * (sizeof(*pages_.begin()) + 1);
  }

  /// Calls `visit(index, element)` for all elements in use, in no order.
  template <typename Visit>
  void ForEach(const Visit& visit) const {
    for (const auto& [number, page] : pages_) {
      for (std::uint32_t i = 0; i < kPageSize; ++i) {
        if ((page->used >> i & 1) == 0) continue;
        visit(number * kPageSize + i, page->elements[i]);
      }
    }
  }

 private:
  struct Page {
    std::uint64_t used = 0;
    std::array<T, kPageSize> elements;

    bool Has(std::uint32_t index) const { return (used & Bit(index)) != 0; }
    T* At(std::uint32_t index) { return &elements[index % kPageSize]; }
  };

  static std::uint64_t Bit(std::uint32_t index) {
    return std::uint64_t{1} << (index % kPageSize);
  }

  Page* FindPage(std::uint32_t number) const {
    const auto it = pages_.find(number);
    return it == pages_.end() ? nullptr : it->second.get();
  }

  absl::flat_hash_map<std::uint32_t, std::unique_ptr<Page>> pages_;
};

}  // namespace narthex::tsdb
