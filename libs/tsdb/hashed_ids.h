#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "libs/tsdb/postings.h"

namespace narthex::tsdb {

/// Finds series by hash: some 10 bytes each, as only ids and half of each hash
/// are kept. Different series may share a hash. Not thread-safe.
class HashedIds {
 public:
  /// The id added with `hash` for which `is_it(id)` holds; that is asked of
  /// few others.
  template <typename IsIt>
  std::optional<SeriesId> Find(std::uint64_t hash, const IsIt& is_it) const {
    if (slots_.empty()) return std::nullopt;
    const std::uint32_t tag = TagOf(hash);
    for (std::size_t i = HomeOf(tag); slots_[i].id != 0; i = Next(i)) {
      if (slots_[i].tag == tag && is_it(slots_[i].id)) return slots_[i].id;
    }
    return std::nullopt;
  }

  /// Requires: `id` is not 0 and not there.
  void Insert(std::uint64_t hash, SeriesId id);
  void Erase(std::uint64_t hash, SeriesId id);

  std::size_t size() const { return size_; }
  std::size_t memory_bytes() const { return slots_.capacity() * sizeof(Slot); }

 private:
  struct Slot {
    std::uint32_t tag = 0;
    SeriesId id = 0;  // 0: free.
  };

  static std::uint32_t TagOf(std::uint64_t hash) {
    return static_cast<std::uint32_t>(hash >> 32);
  }
  // Spreads the tags over the slots in their order, whatever the number of
  // slots is: growing then moves memory in order, too.
  std::size_t HomeOf(std::uint32_t tag) const {
    return static_cast<std::size_t>(std::uint64_t{tag} * slots_.size() >> 32);
  }
  std::size_t Next(std::size_t i) const {
    return i + 1 == slots_.size() ? 0 : i + 1;
  }
  void Put(const Slot& slot);
  void Resize(std::size_t slots);

  std::vector<Slot> slots_;  // With linear probing.
  std::size_t size_ = 0;
};

}  // namespace narthex::tsdb
