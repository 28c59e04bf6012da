#include "libs/tsdb/compact.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/storage/merge.h"
#include "libs/tsdb/late_chunks.h"
#include "libs/tsdb/stored_sample.h"

namespace narthex::tsdb {
namespace {

constexpr int kSamplesPerChunk = 120;
constexpr std::int64_t kRangeFactor = 3;
/// The share of deleted intervals per series that is worth a rewrite.
constexpr double kTombstoneShare = 0.05;

using Metas = std::vector<BlockMeta>;

bool AnyFailed(const Metas& metas) {
  return std::any_of(metas.begin(), metas.end(), [](const BlockMeta& meta) {
    return meta.compaction.failed;
  });
}

std::int64_t EndOf(const Metas& metas) {
  std::int64_t end = metas.front().max_ms;
  for (const BlockMeta& meta : metas) end = std::max(end, meta.max_ms);
  return end;
}

/// The first stretch of blocks (ascending by start) that overlap.
Metas FirstOverlap(const Metas& blocks) {
  Metas stretch;
  for (const BlockMeta& block : blocks) {
    if (!stretch.empty() && block.min_ms >= EndOf(stretch)) {
      if (stretch.size() > 1 && !AnyFailed(stretch)) return stretch;
      stretch.clear();
    }
    stretch.push_back(block);
  }
  if (stretch.size() > 1 && !AnyFailed(stretch)) return stretch;
  return {};
}

/// Start of the aligned span of `range` in which `time` lies.
std::int64_t AlignDown(std::int64_t time, std::int64_t range) {
  const std::int64_t remainder = time % range;
  return time - (remainder < 0 ? remainder + range : remainder);
}

/// Blocks grouped by the aligned spans of `range` that hold them whole.
std::vector<Metas> SplitBySpan(const Metas& blocks, std::int64_t range) {
  std::vector<Metas> groups;
  std::int64_t group_start = 0;
  for (const BlockMeta& block : blocks) {
    const std::int64_t start = AlignDown(block.min_ms, range);
    if (block.max_ms > start + range) continue;
    if (groups.empty() || start != group_start) groups.emplace_back();
    group_start = start;
    groups.back().push_back(block);
  }
  return groups;
}

/// Blocks that fill a span of one of the larger ranges, the smallest first.
/// A span that is not full may still get blocks while it is the newest.
Metas FirstFullSpan(const Metas& blocks,
                    const std::vector<std::int64_t>& ranges) {
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    for (const Metas& group : SplitBySpan(blocks, ranges[i])) {
      if (group.size() < 2 || AnyFailed(group)) continue;
      const std::int64_t end = EndOf(group);
      if (end - group.front().min_ms == ranges[i] ||
          end <= blocks.back().min_ms) {
        return group;
      }
    }
  }
  return {};
}

/// The newest block of which so much is deleted that it should be rewritten.
Metas MostlyDeleted(const Metas& blocks,
                    const std::vector<std::int64_t>& ranges) {
  const std::int64_t large = ranges[ranges.size() / 2];
  for (auto it = blocks.rbegin(); it != blocks.rend(); ++it) {
    const BlockStats& stats = it->stats;
    if (it->compaction.failed) continue;
    if (stats.tombstones > 0 && stats.tombstones >= stats.series) return {*it};
    if (it->max_ms - it->min_ms < large) continue;
    if (static_cast<double>(stats.tombstones) >
        kTombstoneShare * static_cast<double>(stats.series + 1)) {
      return {*it};
    }
  }
  return {};
}

BlockMeta MetaOfResult(const std::vector<std::shared_ptr<Block>>& blocks,
                       std::int64_t now_ms) {
  BlockMeta result;
  result.ulid = Ulid::New(now_ms);
  result.min_ms = blocks.front()->min_ms();
  result.max_ms = blocks.front()->max_ms();
  std::set<Ulid> sources;
  int level = 0;
  bool out_of_order = true;
  bool stale_series = true;
  bool any_stale_series = false;
  for (const auto& block : blocks) {
    const BlockMeta meta = block->meta();
    result.min_ms = std::min(result.min_ms, meta.min_ms);
    result.max_ms = std::max(result.max_ms, meta.max_ms);
    level = std::max(level, meta.compaction.level);
    sources.insert(meta.compaction.sources.begin(),
                   meta.compaction.sources.end());
    out_of_order = out_of_order && meta.compaction.HasHint(kHintFromOutOfOrder);
    const bool stale = meta.compaction.HasHint(kHintFromStaleSeries);
    stale_series = stale_series && stale;
    any_stale_series = any_stale_series || stale;
    result.compaction.parents.push_back({meta.ulid, meta.min_ms, meta.max_ms});
  }
  result.compaction.level = level + 1;
  result.compaction.sources.assign(sources.begin(), sources.end());
  // Blocks of stale series are hinted as both: with them, not all is late.
  if (stale_series || (out_of_order && any_stale_series)) {
    result.compaction.hints.emplace_back(kHintFromStaleSeries);
  }
  if (out_of_order) {
    result.compaction.hints.emplace_back(kHintFromOutOfOrder);
  }
  return result;
}

/// Replaces runs of chunks that overlap by chunks of their merged samples.
absl::Status MergeOverlapping(storage::ChunkSeries* series) {
  std::vector<storage::Chunk> merged;
  std::vector<storage::Chunk> run;
  std::int64_t run_end = 0;
  const auto flush = [&]() -> absl::Status {
    if (run.size() == 1) {
      merged.push_back(std::move(run.front()));
    } else if (!run.empty()) {
      std::vector<StoredSample> samples;
      NARTHEX_RETURN_IF_ERROR(MergeStored(run, &samples));
      EncodeStored(samples, kSamplesPerChunk, &merged);
    }
    run.clear();
    return absl::OkStatus();
  };
  for (storage::Chunk& chunk : series->chunks) {
    if (!run.empty() && chunk.min_ms > run_end) {
      NARTHEX_RETURN_IF_ERROR(flush());
    }
    run_end = run.empty() ? chunk.max_ms : std::max(run_end, chunk.max_ms);
    run.push_back(std::move(chunk));
  }
  NARTHEX_RETURN_IF_ERROR(flush());
  series->chunks = std::move(merged);
  return absl::OkStatus();
}

}  // namespace

std::vector<std::int64_t> CompactionRanges(std::int64_t min_block_ms,
                                           std::int64_t max_block_ms) {
  std::vector<std::int64_t> ranges = {min_block_ms};
  while (ranges.back() <= max_block_ms / kRangeFactor) {
    ranges.push_back(ranges.back() * kRangeFactor);
  }
  return ranges;
}

std::vector<BlockMeta> PlanCompaction(std::vector<BlockMeta> blocks,
                                      const std::vector<std::int64_t>& ranges,
                                      bool overlapping) {
  std::sort(
      blocks.begin(), blocks.end(), [](const BlockMeta& a, const BlockMeta& b) {
        return a.min_ms != b.min_ms ? a.min_ms < b.min_ms : a.ulid < b.ulid;
      });
  if (overlapping) {
    if (Metas plan = FirstOverlap(blocks); !plan.empty()) return plan;
  }
  if (blocks.size() < 2 || ranges.empty()) return {};
  blocks.pop_back();
  if (Metas plan = FirstFullSpan(blocks, ranges); !plan.empty()) return plan;
  return MostlyDeleted(blocks, ranges);
}

absl::StatusOr<std::optional<BlockMeta>> CompactBlocks(
    const std::string& directory,
    const std::vector<std::shared_ptr<Block>>& blocks, std::int64_t now_ms,
    BlockWriterOptions options) {
  if (blocks.empty()) {
    return absl::InvalidArgumentError("no blocks to compact");
  }
  std::vector<std::unique_ptr<storage::ChunkSeriesSet>> sets;
  std::vector<std::unique_ptr<storage::ChunkSeriesSet>> late;
  for (const auto& block : blocks) {
    NARTHEX_ASSIGN_OR_RETURN(auto set, block->SelectAll());
    (block->late() ? late : sets).push_back(std::move(set));
  }
  if (sets.empty()) sets.swap(late);
  auto merged = storage::MergeChunkSeries(std::move(sets));
  if (!late.empty()) {
    merged = MergeLate(std::move(merged),
                       storage::MergeChunkSeries(std::move(late)));
  }
  NARTHEX_ASSIGN_OR_RETURN(
      const auto writer,
      BlockWriter::Create(directory, MetaOfResult(blocks, now_ms), options));
  storage::ChunkSeries series;
  while (merged->Next(&series)) {
    const absl::Status status = MergeOverlapping(&series);
    if (!status.ok()) {
      return base::Annotate(
          status, absl::StrCat("series ", series.labels.ToMetricString()));
    }
    NARTHEX_RETURN_IF_ERROR(writer->AddSeries(series.labels, series.chunks));
  }
  NARTHEX_RETURN_IF_ERROR(merged->status());
  if (writer->series_count() == 0) return std::optional<BlockMeta>();
  NARTHEX_ASSIGN_OR_RETURN(BlockMeta meta, writer->Finish());
  return std::optional<BlockMeta>(std::move(meta));
}

std::vector<Ulid> BlocksBeyondRetention(const std::vector<BlockMeta>& blocks,
                                        std::int64_t retention_ms) {
  std::vector<Ulid> beyond;
  if (retention_ms <= 0 || blocks.empty()) return beyond;
  const std::int64_t newest = EndOf(blocks);
  for (const BlockMeta& block : blocks) {
    if (newest - block.max_ms >= retention_ms) beyond.push_back(block.ulid);
  }
  return beyond;
}

std::vector<Ulid> BlocksBeyondSize(
    const std::vector<std::shared_ptr<Block>>& blocks,
    std::uint64_t other_bytes, std::uint64_t max_bytes) {
  std::vector<Ulid> beyond;
  if (max_bytes == 0) return beyond;
  std::vector<std::shared_ptr<Block>> newest_first = blocks;
  std::sort(
      newest_first.begin(), newest_first.end(),
      [](const auto& a, const auto& b) { return a->max_ms() > b->max_ms(); });
  std::uint64_t total = other_bytes;
  for (const auto& block : newest_first) {
    total += block->size_bytes();
    // Once one goes, all before it go: no hole is left in the history.
    if (total > max_bytes) beyond.push_back(block->ulid());
  }
  return beyond;
}

std::vector<Ulid> SupersededBlocks(const std::vector<BlockMeta>& blocks) {
  std::set<Ulid> parents;
  for (const BlockMeta& block : blocks) {
    for (const BlockParent& parent : block.compaction.parents) {
      parents.insert(parent.ulid);
    }
  }
  std::vector<Ulid> superseded;
  for (const BlockMeta& block : blocks) {
    if (parents.contains(block.ulid)) superseded.push_back(block.ulid);
  }
  return superseded;
}

}  // namespace narthex::tsdb
