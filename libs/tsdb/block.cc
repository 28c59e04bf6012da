#include "libs/tsdb/block.h"

#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/tsdb/chunk_header.h"
#include "libs/tsdb/stored_sample.h"

namespace narthex::tsdb {
namespace {

constexpr storage::TimeRange kAllTime = {model::kMinTime, model::kMaxTime};

std::uint64_t FileBytes(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return 0;
  return static_cast<std::uint64_t>(info.st_size);
}

/// Samples to encode anew into one chunk of a size that other readers expect.
constexpr int kSamplesPerChunk = 120;

/// Replaces a chunk by ones without its deleted samples.
absl::Status CutOut(const Intervals& deleted, const storage::Chunk& chunk,
                    std::vector<storage::Chunk>* out) {
  std::vector<StoredSample> samples;
  NARTHEX_RETURN_IF_ERROR(DecodeStored(chunk, kAllTime, &samples));
  std::erase_if(samples, [&deleted](const StoredSample& sample) {
    return Overlaps(deleted, {sample.timestamp_ms, sample.timestamp_ms});
  });
  const int size = std::max(kSamplesPerChunk, static_cast<int>(samples.size()));
  EncodeStored(samples, size, out);
  return absl::OkStatus();
}

}  // namespace

class BlockSeriesSet : public storage::ChunkSeriesSet {
 public:
  BlockSeriesSet(std::shared_ptr<const Block> block, Postings postings,
                 const storage::TimeRange& range)
      : block_(std::move(block)),
        tombstones_(block_->tombstones()),
        postings_(std::move(postings)),
        range_(range),
        range_holds_all_(range.min_ms <= block_->min_ms() &&
                         range.max_ms >= block_->max_ms()) {}

  bool Next(storage::ChunkSeries* series) override {
    while (status_.ok() && next_ < postings_.size()) {
      status_ = Load(postings_[next_++], series);
      if (status_.ok() && !series->chunks.empty()) return true;
    }
    return false;
  }
  absl::Status status() const override { return status_; }

 private:
  absl::Status Load(SeriesId id, storage::ChunkSeries* series);
  absl::Status LoadChunk(const ChunkMeta& meta, const Intervals* deleted,
                         storage::ChunkSeries* series) const;

  const std::shared_ptr<const Block> block_;
  const std::shared_ptr<const Tombstones> tombstones_;
  const Postings postings_;
  const storage::TimeRange range_;
  // Then no series is left out, and its entry is decoded in one go.
  const bool range_holds_all_;
  std::size_t next_ = 0;
  std::vector<ChunkMeta> metas_;
  absl::Status status_;
};

absl::Status BlockSeriesSet::Load(SeriesId id, storage::ChunkSeries* series) {
  series->chunks.clear();
  NARTHEX_RETURN_IF_ERROR(block_->index_->Series(
      id, range_holds_all_ ? &series->labels : nullptr, &metas_));
  const auto in_range = [&](const ChunkMeta& meta) {
    return meta.max_ms >= range_.min_ms && meta.min_ms <= range_.max_ms;
  };
  if (std::none_of(metas_.begin(), metas_.end(), in_range)) {
    return absl::OkStatus();
  }
  if (!range_holds_all_) {
    NARTHEX_RETURN_IF_ERROR(
        block_->index_->Series(id, &series->labels, nullptr));
  }
  const auto stones = tombstones_->find(id);
  const Intervals* deleted =
      stones == tombstones_->end() ? nullptr : &stones->second;
  for (const ChunkMeta& meta : metas_) {
    if (!in_range(meta)) continue;
    const absl::Status status = LoadChunk(meta, deleted, series);
    if (!status.ok()) {
      return base::Annotate(
          status, absl::StrCat("block ", block_->ulid().ToString(), ": series ",
                               series->labels.ToMetricString()));
    }
  }
  return absl::OkStatus();
}

absl::Status BlockSeriesSet::LoadChunk(const ChunkMeta& meta,
                                       const Intervals* deleted,
                                       storage::ChunkSeries* series) const {
  const storage::TimeRange span{meta.min_ms, meta.max_ms};
  if (deleted != nullptr && Covers(*deleted, span)) return absl::OkStatus();
  NARTHEX_ASSIGN_OR_RETURN(const ChunkSegmentReader::View view,
                           block_->chunks_->Read(meta.ref));
  if (!IsKnownEncoding(view.encoding)) {
    return absl::UnimplementedError(absl::StrCat(
        "unknown chunk encoding ", static_cast<int>(view.encoding)));
  }
  storage::Chunk chunk;
  chunk.min_ms = meta.min_ms;
  chunk.max_ms = meta.max_ms;
  chunk.encoding = view.encoding;
  chunk.bytes = view.bytes;
  chunk.owner = block_;
  if (deleted != nullptr && Overlaps(*deleted, span)) {
    return CutOut(*deleted, chunk, &series->chunks);
  }
  series->chunks.push_back(std::move(chunk));
  return absl::OkStatus();
}

Block::Block(std::string directory, BlockMeta meta)
    : directory_(std::move(directory)),
      ulid_(meta.ulid),
      min_ms_(meta.min_ms),
      max_ms_(meta.max_ms),
      late_(meta.compaction.HasHint(kHintFromOutOfOrder) &&
            !meta.compaction.HasHint(kHintFromStaleSeries)),
      meta_(std::move(meta)) {}

absl::StatusOr<std::shared_ptr<Block>> Block::Open(
    const std::string& directory) {
  NARTHEX_ASSIGN_OR_RETURN(BlockMeta meta, ReadBlockMeta(directory));
  std::shared_ptr<Block> block(new Block(directory, std::move(meta)));
  NARTHEX_ASSIGN_OR_RETURN(block->index_,
                           IndexReader::Open(directory + "/index"));
  NARTHEX_ASSIGN_OR_RETURN(block->chunks_,
                           ChunkSegmentReader::Open(directory + "/chunks"));
  NARTHEX_ASSIGN_OR_RETURN(Tombstones tombstones, ReadTombstones(directory));
  block->other_bytes_ = FileBytes(directory + "/meta.json") +
                        FileBytes(directory + "/tombstones");
  base::MutexLock lock(block->mutex_);
  // A crash may have come between the writing of the two files.
  block->meta_.stats.tombstones = CountIntervals(tombstones);
  block->tombstones_ =
      std::make_shared<const Tombstones>(std::move(tombstones));
  return block;
}

BlockMeta Block::meta() const {
  base::ReaderMutexLock lock(mutex_);
  return meta_;
}

std::shared_ptr<const Tombstones> Block::tombstones() const {
  base::ReaderMutexLock lock(mutex_);
  return tombstones_;
}

std::uint64_t Block::size_bytes() const {
  return index_->size_bytes() + chunks_->size_bytes() + other_bytes_;
}

absl::StatusOr<std::unique_ptr<storage::ChunkSeriesSet>> Block::Select(
    const storage::TimeRange& range,
    const std::vector<model::Matcher>& matchers) const {
  Postings postings;
  if (Overlaps(range)) {
    NARTHEX_ASSIGN_OR_RETURN(postings, PostingsForMatchers(*index_, matchers));
  }
  return std::make_unique<BlockSeriesSet>(shared_from_this(),
                                          std::move(postings), range);
}

absl::StatusOr<std::unique_ptr<storage::ChunkSeriesSet>> Block::SelectAll()
    const {
  NARTHEX_ASSIGN_OR_RETURN(Postings postings, PostingsForMatchers(*index_, {}));
  return std::make_unique<BlockSeriesSet>(shared_from_this(),
                                          std::move(postings), kAllTime);
}

absl::StatusOr<std::vector<std::string>> Block::LabelNames(
    const std::vector<model::Matcher>& matchers) const {
  if (matchers.empty()) return index_->LabelNames();
  NARTHEX_ASSIGN_OR_RETURN(const Postings postings,
                           PostingsForMatchers(*index_, matchers));
  std::set<std::string> names;
  model::Labels labels;
  for (const SeriesId id : postings) {
    NARTHEX_RETURN_IF_ERROR(index_->Series(id, &labels, nullptr));
    for (const model::Label& label : labels) names.emplace(label.name);
  }
  return std::vector<std::string>(names.begin(), names.end());
}

absl::StatusOr<std::vector<std::string>> Block::LabelValues(
    const std::string& name,
    const std::vector<model::Matcher>& matchers) const {
  if (matchers.empty()) return index_->LabelValues(name);
  NARTHEX_ASSIGN_OR_RETURN(const Postings postings,
                           PostingsForMatchers(*index_, matchers));
  // Few series are asked each; of many, every value asks whether one has it.
  constexpr std::size_t kFewSeries = 1000;
  if (postings.size() <= kFewSeries) {
    std::set<std::string> values;
    for (const SeriesId id : postings) {
      NARTHEX_ASSIGN_OR_RETURN(const absl::string_view value,
                               index_->LabelValue(id, name));
      if (!value.empty()) values.emplace(value);
    }
    return std::vector<std::string>(values.begin(), values.end());
  }
  std::vector<std::string> values;
  NARTHEX_RETURN_IF_ERROR(index_->ForEachValue(
      name, "",
      [&](absl::string_view value,
          const PostingsSource::Fetch& fetch) -> absl::Status {
        NARTHEX_ASSIGN_OR_RETURN(const PostingsView list, fetch());
        if (Intersects(list, postings)) values.emplace_back(value);
        return absl::OkStatus();
      }));
  return values;
}

absl::Status Block::Delete(const storage::TimeRange& range,
                           const std::vector<model::Matcher>& matchers) {
  if (!Overlaps(range)) return absl::OkStatus();
  NARTHEX_ASSIGN_OR_RETURN(const Postings postings,
                           PostingsForMatchers(*index_, matchers));
  return DeleteSeries(range, postings);
}

absl::Status Block::DeleteSeries(const storage::TimeRange& range,
                                 const Postings& postings) {
  // Deletions follow one another: each starts from what the last one wrote.
  base::MutexLock lock(mutex_);
  Tombstones tombstones = *tombstones_;
  std::vector<ChunkMeta> chunks;
  for (const SeriesId id : postings) {
    NARTHEX_RETURN_IF_ERROR(index_->Series(id, nullptr, &chunks));
    if (chunks.empty()) continue;
    const storage::TimeRange deleted{
        std::max(range.min_ms, chunks.front().min_ms),
        std::min(range.max_ms, chunks.back().max_ms)};
    AddInterval(deleted, &tombstones[id]);
    if (tombstones[id].empty()) tombstones.erase(id);
  }
  BlockMeta meta = meta_;
  meta.stats.tombstones = CountIntervals(tombstones);
  NARTHEX_RETURN_IF_ERROR(WriteTombstones(directory_, tombstones));
  tombstones_ = std::make_shared<const Tombstones>(std::move(tombstones));
  NARTHEX_RETURN_IF_ERROR(WriteBlockMeta(directory_, meta));
  meta_ = std::move(meta);
  return absl::OkStatus();
}

}  // namespace narthex::tsdb
