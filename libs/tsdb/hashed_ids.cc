#include "libs/tsdb/hashed_ids.h"

#include <algorithm>
#include <utility>

namespace narthex::tsdb {
namespace {

constexpr std::size_t kFewestSlots = 16;

}  // namespace

void HashedIds::Put(const Slot& slot) {
  std::size_t i = HomeOf(slot.tag);
  while (slots_[i].id != 0) i = Next(i);
  slots_[i] = slot;
}

void HashedIds::Resize(std::size_t slots) {
  const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots));
  for (const Slot& slot : old) {
    if (slot.id != 0) Put(slot);
  }
}

void HashedIds::Insert(std::uint64_t hash, SeriesId id) {
  // At most 7 of 8 slots are in use; a third more are made at a time.
  if ((size_ + 1) * 8 > slots_.size() * 7) {
    Resize(std::max(kFewestSlots, slots_.size() + slots_.size() / 3));
  }
  Put({TagOf(hash), id});
  ++size_;
}

void HashedIds::Erase(std::uint64_t hash, SeriesId id) {
  if (slots_.empty()) return;
  std::size_t hole = HomeOf(TagOf(hash));
  while (slots_[hole].id != id) {
    if (slots_[hole].id == 0) return;
    hole = Next(hole);
  }
  --size_;
  // What was pushed on by the one that goes moves back.
  const std::size_t n = slots_.size();
  for (std::size_t i = Next(hole); slots_[i].id != 0; i = Next(i)) {
    const std::size_t home = HomeOf(slots_[i].tag);
    const std::size_t pushed = (i + n - home) % n;
    if (pushed < (i + n - hole) % n) continue;
    slots_[hole] = slots_[i];
    hole = i;
  }
  slots_[hole] = Slot{};
  if (slots_.size() > kFewestSlots && size_ * 4 < slots_.size()) {
    Resize(std::max(kFewestSlots, slots_.size() / 2));
  }
}

}  // namespace narthex::tsdb
