#include "libs/tsdb/head_replay.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/tsdb/wal_directory.h"
#include "libs/tsdb/wal_records.h"

namespace narthex::tsdb {
namespace {

class Replayer {
 public:
  explicit Replayer(Head& head) : head_(head) {}

  absl::Status Apply(absl::string_view record) {
    switch (static_cast<WalRecordType>(WalRecordTypeOf(record))) {
      case WalRecordType::kSeries:
        return ApplySeries(record);
      case WalRecordType::kSamples:
        return ApplySamples(record);
      case WalRecordType::kTombstones:
        return ApplyTombstones(record);
      default:
        ++result_.skipped_records;
        return absl::OkStatus();
    }
  }

  ReplayResult TakeResult() {
    for (const auto& [ref, known] : other_refs_) {
      result_.other_refs.push_back(ref);
    }
    return std::move(result_);
  }
  void CountSegment() { ++result_.segments; }

 private:
  absl::Status ApplySeries(absl::string_view record) {
    series_.clear();
    const absl::Status status = DecodeSeries(record, &series_);
    for (const RefSeries& declared : series_) {
      const storage::SeriesRef known = head_.ReplaySeries(declared);
      if (known != declared.ref) {
        other_refs_[declared.ref] = known;
      } else if (!other_refs_.empty()) {
        other_refs_.erase(declared.ref);
      }
    }
    return status;
  }

  // The series may be known by another reference: it was forgotten and made
  // again while older segments were still there.
  storage::SeriesRef Translate(storage::SeriesRef ref) const {
    if (other_refs_.empty()) return ref;
    const auto it = other_refs_.find(ref);
    return it == other_refs_.end() ? ref : it->second;
  }

  absl::Status ApplySamples(absl::string_view record) {
    samples_.clear();
    const absl::Status status = DecodeSamples(record, &samples_);
    if (!other_refs_.empty()) {
      for (RefSample& sample : samples_) sample.ref = Translate(sample.ref);
    }
    result_.unknown_refs += head_.ReplaySamples(samples_);
    result_.samples += samples_.size();
    return status;
  }

  absl::Status ApplyTombstones(absl::string_view record) {
    tombstones_.clear();
    const absl::Status status = DecodeTombstones(record, &tombstones_);
    for (RefTombstone& tombstone : tombstones_) {
      tombstone.ref = Translate(tombstone.ref);
      if (tombstone.range.max_ms < head_.min_valid_time()) continue;
      if (head_.HasSeries(tombstone.ref)) {
        head_.ReplayTombstone(tombstone);
      } else {
        ++result_.unknown_refs;
      }
    }
    return status;
  }

  Head& head_;
  ReplayResult result_;
  absl::flat_hash_map<storage::SeriesRef, storage::SeriesRef> other_refs_;
  // Kept for their memory.
  std::vector<RefSeries> series_;
  std::vector<RefSample> samples_;
  std::vector<RefTombstone> tombstones_;
};

void ReportFlaw(const std::string& directory, const WalFlaw& flaw,
                const base::Logger& logger, TsdbMetrics& metrics) {
  metrics.wal_corruptions.Inc();
  logger.Warn("write-ahead log is damaged, what follows is dropped",
              {{"segment", WalSegmentPath(directory, flaw.segment)},
               {"offset", flaw.offset},
               {"err", flaw.reason.message()}});
}

// Reads the segments of `directory` after `after`, in order, up to the first
// flaw.
absl::StatusOr<std::optional<WalFlaw>> ReadSegments(
    const std::string& directory, int after, Replayer& replayer) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<int> segments,
                           ListWalSegments(directory));
  int expected = -1;
  for (const int segment : segments) {
    if (segment <= after) continue;
    if (expected >= 0 && segment != expected) {
      return WalFlaw{segment, 0,
                     absl::DataLossError(absl::StrCat(
                         "segment ", expected, " before it is missing"))};
    }
    expected = segment + 1;
    NARTHEX_ASSIGN_OR_RETURN(
        std::optional<WalFlaw> flaw,
        ReadWalSegment(directory, segment, [&](absl::string_view record) {
          return replayer.Apply(record);
        }));
    if (flaw.has_value()) return flaw;
    replayer.CountSegment();
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<ReplayResult> ReplayWal(const std::string& directory, Head& head,
                                       const base::Logger& logger,
                                       TsdbMetrics& metrics) {
  Replayer replayer(head);
  int after = -1;
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<WalCheckpoint> checkpoints,
                           ListWalCheckpoints(directory));
  if (!checkpoints.empty()) {
    const WalCheckpoint& newest = checkpoints.back();
    after = newest.segment;
    NARTHEX_ASSIGN_OR_RETURN(const std::optional<WalFlaw> flaw,
                             ReadSegments(newest.path, -1, replayer));
    // A checkpoint is not cut: what it still gives is kept, and so are the
    // segments after it.
    if (flaw.has_value()) ReportFlaw(newest.path, *flaw, logger, metrics);
  }
  NARTHEX_ASSIGN_OR_RETURN(const std::optional<WalFlaw> flaw,
                           ReadSegments(directory, after, replayer));
  if (flaw.has_value()) {
    ReportFlaw(directory, *flaw, logger, metrics);
    NARTHEX_RETURN_IF_ERROR(RepairWal(directory, *flaw));
  }
  ReplayResult result = replayer.TakeResult();
  metrics.wal_skipped_records.Inc(static_cast<double>(result.skipped_records));
  metrics.wal_unknown_refs.Inc(static_cast<double>(result.unknown_refs));
  if (result.unknown_refs > 0) {
    logger.Warn("write-ahead log refers to unknown series",
                {{"samples", result.unknown_refs}});
  }
  return result;
}

}  // namespace narthex::tsdb
