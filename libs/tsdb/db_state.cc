#include "libs/tsdb/db_state.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/tsdb/block_writer.h"
#include "libs/tsdb/checkpoint.h"
#include "libs/tsdb/db_metrics.h"
#include "libs/tsdb/head_replay.h"
#include "libs/tsdb/wal_directory.h"

namespace narthex::tsdb {
namespace {

std::string WalPath(const std::string& directory) {
  return absl::StrCat(directory, "/wal");
}

// A name is a block's when it is a ULID.
bool IsBlockName(const std::string& name) { return Ulid::Parse(name).ok(); }

double Seconds(std::int64_t ms) { return static_cast<double>(ms) / 1000; }

}  // namespace

DbState::DbState(std::string directory, DbOptions options, base::Logger logger,
                 base::Clock& clock, metrics::Registry& registry)
    : directory_(std::move(directory)),
      options_(std::move(options)),
      logger_(std::move(logger)),
      clock_(clock),
      registry_(registry),
      metrics_(registry),
      exemplars_(options_.max_exemplars, registry),
      head_(std::make_shared<Head>(
          HeadOptions{{options_.block_ms, options_.samples_per_chunk},
                      options_.max_series,
                      static_cast<std::size_t>(options_.out_of_order_cap_max)},
          logger_, metrics_)) {
  head_->SetExemplars(&exemplars_);
  metrics_.retention_limit_seconds.Set(Seconds(options_.retention_ms));
  metrics_.retention_limit_bytes.Set(
      static_cast<double>(options_.retention_bytes));
  RegisterStateMetrics(registry, head_, blocks_, WalPath(directory_));
}

absl::Status DbState::Lock() {
  if (!options_.lock_file || read_only()) return absl::OkStatus();
  const std::string path = absl::StrCat(directory_, "/lock");
  lock_ =
      base::UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!lock_) return base::ErrnoStatus(errno, "create", path);
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "data directory ", directory_, " is in use by another process"));
  }
  return absl::OkStatus();
}

absl::Status DbState::RemoveLeftovers() {
  if (read_only()) return absl::OkStatus();
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                           base::ListDirectory(directory_));
  for (const std::string& name : names) {
    // Snapshots of memory only shorten Prometheus's start; they would be out
    // of date after this one.
    if (!absl::EndsWith(name, kCreationSuffix) &&
        !absl::EndsWith(name, kDeletionSuffix) &&
        !absl::StartsWith(name, "chunk_snapshot.")) {
      continue;
    }
    logger_.Info("removing what an earlier run left", {{"name", name}});
    NARTHEX_RETURN_IF_ERROR(
        base::RemoveAll(absl::StrCat(directory_, "/", name)));
  }
  return CleanUpCheckpoints(WalPath(directory_));
}

absl::Status DbState::LoadBlocks() {
  metrics_.reloads.Inc();
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                           base::ListDirectory(directory_));
  for (const std::string& name : names) {
    if (!IsBlockName(name)) continue;
    absl::StatusOr<std::shared_ptr<Block>> block =
        Block::Open(absl::StrCat(directory_, "/", name));
    if (absl::IsNotFound(block.status())) {
      logger_.Warn("directory without meta.json is no block",
                   {{"name", name}, {"err", block.status().message()}});
      continue;
    }
    if (!block.ok()) {
      metrics_.reloads_failed.Inc();
      return base::Annotate(block.status(), absl::StrCat("open block ", name));
    }
    blocks_->Exchange(*block, {});
  }
  const std::vector<Ulid> superseded = SupersededBlocks(Metas());
  if (read_only()) {
    blocks_->Exchange(nullptr, superseded);
  } else {
    NARTHEX_RETURN_IF_ERROR(RemoveBlocks(superseded));
  }
  for (const auto list = blocks(); const auto& block : *list) {
    if (!block->meta().compaction.HasHint(kHintFromOutOfOrder)) {
      head_->SetMinValidTime(block->max_ms());
    }
  }
  return absl::OkStatus();
}

absl::Status DbState::ReplayLog() {
  const std::int64_t start = clock_.MonotonicNs();
  const std::string path = WalPath(directory_);
  NARTHEX_ASSIGN_OR_RETURN(
      ReplayResult result,
      ReplayWal(path, *head_, logger_, metrics_,
                read_only() ? WalRepair::kNone : WalRepair::kCutOff));
  other_refs_ = std::move(result.other_refs);
  if (read_only()) return absl::OkStatus();
  other_refs_until_ms_ = head_->max_time();
  // What an earlier process left there is in the log too.
  NARTHEX_ASSIGN_OR_RETURN(
      std::unique_ptr<HeadChunkFiles> head_chunks,
      HeadChunkFiles::Open(absl::StrCat(directory_, "/chunks_head")));
  head_chunks_ = std::move(head_chunks);
  head_->HoldAlive(head_chunks_);
  {
    base::MutexLock lock(maintenance_);
    NARTHEX_RETURN_IF_ERROR(MoveFullChunks());
  }
  NARTHEX_ASSIGN_OR_RETURN(
      wal_, Wal::Open(path, options_.wal, logger_, metrics_.wal));
  head_->SetWal(wal_.get());
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

std::vector<BlockMeta> DbState::Metas() const {
  std::vector<BlockMeta> metas;
  for (const auto list = blocks(); const auto& block : *list) {
    metas.push_back(block->meta());
  }
  return metas;
}

// Selections under way keep the files of a block mapped.
absl::Status DbState::RemoveBlocks(const std::vector<Ulid>& ulids) {
  blocks_->Exchange(nullptr, ulids);
  for (const Ulid& ulid : ulids) {
    const std::string path = absl::StrCat(directory_, "/", ulid.ToString());
    const std::string doomed = absl::StrCat(path, kDeletionSuffix);
    NARTHEX_RETURN_IF_ERROR(base::RenameDurably(path, doomed));
    NARTHEX_RETURN_IF_ERROR(base::RemoveAll(doomed));
    logger_.Info("block removed", {{"ulid", ulid.ToString()}});
  }
  return absl::OkStatus();
}

absl::Status DbState::Close() {
  absl::Status status = wal_ == nullptr ? absl::OkStatus() : wal_->Close();
  if (wbl_ != nullptr) status.Update(wbl_->Close());
  lock_.reset();
  return status;
}

}  // namespace narthex::tsdb
