#include "libs/tsdb/checkpoint.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/tsdb/wal_directory.h"
#include "libs/tsdb/wal_histogram_records.h"
#include "libs/tsdb/wal_records.h"

namespace narthex::tsdb {
namespace {

constexpr absl::string_view kTemporarySuffix = ".tmp";
// Records are written in groups of about this many bytes.
constexpr std::size_t kGroupBytes = std::size_t{1} << 20;

// Passes on of every record what is to be kept.
class Digest {
 public:
  Digest(Wal& out, const CheckpointFilter& filter)
      : out_(out), filter_(filter) {}

  absl::Status Add(absl::string_view record) {
    switch (static_cast<WalRecordType>(WalRecordTypeOf(record))) {
      case WalRecordType::kSeries:
        return AddSeries(record);
      case WalRecordType::kSamples:
      case WalRecordType::kSamplesV2:
        return AddSamples(record);
      case WalRecordType::kTombstones:
        return AddTombstones(record);
      case WalRecordType::kMetadata:
        return AddMetadata(record);
      case WalRecordType::kExemplars:
        return AddExemplars(record);
      case WalRecordType::kHistograms:
      case WalRecordType::kFloatHistograms:
      case WalRecordType::kCustomBucketHistograms:
      case WalRecordType::kCustomBucketFloatHistograms:
      case WalRecordType::kHistogramsV2:
      case WalRecordType::kFloatHistogramsV2:
        return AddHistograms(record);
      case WalRecordType::kMmapMarkers:
        break;
    }
    return absl::OkStatus();
  }

  absl::Status Finish() {
    std::vector<RefMetadata> newest;
    for (auto& [ref, metadata] : metadata_) newest.push_back(metadata);
    std::string record;
    EncodeMetadata(newest, &record);
    NARTHEX_RETURN_IF_ERROR(Put(std::move(record)));
    return Flush();
  }

 private:
  absl::Status AddSeries(absl::string_view record) {
    std::vector<RefSeries> series;
    NARTHEX_RETURN_IF_ERROR(DecodeSeries(record, &series));
    std::erase_if(series, [this](const RefSeries& one) {
      return !filter_.keep_series(one.ref);
    });
    std::string kept;
    EncodeSeries(series, &kept);
    return Put(std::move(kept));
  }

  absl::Status AddSamples(absl::string_view record) {
    std::vector<RefSample> samples;
    std::vector<std::int64_t> starts_ms;
    NARTHEX_RETURN_IF_ERROR(DecodeSamples(record, &samples, &starts_ms));
    std::size_t kept_count = 0;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      if (samples[i].timestamp_ms < filter_.min_ms) continue;
      samples[kept_count] = samples[i];
      if (!starts_ms.empty()) starts_ms[kept_count] = starts_ms[i];
      ++kept_count;
    }
    samples.resize(kept_count);
    if (!starts_ms.empty()) starts_ms.resize(kept_count);
    std::string kept;
    EncodeSamples(samples, starts_ms, &kept);
    return Put(std::move(kept));
  }

  absl::Status AddExemplars(absl::string_view record) {
    std::vector<RefExemplar> exemplars;
    NARTHEX_RETURN_IF_ERROR(DecodeExemplars(record, &exemplars));
    std::erase_if(exemplars, [this](const RefExemplar& one) {
      return one.timestamp_ms < filter_.min_ms;
    });
    std::string kept;
    EncodeExemplars(exemplars, &kept);
    return Put(std::move(kept));
  }

  // Those of unknown schemas could not be read later either.
  absl::Status AddHistograms(absl::string_view record) {
    std::vector<RefHistogram> histograms;
    std::size_t skipped = 0;
    NARTHEX_RETURN_IF_ERROR(DecodeHistograms(record, &histograms, &skipped));
    std::erase_if(histograms, [this](const RefHistogram& one) {
      return one.timestamp_ms < filter_.min_ms;
    });
    std::vector<std::string> kept;
    EncodeHistograms(histograms, &kept);
    for (std::string& one : kept) {
      NARTHEX_RETURN_IF_ERROR(Put(std::move(one)));
    }
    return absl::OkStatus();
  }

  absl::Status AddTombstones(absl::string_view record) {
    std::vector<RefTombstone> tombstones;
    NARTHEX_RETURN_IF_ERROR(DecodeTombstones(record, &tombstones));
    std::erase_if(tombstones, [this](const RefTombstone& one) {
      return one.range.max_ms < filter_.min_ms || !filter_.keep_series(one.ref);
    });
    std::string kept;
    EncodeTombstones(tombstones, &kept);
    return Put(std::move(kept));
  }

  // Only the newest of each series is kept, at the end.
  absl::Status AddMetadata(absl::string_view record) {
    std::vector<RefMetadata> metadata;
    NARTHEX_RETURN_IF_ERROR(DecodeMetadata(record, &metadata));
    for (RefMetadata& one : metadata) {
      if (!filter_.keep_series(one.ref)) continue;
      const storage::SeriesRef ref = one.ref;
      metadata_[ref] = std::move(one);
    }
    return absl::OkStatus();
  }

  absl::Status Put(std::string record) {
    if (record.empty()) return absl::OkStatus();
    bytes_ += record.size();
    records_.push_back(std::move(record));
    return bytes_ < kGroupBytes ? absl::OkStatus() : Flush();
  }

  absl::Status Flush() {
    NARTHEX_RETURN_IF_ERROR(out_.Log(records_));
    records_.clear();
    bytes_ = 0;
    return absl::OkStatus();
  }

  Wal& out_;
  const CheckpointFilter& filter_;
  std::vector<std::string> records_;
  std::size_t bytes_ = 0;
  std::map<storage::SeriesRef, RefMetadata> metadata_;
};

absl::Status ReadInto(const std::string& directory, int segment,
                      Digest& digest) {
  NARTHEX_ASSIGN_OR_RETURN(
      const std::optional<WalFlaw> flaw,
      ReadWalSegment(directory, segment, [&](absl::string_view record) {
        return digest.Add(record);
      }));
  if (!flaw.has_value()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(WalSegmentPath(directory, segment),
                                          " is damaged after ", flaw->offset,
                                          " bytes: ", flaw->reason.message()));
}

absl::Status WriteCheckpoint(const std::string& directory, int last_segment,
                             const WalOptions& options,
                             const CheckpointFilter& filter,
                             const base::Logger& logger) {
  const std::string path = WalCheckpointPath(directory, last_segment);
  const std::string temporary = absl::StrCat(path, kTemporarySuffix);
  NARTHEX_RETURN_IF_ERROR(base::RemoveAll(temporary));
  // Its own metrics: those of the log are about the log.
  metrics::Registry registry;
  WriteLogMetrics unused(registry, "unused");
  NARTHEX_ASSIGN_OR_RETURN(const std::unique_ptr<Wal> out,
                           Wal::Open(temporary, options, logger, unused));
  Digest digest(*out, filter);
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<WalCheckpoint> checkpoints,
                           ListWalCheckpoints(directory));
  int after = -1;
  if (!checkpoints.empty()) {
    after = checkpoints.back().segment;
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<int> segments,
                             ListWalSegments(checkpoints.back().path));
    for (const int segment : segments) {
      // Damage was reported when it was replayed; the good part is taken.
      const absl::Status status =
          ReadInto(checkpoints.back().path, segment, digest);
      if (!absl::IsDataLoss(status)) NARTHEX_RETURN_IF_ERROR(status);
    }
  }
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<int> segments,
                           ListWalSegments(directory));
  for (const int segment : segments) {
    if (segment <= after || segment > last_segment) continue;
    NARTHEX_RETURN_IF_ERROR(ReadInto(directory, segment, digest));
  }
  NARTHEX_RETURN_IF_ERROR(digest.Finish());
  NARTHEX_RETURN_IF_ERROR(out->Close());
  NARTHEX_RETURN_IF_ERROR(base::SyncDirectory(temporary));
  return base::RenameDurably(temporary, path);
}

}  // namespace

absl::Status CheckpointWal(Wal& wal, int last_segment,
                           const CheckpointFilter& filter,
                           const base::Logger& logger, TsdbMetrics& metrics) {
  metrics.checkpoints_created.Inc();
  const absl::Status written = WriteCheckpoint(wal.directory(), last_segment,
                                               wal.options(), filter, logger);
  if (!written.ok()) {
    metrics.checkpoints_failed.Inc();
    const absl::Status ignored = base::RemoveAll(absl::StrCat(
        WalCheckpointPath(wal.directory(), last_segment), kTemporarySuffix));
    if (!ignored.ok()) {
      logger.Warn("unfinished checkpoint not removed",
                  {{"err", ignored.ToString()}});
    }
    return base::Annotate(written, "write checkpoint");
  }
  NARTHEX_RETURN_IF_ERROR(wal.RemoveSegmentsBelow(last_segment + 1));
  metrics.checkpoints_deleted.Inc();
  absl::Status cleaned = CleanUpCheckpoints(wal.directory());
  if (!cleaned.ok()) metrics.checkpoint_deletions_failed.Inc();
  return cleaned;
}

absl::Status CleanUpCheckpoints(const std::string& directory) {
  if (!base::Exists(directory)) return absl::OkStatus();
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                           base::ListDirectory(directory));
  for (const std::string& name : names) {
    if (absl::StartsWith(name, "checkpoint.") &&
        absl::EndsWith(name, kTemporarySuffix)) {
      NARTHEX_RETURN_IF_ERROR(
          base::RemoveAll(absl::StrCat(directory, "/", name)));
    }
  }
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<WalCheckpoint> checkpoints,
                           ListWalCheckpoints(directory));
  if (checkpoints.empty()) return absl::OkStatus();
  for (std::size_t i = 0; i + 1 < checkpoints.size(); ++i) {
    NARTHEX_RETURN_IF_ERROR(base::RemoveAll(checkpoints[i].path));
  }
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<int> segments,
                           ListWalSegments(directory));
  for (const int segment : segments) {
    if (segment > checkpoints.back().segment) break;
    NARTHEX_RETURN_IF_ERROR(
        base::RemoveAll(WalSegmentPath(directory, segment)));
  }
  return absl::OkStatus();
}

}  // namespace narthex::tsdb
