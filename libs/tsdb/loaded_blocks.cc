#include "libs/tsdb/loaded_blocks.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

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

std::shared_ptr<const UnreadableBlocks> LoadedBlocks::unreadable() const {
  base::ReaderMutexLock lock(mutex_);
  return unreadable_;
}

void LoadedBlocks::SetUnreadable(UnreadableBlocks blocks) {
  base::MutexLock lock(mutex_);
  unreadable_ = std::make_shared<const UnreadableBlocks>(std::move(blocks));
}

absl::Status LoadedBlocks::CheckReadable(
    const storage::TimeRange& range) const {
  for (const auto list = unreadable(); const UnreadableBlock& block : *list) {
    if (block.range.min_ms > range.max_ms ||
        block.range.max_ms < range.min_ms) {
      continue;
    }
    return absl::DataLossError(absl::StrCat(
        "block ", block.ulid.ToString(), " holds samples of this time (",
        block.range.min_ms, " to ", block.range.max_ms,
        ") and cannot be read; repair it, or remove it to be answered without "
        "them: ",
        block.reason.message()));
  }
  return absl::OkStatus();
}

}  // namespace narthex::tsdb
