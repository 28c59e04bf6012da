#include "libs/tsdb/db_state.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/tsdb/block_writer.h"
#include "libs/tsdb/checkpoint.h"
#include "libs/tsdb/db_metrics.h"
#include "libs/tsdb/head_recovery.h"
#include "libs/tsdb/head_replay.h"
#include "libs/tsdb/wal_directory.h"

namespace narthex::tsdb {
namespace {

std::string WalPath(const std::string& directory) {
  return absl::StrCat(directory, "/wal");
}

std::string LockPath(const std::string& directory) {
  return absl::StrCat(directory, "/lock");
}

}  // namespace

DbState::DbState(std::string directory, DbOptions options, base::Logger logger,
                 base::Clock& clock, metrics::Registry& registry)
    : directory_(std::move(directory)),
      options_(std::move(options)),
      logger_(std::move(logger)),
      clock_(clock),
      registry_(registry),
      metrics_(registry),
      limit_(options_.series, registry),
      exemplars_(options_.max_exemplars, registry),
      head_(std::make_shared<Head>(
          HeadOptions{{options_.block_ms, options_.samples_per_chunk},
                      static_cast<std::size_t>(options_.out_of_order_cap_max),
                      options_.start_times,
                      options_.histogram_start_times},
          limit_, logger_, metrics_)),
      stale_threshold_(options_.stale_threshold) {
  head_->SetExemplars(&exemplars_);
  head_->SetXor2Blocks(options_.xor2_blocks);
  RegisterStateMetrics(registry, head_, blocks_, WalPath(directory_));
}

absl::Status DbState::Lock() {
  metrics_.clean_start.Set(-1);
  if (!options_.lock_file || read_only()) return absl::OkStatus();
  const std::string path = LockPath(directory_);
  const bool left_behind = base::Exists(path);
  lock_ =
      base::UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!lock_) return base::ErrnoStatus(errno, "create", path);
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "data directory ", directory_, " is in use by another process"));
  }
  // Who held the lock may have removed the file since it was opened here.
  struct stat opened {};
  struct stat named {};
  if (::fstat(lock_.get(), &opened) != 0 || ::stat(path.c_str(), &named) != 0 ||
      opened.st_ino != named.st_ino) {
    return absl::FailedPreconditionError(absl::StrCat(
        "data directory ", directory_, " was just left by another process"));
  }
  metrics_.clean_start.Set(left_behind ? 0 : 1);
  if (left_behind) {
    logger_.Warn(
        "a lock file is left from an earlier run that did not end "
        "well",
        {{"path", path}});
  }
  return absl::OkStatus();
}

absl::Status DbState::RemoveLeftovers() {
  if (read_only()) return absl::OkStatus();
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                           base::ListDirectory(directory_));
  for (const std::string& name : names) {
    if (!absl::EndsWith(name, kCreationSuffix) &&
        !absl::EndsWith(name, kDeletionSuffix)) {
      continue;
    }
    logger_.Info("removing what an earlier run left", {{"name", name}});
    NARTHEX_RETURN_IF_ERROR(
        base::RemoveAll(absl::StrCat(directory_, "/", name)));
  }
  return CleanUpCheckpoints(WalPath(directory_));
}

absl::Status DbState::ReplayLog() {
  const std::int64_t start = clock_.MonotonicNs();
  const std::string path = WalPath(directory_);
  ReplayWatch watch = options_.replay;
  ReplayStart from;
  if (!read_only()) {
    NARTHEX_ASSIGN_OR_RETURN(from, BeginReplay());
    head_->HoldAlive(head_chunks_);
    // So that a replay takes no more memory than what was replayed did.
    watch.segment_applied = [this] {
      base::MutexLock lock(maintenance_);
      const absl::Status status = MoveFullChunks();
      if (status.ok()) return;
      logger_.Warn("chunks stay in memory during the replay",
                   {{"err", status.ToString()}});
    };
  }
  NARTHEX_ASSIGN_OR_RETURN(
      ReplayResult result,
      ReplayWal(path, *head_, watch, logger_, metrics_, std::move(from)));
  other_refs_ = std::move(result.other_refs);
  // What the replay needed for itself does not count against the budget.
  if (options_.series.memory_budget_bytes > 0) ::malloc_trim(0);
  if (read_only()) return absl::OkStatus();
  if (result.flaw.has_value() || result.checkpoint_damaged) {
    NARTHEX_RETURN_IF_ERROR(head_chunks_->NeedEarlier());
  }
  if (result.flaw.has_value()) {
    NARTHEX_RETURN_IF_ERROR(RepairWal(path, *result.flaw));
  }
  NARTHEX_ASSIGN_OR_RETURN(
      wal_, Wal::Open(path, options_.wal, logger_, metrics_.wal));
  NARTHEX_RETURN_IF_ERROR(TakeFromEarlierChunks(watch.segment_applied));
  other_refs_until_ms_ = head_->max_time();
  head_->SetWal(wal_.get());
  NARTHEX_RETURN_IF_ERROR(head_->DeclareRenumbered());
  const double seconds =
      static_cast<double>(clock_.MonotonicNs() - start) * 1e-9;
  metrics_.replay_seconds.Set(seconds);
  logger_.Info("write-ahead log replayed",
               {{"segments", result.segments},
                {"samples", result.samples},
                {"series", head_->series_count()},
                {"skipped_records", result.skipped_records},
                {"seconds", seconds}});
  return absl::OkStatus();
}

// What a damaged log lost may be in the files of full chunks.
absl::Status DbState::TakeFromEarlierChunks(
    const std::function<void()>& move_full_chunks) {
  if (head_chunks_->earlier_needed()) {
    NARTHEX_ASSIGN_OR_RETURN(
        const Recovered recovered,
        RecoverFromChunkFiles(head_chunks_->earlier(), other_refs_, *head_,
                              *wal_, logger_, move_full_chunks));
    logger_.Warn("some of what the damaged log lost was found in head chunks",
                 {{"samples", recovered.samples},
                  {"unknown_chunks", recovered.unknown_chunks}});
  }
  return absl::OkStatus();
}

absl::Status DbState::Close() {
  absl::Status status = wal_ == nullptr ? absl::OkStatus() : wal_->Close();
  if (wbl_ != nullptr) status.Update(wbl_->Close());
  if (std::exchange(replayed_, false) && status.ok() &&
      options_.memory_snapshot) {
    status.Update(WriteMemorySnapshot());
  }
  if (lock_) status.Update(base::RemoveAll(LockPath(directory_)));
  lock_.reset();
  return status;
}

}  // namespace narthex::tsdb
