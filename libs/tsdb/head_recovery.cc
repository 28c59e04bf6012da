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

// The chunks of one kind, up to where the file is damaged.
std::vector<HeadChunk> ListChunks(const std::string& path,
                                  absl::string_view data, bool out_of_order,
                                  const OtherRefs& other_refs,
                                  const base::Logger& logger) {
  std::vector<HeadChunk> chunks;
  const auto read = ReadHeadChunks(path, data, [&](HeadChunk chunk) {
    if (chunk.out_of_order != out_of_order) return absl::OkStatus();
    const auto other = other_refs.find(chunk.ref);
    if (other != other_refs.end()) chunk.ref = other->second;
    chunks.push_back(chunk);
    return absl::OkStatus();
  });
  if (!read.ok()) {
    logger.Warn("the rest of a file of head chunks is left out",
                {{"path", path}, {"err", read.status().ToString()}});
  }
  return chunks;
}

// Nothing is appended for a chunk that cannot be decoded.
void Decode(const std::string& path, const HeadChunk& chunk,
            const storage::TimeRange& range, const base::Logger& logger,
            std::vector<StoredSample>* out) {
  const absl::Status status = DecodeStored(
      {chunk.min_ms, chunk.max_ms, chunk.encoding, chunk.bytes, nullptr}, range,
      out);
  if (status.ok()) return;
  logger.Warn("a head chunk is left out",
              {{"path", path}, {"err", status.ToString()}});
}

// By kind.
void Sort(SeriesId id, std::vector<StoredSample>& decoded,
          StartingSamples* samples, std::vector<RefHistogram>* histograms) {
  for (StoredSample& one : decoded) {
    if (one.is_float()) {
      samples->Add({id, one.timestamp_ms, one.value}, one.start_ms);
    } else {
      histograms->push_back(
          {id, one.timestamp_ms, one.start_ms, std::move(one.histogram)});
    }
  }
}

class Recovery {
 public:
  Recovery(const OtherRefs& other_refs, Head& head, Wal& wal,
           const base::Logger& logger)
      : other_refs_(other_refs), head_(head), wal_(wal), logger_(logger) {}

  absl::Status TakeFile(const std::string& path) {
    NARTHEX_ASSIGN_OR_RETURN(const base::MappedFile file,
                             base::MappedFile::Open(path));
    std::vector<HeadChunk> chunks = ListChunks(
        path, file.data(), /*out_of_order=*/false, other_refs_, logger_);
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
    Decode(path, chunk, {from, chunk.max_ms}, logger_, &decoded_);
    Sort(id, decoded_, &samples_, &histograms_);
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

class OutOfOrderRecovery {
 public:
  OutOfOrderRecovery(std::uint64_t settled, const OtherRefs& other_refs,
                     Head& head, Wal& wbl, const base::Logger& logger)
      : settled_(settled),
        other_refs_(other_refs),
        head_(head),
        wbl_(wbl),
        logger_(logger) {}

  absl::Status TakeFile(const std::string& path) {
    NARTHEX_ASSIGN_OR_RETURN(const base::MappedFile file,
                             base::MappedFile::Open(path));
    for (const HeadChunk& chunk : ListChunks(
             path, file.data(), /*out_of_order=*/true, other_refs_, logger_)) {
      if (chunk.file_ref <= settled_) continue;
      NARTHEX_RETURN_IF_ERROR(TakeChunk(path, chunk));
    }
    return absl::OkStatus();
  }

  absl::Status Log() {
    if (records_.empty()) return absl::OkStatus();
    NARTHEX_RETURN_IF_ERROR(wbl_.Log(records_));
    records_.clear();
    logged_at_ = result_.samples;
    return absl::OkStatus();
  }

  const Recovered& result() const { return result_; }

 private:
  absl::Status TakeChunk(const std::string& path, const HeadChunk& chunk) {
    const SeriesId id = IdOf(chunk.ref);
    if (!head_.HasSeries(id)) {
      ++result_.unknown_chunks;
      return absl::OkStatus();
    }
    const storage::TimeRange range{chunk.min_ms, chunk.max_ms};
    std::vector<StoredSample> decoded;
    Decode(path, chunk, range, logger_, &decoded);
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::int64_t> known,
                             head_.OutOfOrderTimes(id, range));
    std::erase_if(decoded, [&known](const StoredSample& one) {
      return std::binary_search(known.begin(), known.end(), one.timestamp_ms);
    });
    return decoded.empty() ? absl::OkStatus() : Add(id, std::move(decoded));
  }

  // The chunks stay until all is logged, so memory may be first.
  absl::Status Add(SeriesId id, std::vector<StoredSample> added) {
    StartingSamples samples;
    std::vector<RefHistogram> histograms;
    Sort(id, added, &samples, &histograms);
    head_.ReplayOutOfOrder(samples.samples, samples.starts_ms, histograms);
    if (!samples.samples.empty()) {
      EncodeSamples(samples.samples, samples.starts_ms,
                    &records_.emplace_back());
    }
    EncodeHistograms(histograms, &records_);
    result_.samples += added.size();
    return result_.samples - logged_at_ < kSamplesAtOnce ? absl::OkStatus()
                                                         : Log();
  }

  const std::uint64_t settled_;
  const OtherRefs& other_refs_;
  Head& head_;
  Wal& wbl_;
  const base::Logger& logger_;
  std::vector<std::string> records_;
  std::uint64_t logged_at_ = 0;  // So many samples were.
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

std::uint64_t LastOutOfOrderChunk(const std::vector<std::string>& paths) {
  std::uint64_t last = 0;
  for (const std::string& path : paths) {
    ReadHeadChunks(path, [&last](const HeadChunk& chunk) {
      if (chunk.out_of_order) last = std::max(last, chunk.file_ref);
      return absl::OkStatus();
    }).IgnoreError();
  }
  return last;
}

absl::StatusOr<Recovered> RecoverOutOfOrder(
    const std::vector<std::string>& paths, std::uint64_t settled,
    const OtherRefs& other_refs, Head& head, Wal& wbl,
    const base::Logger& logger) {
  OutOfOrderRecovery recovery(settled, other_refs, head, wbl, logger);
  for (const std::string& path : paths) {
    NARTHEX_RETURN_IF_ERROR(recovery.TakeFile(path));
  }
  NARTHEX_RETURN_IF_ERROR(recovery.Log());
  return recovery.result();
}

}  // namespace narthex::tsdb
