#include "libs/tsdb/head_recovery.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/tsdb/head_chunk_reader.h"
#include "libs/tsdb/stored_sample.h"

namespace narthex::tsdb {
namespace {

// Samples that are decoded, applied and logged together.
constexpr std::size_t kSamplesAtOnce = 1 << 16;

class Recovery {
 public:
  Recovery(const OtherRefs& other_refs, Head& head, Wal& wal,
           const base::Logger& logger)
      : other_refs_(other_refs), head_(head), wal_(wal), logger_(logger) {}

  absl::Status TakeFile(const std::string& path) {
    NARTHEX_ASSIGN_OR_RETURN(const base::MappedFile file,
                             base::MappedFile::Open(path));
    std::vector<HeadChunk> chunks;
    const auto read = ReadHeadChunks(path, file.data(), [&](HeadChunk chunk) {
      if (chunk.out_of_order) return absl::OkStatus();
      const auto other = other_refs_.find(chunk.ref);
      if (other != other_refs_.end()) chunk.ref = other->second;
      chunks.push_back(chunk);
      return absl::OkStatus();
    });
    if (!read.ok()) {
      logger_.Warn("the rest of a file of head chunks is left out",
                   {{"path", path}, {"err", read.status().ToString()}});
    }
    std::sort(chunks.begin(), chunks.end(),
              [](const HeadChunk& a, const HeadChunk& b) {
                return std::make_pair(a.ref, a.min_ms) <
                       std::make_pair(b.ref, b.min_ms);
              });
    for (const HeadChunk& chunk : chunks) {
      NARTHEX_RETURN_IF_ERROR(TakeChunk(path, chunk));
    }
    return Flush();
  }

  const Recovered& result() const { return result_; }

 private:
  absl::Status TakeChunk(const std::string& path, const HeadChunk& chunk) {
    const SeriesId id = IdOf(chunk.ref);
    if (!head_.HasSeries(id)) {
      ++result_.unknown_chunks;
      return absl::OkStatus();
    }
    const std::int64_t from =
        std::max(head_.min_valid_time(), head_.LastTimeOf(id) + 1);
    if (chunk.max_ms < from) return absl::OkStatus();
    decoded_.clear();
    const absl::Status status = DecodeStored(
        {chunk.min_ms, chunk.max_ms, chunk.encoding, chunk.bytes, nullptr},
        {from, chunk.max_ms}, &decoded_);
    if (!status.ok()) {
      logger_.Warn("a head chunk is left out",
                   {{"path", path}, {"err", status.ToString()}});
      return absl::OkStatus();
    }
    for (StoredSample& one : decoded_) {
      if (one.is_float()) {
        samples_.Add({id, one.timestamp_ms, one.value}, one.start_ms);
      } else {
        histograms_.push_back(
            {id, one.timestamp_ms, one.start_ms, std::move(one.histogram)});
      }
    }
    return samples_.samples.size() + histograms_.size() < kSamplesAtOnce
               ? absl::OkStatus()
               : Flush();
  }

  // The log first, as always.
  absl::Status Flush() {
    std::vector<std::string> records(1);
    EncodeSamples(samples_.samples, samples_.starts_ms, &records[0]);
    EncodeHistograms(histograms_, &records);
    NARTHEX_RETURN_IF_ERROR(wal_.Log(records));
    Head::ReplayRecord record;
    record.samples = samples_.samples;
    record.starts_ms = samples_.starts_ms;
    record.histograms = histograms_;
    record.samples_by_shard.Sort(record.samples);
    record.histograms_by_shard.Sort(record.histograms);
    for (std::uint32_t shard = 0; shard < ByShard::kShards; ++shard) {
      head_.ReplayShard(shard, record);
    }
    result_.samples += samples_.samples.size() + histograms_.size();
    samples_ = {};
    histograms_.clear();
    return absl::OkStatus();
  }

  const OtherRefs& other_refs_;
  Head& head_;
  Wal& wal_;
  const base::Logger& logger_;
  std::vector<StoredSample> decoded_;
  StartingSamples samples_;
  std::vector<RefHistogram> histograms_;
  Recovered result_;
};

}  // namespace

absl::StatusOr<Recovered> RecoverFromChunkFiles(
    const std::vector<std::string>& paths, const OtherRefs& other_refs,
    Head& head, Wal& wal, const base::Logger& logger,
    const std::function<void()>& file_done) {
  Recovery recovery(other_refs, head, wal, logger);
  for (const std::string& path : paths) {
    NARTHEX_RETURN_IF_ERROR(recovery.TakeFile(path));
    file_done();
  }
  return recovery.result();
}

}  // namespace narthex::tsdb
