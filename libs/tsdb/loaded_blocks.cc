#include "libs/tsdb/loaded_blocks.h"

#include <algorithm>
#include <utility>

namespace narthex::tsdb {

std::shared_ptr<const BlockList> LoadedBlocks::list() const {
  base::ReaderMutexLock lock(mutex_);
  return list_;
}

std::shared_ptr<Block> LoadedBlocks::Find(const Ulid& ulid) const {
  for (const auto blocks = list(); const auto& block : *blocks) {
    if (block->ulid() == ulid) return block;
  }
  return nullptr;
}

void LoadedBlocks::Exchange(const std::shared_ptr<Block>& added,
                            const std::vector<Ulid>& removed) {
  base::MutexLock lock(mutex_);
  auto blocks = std::make_shared<BlockList>(*list_);
  std::erase_if(*blocks, [&removed](const auto& block) {
    return std::find(removed.begin(), removed.end(), block->ulid()) !=
           removed.end();
  });
  if (added != nullptr) {
    const auto at = std::upper_bound(
        blocks->begin(), blocks->end(), added,
        [](const auto& a, const auto& b) { return a->min_ms() < b->min_ms(); });
    blocks->insert(at, added);
  }
  list_ = std::move(blocks);
}

}  // namespace narthex::tsdb
