#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/tsdb/block_writer.h"
#include "libs/tsdb/compact.h"
#include "libs/tsdb/db_state.h"

namespace narthex::tsdb {
namespace {

std::string PathOf(const std::string& directory, const Ulid& ulid) {
  return absl::StrCat(directory, "/", ulid.ToString());
}

// The directories that are named as blocks.
absl::StatusOr<std::vector<Ulid>> ListBlocks(const std::string& directory) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                           base::ListDirectory(directory));
  std::vector<Ulid> ulids;
  for (const std::string& name : names) {
    const absl::StatusOr<Ulid> ulid = Ulid::Parse(name);
    if (ulid.ok()) ulids.push_back(*ulid);
  }
  return ulids;
}

bool Contains(const std::vector<Ulid>& ulids, const Ulid& ulid) {
  return std::find(ulids.begin(), ulids.end(), ulid) != ulids.end();
}

// The times that the chunks of a block have by its index; all of time when
// that cannot be read.
storage::TimeRange TimesInIndex(const std::string& block) {
  constexpr storage::TimeRange kUnknown = {model::kMinTime, model::kMaxTime};
  const auto index = IndexReader::Open(absl::StrCat(block, "/index"));
  if (!index.ok()) return kUnknown;
  const absl::StatusOr<PostingsView> ids = (*index)->All();
  if (!ids.ok()) return kUnknown;
  storage::TimeRange range{model::kMaxTime, model::kMinTime};
  std::vector<ChunkMeta> chunks;
  for (std::size_t i = 0; i < ids->size(); ++i) {
    chunks.clear();
    if (!(*index)->Series((*ids)[i], nullptr, &chunks).ok()) return kUnknown;
    for (const ChunkMeta& chunk : chunks) {
      range.min_ms = std::min(range.min_ms, chunk.min_ms);
      range.max_ms = std::max(range.max_ms, chunk.max_ms);
    }
  }
  return range;
}

// Those that another block stands for, and those that were compacted to
// nothing.
std::vector<Ulid> Obsolete(const std::vector<BlockMeta>& loaded,
                           const UnreadableBlocks& unreadable) {
  std::vector<Ulid> obsolete = SupersededBlocks(loaded);
  for (const BlockMeta& meta : loaded) {
    if (meta.compaction.deletable) obsolete.push_back(meta.ulid);
    for (const UnreadableBlock& block : unreadable) {
      const auto& parents = meta.compaction.parents;
      if (std::any_of(parents.begin(), parents.end(),
                      [&block](const BlockParent& parent) {
                        return parent.ulid == block.ulid;
                      })) {
        obsolete.push_back(block.ulid);
      }
    }
  }
  return obsolete;
}

}  // namespace

absl::Status DbState::LoadBlocks() {
  {
    base::MutexLock lock(maintenance_);
    NARTHEX_RETURN_IF_ERROR(ReloadBlocks());
  }
  for (const auto list = blocks(); const auto& block : *list) {
    const BlockCompaction compaction = block->meta().compaction;
    // These hold some of the samples of times that the head has too.
    if (compaction.HasHint(kHintFromOutOfOrder) ||
        compaction.HasHint(kHintFromStaleSeries)) {
      continue;
    }
    head_->SetMinValidTime(block->max_ms());
  }
  return absl::OkStatus();
}

absl::Status DbState::ReloadBlocks() {
  metrics_.reloads.Inc();
  const absl::StatusOr<std::vector<Ulid>> present = ListBlocks(directory_);
  if (!present.ok()) {
    metrics_.reloads_failed.Inc();
    return base::Annotate(present.status(), "look for blocks");
  }
  std::vector<Ulid> gone;
  for (const auto list = blocks(); const auto& block : *list) {
    if (Contains(*present, block->ulid())) continue;
    gone.push_back(block->ulid());
    logger_.Warn("block is not there any more",
                 {{"ulid", block->ulid().ToString()}});
  }
  if (!gone.empty()) blocks_->Exchange(nullptr, gone);
  NARTHEX_ASSIGN_OR_RETURN(UnreadableBlocks unreadable,
                           OpenNewBlocks(*present));
  const std::vector<Ulid> obsolete = Obsolete(Metas(), unreadable);
  std::erase_if(unreadable, [&obsolete](const UnreadableBlock& block) {
    return Contains(obsolete, block.ulid);
  });
  ReportUnreadable(unreadable);
  if (!unreadable.empty()) metrics_.reloads_failed.Inc();
  blocks_->SetUnreadable(std::move(unreadable));
  return RemoveBlocks(obsolete);
}

// Opens those of the blocks that are not open; returns which cannot be.
absl::StatusOr<UnreadableBlocks> DbState::OpenNewBlocks(
    const std::vector<Ulid>& present) {
  UnreadableBlocks unreadable;
  const std::shared_ptr<const UnreadableBlocks> known = blocks_->unreadable();
  for (const Ulid& ulid : present) {
    if (blocks_->Find(ulid) != nullptr) continue;
    const std::string path = PathOf(directory_, ulid);
    absl::StatusOr<std::shared_ptr<Block>> block = Block::Open(path);
    if (block.ok()) {
      blocks_->Exchange(*block, {});
      continue;
    }
    absl::StatusOr<BlockMeta> meta = ReadBlockMeta(path);
    if (absl::IsNotFound(meta.status())) {
      logger_.Debug("directory without meta.json is no block",
                    {{"name", ulid.ToString()}});
      continue;
    }
    if (meta.ok()) {
      unreadable.push_back(
          {ulid, *meta, {meta->min_ms, meta->max_ms - 1}, block.status()});
      continue;
    }
    const auto same = std::find_if(
        known->begin(), known->end(), [&ulid](const UnreadableBlock& one) {
          return one.ulid == ulid && !one.meta.has_value();
        });
    unreadable.push_back(
        {ulid, std::nullopt,
         same == known->end() ? TimesInIndex(path) : same->range,
         block.status()});
  }
  return unreadable;
}

// Each once, unless the reason changes.
void DbState::ReportUnreadable(const UnreadableBlocks& unreadable) const {
  const std::shared_ptr<const UnreadableBlocks> known = blocks_->unreadable();
  for (const UnreadableBlock& block : unreadable) {
    if (std::any_of(known->begin(), known->end(),
                    [&block](const UnreadableBlock& other) {
                      return other.ulid == block.ulid &&
                             other.reason == block.reason;
                    })) {
      continue;
    }
    logger_.Error(
        "corrupt block left aside; queries of its time are refused until it "
        "is repaired or removed",
        {{"ulid", block.ulid.ToString()},
         {"min_ms", block.range.min_ms},
         {"max_ms", block.range.max_ms},
         {"err", block.reason.ToString()}});
  }
}

std::uint64_t DbState::corruption_count() const {
  return blocks_->unreadable()->size() +
         static_cast<std::uint64_t>(metrics_.wal_corruptions.value());
}

std::vector<BlockMeta> DbState::Metas() const {
  std::vector<BlockMeta> metas;
  for (const auto list = blocks(); const auto& block : *list) {
    metas.push_back(block->meta());
  }
  return metas;
}

// Selections under way keep the files of a block mapped.
absl::Status DbState::RemoveBlocks(const std::vector<Ulid>& ulids) {
  if (ulids.empty()) return absl::OkStatus();
  blocks_->Exchange(nullptr, ulids);
  if (read_only()) return absl::OkStatus();
  for (const Ulid& ulid : ulids) {
    const std::string path = PathOf(directory_, ulid);
    if (!base::Exists(path)) continue;
    const std::string doomed = absl::StrCat(path, kDeletionSuffix);
    NARTHEX_RETURN_IF_ERROR(base::RenameDurably(path, doomed));
    NARTHEX_RETURN_IF_ERROR(base::RemoveAll(doomed));
    logger_.Info("block removed", {{"ulid", ulid.ToString()}});
  }
  return absl::OkStatus();
}

}  // namespace narthex::tsdb
