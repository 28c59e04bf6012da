#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/tsdb/compact.h"
#include "libs/tsdb/db_state.h"

namespace narthex::tsdb {
namespace {

constexpr storage::TimeRange kAllTime = {model::kMinTime, model::kMaxTime};

absl::StatusOr<std::uint64_t> DiskBytes(const std::string& directory) {
  struct statvfs info {};
  if (::statvfs(directory.c_str(), &info) != 0) {
    return base::ErrnoStatus(errno, "ask for the size of the disk of",
                             directory);
  }
  return static_cast<std::uint64_t>(info.f_blocks) * info.f_frsize;
}

// The bound on bytes that applies by now: disks may grow. 0: none.
absl::StatusOr<std::uint64_t> BoundBytes(const Retention& retention,
                                         const std::string& directory) {
  if (retention.percentage <= 0) return retention.bytes;
  NARTHEX_ASSIGN_OR_RETURN(const std::uint64_t disk, DiskBytes(directory));
  // Never 0, which would mean no bound.
  const auto share = 1 + static_cast<std::uint64_t>(static_cast<double>(disk) *
                                                    retention.percentage / 100);
  return retention.bytes == 0 ? share : std::min(share, retention.bytes);
}

std::int64_t EndOf(const BlockList& blocks) {
  std::int64_t end = model::kMinTime;
  for (const auto& block : blocks) end = std::max(end, block->max_ms());
  return end;
}

}  // namespace

absl::Status DbState::SetRetention(Retention retention) {
  NARTHEX_RETURN_IF_ERROR(BoundBytes(retention, directory_));
  metrics_.retention_limit_seconds.Set(static_cast<double>(retention.time_ms) /
                                       1000);
  metrics_.retention_limit_bytes.Set(static_cast<double>(retention.bytes));
  metrics_.retention_limit_percentage.Set(retention.percentage);
  base::MutexLock lock(retention_mutex_);
  retention_ = std::move(retention);
  examined_.clear();
  return absl::OkStatus();
}

Retention DbState::retention() const {
  base::ReaderMutexLock lock(retention_mutex_);
  return retention_;
}

absl::Status DbState::ApplyRetention() {
  const Retention now = retention();
  absl::Status status = RemoveExpired(now);
  status.Update(RemoveExcess(now));
  if (!now.rules.empty()) status.Update(RemoveExpiredSeries(now));
  return base::Annotate(status, "apply retention");
}

absl::Status DbState::RemoveExpired(const Retention& retention) {
  std::vector<BlockMeta> metas = Metas();
  for (const auto list = blocks_->unreadable();
       const UnreadableBlock& block : *list) {
    if (block.meta.has_value()) metas.push_back(*block.meta);
  }
  const std::vector<Ulid> old =
      BlocksBeyondRetention(metas, LongestTime(retention));
  if (!old.empty()) metrics_.time_retentions.Inc();
  return RemoveBlocks(old);
}

std::uint64_t DbState::BytesBesideBlocks() const {
  return wal_->SizeBytes() + (wbl_ == nullptr ? 0 : wbl_->SizeBytes()) +
         head_chunks_->size_bytes();
}

absl::Status DbState::RemoveExcess(const Retention& retention) {
  NARTHEX_ASSIGN_OR_RETURN(const std::uint64_t bound,
                           BoundBytes(retention, directory_));
  const std::vector<Ulid> excess =
      BlocksBeyondSize(*blocks(), BytesBesideBlocks(), bound);
  if (!excess.empty()) metrics_.size_retentions.Inc();
  return RemoveBlocks(excess);
}

// Deletes from blocks the series that are not kept so long, and writes these
// blocks anew without them.
absl::Status DbState::RemoveExpiredSeries(const Retention& retention) {
  const std::shared_ptr<const BlockList> list = blocks();
  const std::int64_t end = EndOf(*list);
  for (const auto& block : *list) {
    const std::int64_t age = end - block->max_ms();
    const std::int64_t reached = ReachedTime(retention, age);
    if (reached == 0) continue;
    {
      base::ReaderMutexLock lock(retention_mutex_);
      const auto it = examined_.find(block->ulid());
      if (it != examined_.end() && it->second == reached) continue;
    }
    NARTHEX_ASSIGN_OR_RETURN(
        const Postings expired,
        SeriesBeyondRetention(block->index(), retention, age));
    if (!expired.empty()) {
      logger_.Info("removing series beyond their retention",
                   {{"ulid", block->ulid().ToString()},
                    {"series", expired.size()},
                    {"age_seconds", age / 1000}});
      NARTHEX_RETURN_IF_ERROR(block->DeleteSeries(kAllTime, expired));
      NARTHEX_RETURN_IF_ERROR(Rewrite({block}));
      metrics_.series_expired.Inc(static_cast<double>(expired.size()));
      continue;
    }
    base::MutexLock lock(retention_mutex_);
    examined_[block->ulid()] = reached;
  }
  return absl::OkStatus();
}

}  // namespace narthex::tsdb
