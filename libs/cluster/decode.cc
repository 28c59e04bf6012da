#include "libs/cluster/decode.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/storage/merge.h"
#include "libs/tsdb/xor_chunk.h"

namespace narthex::cluster {
namespace {

class DecodedSeries : public storage::Series {
 public:
  DecodedSeries(storage::ChunkSeries series, const storage::TimeRange& range)
      : series_(std::move(series)), range_(range) {}

  const model::Labels& labels() const override { return series_.labels; }

  absl::Status Read(model::SampleColumns* out) const override {
    for (const storage::Chunk& chunk : series_.chunks) {
      if (chunk.max_ms < range_.min_ms || chunk.min_ms > range_.max_ms) {
        continue;
      }
      NARTHEX_RETURN_IF_ERROR(
          base::Annotate(ReadChunk(chunk, out), series_.labels.ToString()));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status ReadChunk(const storage::Chunk& chunk,
                         model::SampleColumns* out) const {
    if (chunk.encoding != storage::Encoding::kXor) {
      return absl::UnimplementedError(
          absl::StrCat("chunk encoding ", static_cast<int>(chunk.encoding),
                       " is not supported"));
    }
    if (out->empty() || out->timestamps_ms.back() < chunk.min_ms) {
      return tsdb::DecodeXorChunk(chunk.bytes, range_, out);
    }
    model::SampleColumns overlapping;
    NARTHEX_RETURN_IF_ERROR(
        tsdb::DecodeXorChunk(chunk.bytes, range_, &overlapping));
    storage::MergeColumns(overlapping, out);
    return absl::OkStatus();
  }

  const storage::ChunkSeries series_;
  const storage::TimeRange range_;
};

class DecodedSet : public storage::SeriesSet {
 public:
  DecodedSet(std::unique_ptr<storage::ChunkSeriesSet> chunks,
             const storage::TimeRange& range)
      : chunks_(std::move(chunks)), range_(range) {}

  bool Next() override { return chunks_->Next(&current_); }
  std::unique_ptr<storage::Series> At() override {
    return MakeSeries(std::move(current_), range_);
  }
  absl::Status status() const override { return chunks_->status(); }

 private:
  std::unique_ptr<storage::ChunkSeriesSet> chunks_;
  const storage::TimeRange range_;
  storage::ChunkSeries current_;
};

}  // namespace

std::unique_ptr<storage::Series> MakeSeries(storage::ChunkSeries series,
                                            const storage::TimeRange& range) {
  return std::make_unique<DecodedSeries>(std::move(series), range);
}

std::unique_ptr<storage::SeriesSet> MakeSeriesSet(
    std::unique_ptr<storage::ChunkSeriesSet> chunks,
    const storage::TimeRange& range) {
  return std::make_unique<DecodedSet>(std::move(chunks), range);
}

}  // namespace narthex::cluster
