#include "libs/tsdb/head_replay.h"

#include <algorithm>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "libs/base/mutex.h"
#include "libs/base/status.h"
#include "libs/tsdb/wal_directory.h"
#include "libs/tsdb/wal_records.h"

namespace narthex::tsdb {
namespace {

// What one record holds; empty for kinds that are not kept.
struct Decoded {
  std::vector<RefSeries> series;
  std::vector<RefSample> samples;
  std::vector<RefTombstone> tombstones;
  std::vector<RefHistogram> histograms;
  std::size_t skipped_histograms = 0;
  std::vector<RefExemplar> exemplars;
  bool skipped = false;
  bool ends_segment = false;

  void Clear() {
    series.clear();
    samples.clear();
    tombstones.clear();
    histograms.clear();
    skipped_histograms = 0;
    exemplars.clear();
    skipped = false;
    ends_segment = false;
  }
};

absl::Status Decode(absl::string_view record, Decoded* decoded) {
  switch (static_cast<WalRecordType>(WalRecordTypeOf(record))) {
    case WalRecordType::kSeries:
      return DecodeSeries(record, &decoded->series);
    case WalRecordType::kSamples:
      return DecodeSamples(record, &decoded->samples);
    case WalRecordType::kTombstones:
      return DecodeTombstones(record, &decoded->tombstones);
    case WalRecordType::kExemplars:
      return DecodeExemplars(record, &decoded->exemplars);
    default:
      if (IsHistogramRecord(record)) {
        return DecodeHistograms(record, &decoded->histograms,
                                &decoded->skipped_histograms);
      }
      decoded->skipped = true;
      return absl::OkStatus();
  }
}

// Hands records from the thread that reads the log to the one that applies
// them, in order, and the emptied ones back so that their memory is used
// again.
class Pipe {
 public:
  std::unique_ptr<Decoded> TakeEmpty() ABSL_LOCKS_EXCLUDED(mutex_) {
    base::MutexLock lock(mutex_);
    while (full_.size() >= kMostWaiting) changed_.Wait(mutex_);
    if (empty_.empty()) return std::make_unique<Decoded>();
    std::unique_ptr<Decoded> one = std::move(empty_.back());
    empty_.pop_back();
    return one;
  }

  void Push(std::unique_ptr<Decoded> one) ABSL_LOCKS_EXCLUDED(mutex_) {
    base::MutexLock lock(mutex_);
    full_.push_back(std::move(one));
    changed_.NotifyAll();
  }

  void Finish() ABSL_LOCKS_EXCLUDED(mutex_) {
    base::MutexLock lock(mutex_);
    finished_ = true;
    changed_.NotifyAll();
  }

  // Null at the end.
  std::unique_ptr<Decoded> Pop() ABSL_LOCKS_EXCLUDED(mutex_) {
    base::MutexLock lock(mutex_);
    while (full_.empty() && !finished_) changed_.Wait(mutex_);
    if (full_.empty()) return nullptr;
    std::unique_ptr<Decoded> one = std::move(full_.front());
    full_.pop_front();
    changed_.NotifyAll();
    return one;
  }

  void GiveBack(std::unique_ptr<Decoded> one) ABSL_LOCKS_EXCLUDED(mutex_) {
    one->Clear();
    base::MutexLock lock(mutex_);
    empty_.push_back(std::move(one));
  }

 private:
  static constexpr std::size_t kMostWaiting = 64;

  base::Mutex mutex_;
  base::CondVar changed_;
  std::deque<std::unique_ptr<Decoded>> full_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Decoded>> empty_ ABSL_GUARDED_BY(mutex_);
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

// What reading the log found, beside records.
struct ReadResult {
  int segments = 0;
  std::string checkpoint;
  std::optional<WalFlaw> checkpoint_flaw;
  std::optional<WalFlaw> flaw;
};

// Reads the segments of `directory` after `after`, in order, up to the first
// flaw.
absl::StatusOr<std::optional<WalFlaw>> ReadSegments(
    const std::string& directory, int after, const ReplayWatch& watch,
    Pipe& pipe, int* count) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<int> segments,
                           ListWalSegments(directory));
  const auto visit = [&](absl::string_view record) -> absl::Status {
    if (watch.stopping && watch.stopping()) {
      return absl::CancelledError("replay of the log was interrupted");
    }
    std::unique_ptr<Decoded> decoded = pipe.TakeEmpty();
    NARTHEX_RETURN_IF_ERROR(Decode(record, decoded.get()));
    pipe.Push(std::move(decoded));
    return absl::OkStatus();
  };
  int expected = -1;
  for (const int segment : segments) {
    if (segment <= after) continue;
    if (expected >= 0 && segment != expected) {
      return WalFlaw{segment, 0,
                     absl::DataLossError(absl::StrCat(
                         "segment ", expected, " before it is missing"))};
    }
    expected = segment + 1;
    if (watch.progress) {
      watch.progress(
          {std::max(segments.front(), after + 1), segments.back(), segment});
    }
    NARTHEX_ASSIGN_OR_RETURN(std::optional<WalFlaw> flaw,
                             ReadWalSegment(directory, segment, visit));
    std::unique_ptr<Decoded> end = pipe.TakeEmpty();
    end->ends_segment = true;
    pipe.Push(std::move(end));
    if (flaw.has_value()) return flaw;
    ++*count;
  }
  return std::nullopt;
}

absl::StatusOr<ReadResult> ReadLog(const std::string& directory,
                                   const ReplayWatch& watch, Pipe& pipe) {
  ReadResult result;
  int after = -1;
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<WalCheckpoint> checkpoints,
                           ListWalCheckpoints(directory));
  if (!checkpoints.empty()) {
    const WalCheckpoint& newest = checkpoints.back();
    after = newest.segment;
    result.checkpoint = newest.path;
    NARTHEX_ASSIGN_OR_RETURN(
        result.checkpoint_flaw,
        ReadSegments(newest.path, -1, {watch.stopping, {}, {}}, pipe,
                     &result.segments));
  }
  NARTHEX_ASSIGN_OR_RETURN(result.flaw, ReadSegments(directory, after, watch,
                                                     pipe, &result.segments));
  return result;
}

class Replayer {
 public:
  explicit Replayer(Head& head) : head_(head) {}

  void Apply(Decoded& decoded) {
    if (decoded.skipped) ++result_.skipped_records;
    ApplySeries(decoded.series);
    ApplySamples(decoded.samples);
    ApplyTombstones(decoded.tombstones);
    ApplyHistograms(decoded.histograms, decoded.skipped_histograms);
    ApplyExemplars(decoded.exemplars);
  }

  ReplayResult TakeResult() {
    result_.other_refs = std::move(other_refs_);
    return std::move(result_);
  }

 private:
  // 0 when the head does not take the series.
  storage::SeriesRef Declare(const RefSeries& declared) {
    const auto known = head_.ReplaySeries(declared);
    if (known.ok()) return *known;
    ++result_.refused_series;
    return 0;
  }

  // Before the limit is reached, series make room whose samples are all in
  // blocks: they had none for two of these spans.
  void MakeRoom() {
    if (head_.empty() || head_.max_time() < make_room_at_ms_) return;
    make_room_at_ms_ = head_.max_time() + kUnusedMs;
    if (!head_.HasRoomForSeries()) head_.ForgetUnused();
  }

  void ApplySeries(const std::vector<RefSeries>& series) {
    for (const RefSeries& declared : series) {
      const storage::SeriesRef known = Declare(declared);
      if (known != declared.ref) {
        other_refs_[declared.ref] = known;
      } else if (!other_refs_.empty()) {
        other_refs_.erase(declared.ref);
      }
    }
  }

  // The series may be known by another reference: it was forgotten and made
  // again while older segments were still there.
  storage::SeriesRef Translate(storage::SeriesRef ref) const {
    const auto it = other_refs_.find(ref);
    return it == other_refs_.end() ? ref : it->second;
  }

  void ApplySamples(std::vector<RefSample>& samples) {
    if (samples.empty()) return;
    if (!other_refs_.empty()) {
      for (RefSample& sample : samples) sample.ref = Translate(sample.ref);
    }
    result_.unknown_refs += head_.ReplaySamples(samples);
    result_.samples += samples.size();
    MakeRoom();
  }

  void ApplyHistograms(std::vector<RefHistogram>& histograms,
                       std::size_t skipped) {
    for (RefHistogram& one : histograms) one.ref = Translate(one.ref);
    result_.unknown_refs += head_.ReplayHistograms(histograms);
    result_.samples += histograms.size();
    result_.skipped_records += skipped;
  }

  void ApplyExemplars(std::vector<RefExemplar>& exemplars) {
    for (RefExemplar& one : exemplars) one.ref = Translate(one.ref);
    result_.unknown_refs += head_.ReplayExemplars(exemplars);
  }

  void ApplyTombstones(const std::vector<RefTombstone>& tombstones) {
    for (RefTombstone tombstone : tombstones) {
      if (tombstone.range.max_ms < head_.min_valid_time()) continue;
      tombstone.ref = Translate(tombstone.ref);
      if (head_.HasSeries(tombstone.ref)) {
        head_.ReplayTombstone(tombstone);
      } else {
        ++result_.unknown_refs;
      }
    }
  }

  static constexpr std::int64_t kUnusedMs = 10 * 60 * 1000;

  Head& head_;
  ReplayResult result_;
  OtherRefs other_refs_;
  std::int64_t make_room_at_ms_ = std::numeric_limits<std::int64_t>::min();
};

void ReportFlaw(const std::string& directory, const WalFlaw& flaw,
                const base::Logger& logger, TsdbMetrics& metrics) {
  metrics.wal_corruptions.Inc();
  logger.Warn("write-ahead log is damaged, what follows is dropped",
              {{"segment", WalSegmentPath(directory, flaw.segment)},
               {"offset", flaw.offset},
               {"err", flaw.reason.message()}});
}

}  // namespace

absl::StatusOr<ReplayResult> ReplayWal(const std::string& directory, Head& head,
                                       const ReplayWatch& watch,
                                       const base::Logger& logger,
                                       TsdbMetrics& metrics, WalRepair repair) {
  Pipe pipe;
  absl::StatusOr<ReadResult> read = absl::InternalError("not read");
  std::thread reader([&] {
    read = ReadLog(directory, watch, pipe);
    pipe.Finish();
  });
  Replayer replayer(head);
  while (std::unique_ptr<Decoded> decoded = pipe.Pop()) {
    replayer.Apply(*decoded);
    if (decoded->ends_segment && watch.segment_applied) watch.segment_applied();
    pipe.GiveBack(std::move(decoded));
  }
  reader.join();
  NARTHEX_RETURN_IF_ERROR(read);
  ReplayResult result = replayer.TakeResult();
  result.segments = read->segments;
  // A checkpoint is not cut: what it still gives is kept, and so are the
  // segments after it.
  if (read->checkpoint_flaw.has_value()) {
    ReportFlaw(read->checkpoint, *read->checkpoint_flaw, logger, metrics);
  }
  if (read->flaw.has_value()) {
    ReportFlaw(directory, *read->flaw, logger, metrics);
    if (repair == WalRepair::kCutOff) {
      NARTHEX_RETURN_IF_ERROR(RepairWal(directory, *read->flaw));
    }
  }
  metrics.wal_skipped_records.Inc(static_cast<double>(result.skipped_records));
  metrics.wal_unknown_refs.Inc(static_cast<double>(result.unknown_refs));
  metrics.replay_refused_series.Inc(static_cast<double>(result.refused_series));
  if (result.refused_series > 0) {
    logger.Warn(
        "series left out of the replay because a limit is reached; "
        "their samples stay in the log and are not served",
        {{"series", result.refused_series}});
  }
  if (result.unknown_refs > 0) {
    logger.Warn("write-ahead log refers to unknown series",
                {{"samples", result.unknown_refs}});
  }
  return result;
}

absl::StatusOr<ReplayResult> ReplayOutOfOrderLog(
    const std::string& directory, const OtherRefs& other_refs, Head& head,
    const base::Logger& logger, TsdbMetrics& metrics, WalRepair repair) {
  ReplayResult result;
  std::vector<RefSample> samples;
  const auto visit = [&](absl::string_view record) -> absl::Status {
    switch (static_cast<WalRecordType>(WalRecordTypeOf(record))) {
      case WalRecordType::kSamples:
      case WalRecordType::kSamplesV2:
        break;
      case WalRecordType::kMmapMarkers:
        // They say which samples are in the head's chunk files too; those
        // begin anew at every start.
        return absl::OkStatus();
      default:
        ++result.skipped_records;
        return absl::OkStatus();
    }
    samples.clear();
    NARTHEX_RETURN_IF_ERROR(DecodeSamples(record, &samples));
    for (RefSample& sample : samples) {
      const auto it = other_refs.find(sample.ref);
      if (it != other_refs.end()) sample.ref = it->second;
    }
    result.unknown_refs += head.ReplayOutOfOrder(samples);
    result.samples += samples.size();
    return absl::OkStatus();
  };
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<int> segments,
                           ListWalSegments(directory));
  for (const int segment : segments) {
    NARTHEX_ASSIGN_OR_RETURN(const std::optional<WalFlaw> flaw,
                             ReadWalSegment(directory, segment, visit));
    ++result.segments;
    if (!flaw.has_value()) continue;
    ReportFlaw(directory, *flaw, logger, metrics);
    if (repair == WalRepair::kCutOff) {
      NARTHEX_RETURN_IF_ERROR(RepairWal(directory, *flaw));
    }
    break;
  }
  metrics.wal_skipped_records.Inc(static_cast<double>(result.skipped_records));
  metrics.wbl_unknown_refs.Inc(static_cast<double>(result.unknown_refs));
  if (result.unknown_refs > 0) {
    logger.Warn("log of samples out of order refers to unknown series",
                {{"samples", result.unknown_refs}});
  }
  return result;
}

}  // namespace narthex::tsdb
