#include "libs/tsdb/head_replay.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "libs/base/status.h"
#include "libs/base/workers.h"
#include "libs/tsdb/wal_directory.h"
#include "libs/tsdb/wal_reader.h"
#include "libs/tsdb/wal_records.h"

namespace narthex::tsdb {
namespace {

// What one record holds; empty for kinds that are not kept.
struct Decoded {
  absl::Status status;
  std::vector<RefSeries> series;
  std::vector<std::uint64_t> hashes;  // Of their labels.
  std::vector<RefSample> samples;
  std::vector<std::int64_t> starts_ms;  // As many, or none.
  std::vector<RefTombstone> tombstones;
  std::vector<RefHistogram> histograms;
  std::size_t skipped_histograms = 0;
  std::vector<RefExemplar> exemplars;
  bool skipped = false;
  Head::ReplayRecord replay;

  void Clear() {
    status = absl::OkStatus();
    series.clear();
    hashes.clear();
    samples.clear();
    starts_ms.clear();
    tombstones.clear();
    histograms.clear();
    skipped_histograms = 0;
    exemplars.clear();
    skipped = false;
  }
};

absl::Status Decode(absl::string_view record, Decoded* decoded) {
  switch (static_cast<WalRecordType>(WalRecordTypeOf(record))) {
    case WalRecordType::kSeries:
      NARTHEX_RETURN_IF_ERROR(DecodeSeries(record, &decoded->series));
      for (const RefSeries& one : decoded->series) {
        decoded->hashes.push_back(one.labels.Hash());
      }
      return absl::OkStatus();
    case WalRecordType::kSamples:
    case WalRecordType::kSamplesV2:
      return DecodeSamples(record, &decoded->samples, &decoded->starts_ms);
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

std::size_t ThreadsOfReplay() {
  constexpr std::size_t kMost = 8;
  return std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, kMost);
}

// Applies the log in stretches: their records are decoded by all threads, while
// the series of the stretch before are declared, and then each shard of the
// head is filled by one of them at a time, so that samples of a series stay in
// order and shards in the cache.
class Replayer {
 public:
  Replayer(WalReader reader, OtherRefs other_refs, Head& head,
           const ReplayWatch& watch)
      : head_(head),
        watch_(watch),
        reader_(std::move(reader)),
        workers_(ThreadsOfReplay()),
        assemblers_(workers_.count()),
        other_refs_(std::move(other_refs)) {}

  absl::Status Run() {
    Loaded now;
    Loaded next;
    NARTHEX_ASSIGN_OR_RETURN(bool more, Load(Loaded(), &now));
    while (more) {
      NARTHEX_ASSIGN_OR_RETURN(more, Load(now, &next));
      Apply(now);
      std::swap(now, next);
    }
    ForgetMoved();
    return absl::OkStatus();
  }

  ReplayResult TakeResult() {
    result_.other_refs = std::move(other_refs_);
    return std::move(result_);
  }
  const std::string& checkpoint() const { return reader_.checkpoint(); }
  const std::optional<WalFlaw>& checkpoint_flaw() const {
    return checkpoint_flaw_;
  }
  const std::optional<WalFlaw>& flaw() const { return flaw_; }

 private:
  // A stretch and its decoded records.
  struct Loaded {
    WalStretch stretch;
    std::vector<Decoded> decoded;

    absl::Span<Decoded> records() {
      return absl::MakeSpan(decoded).subspan(0, stretch.count);
    }
  };

  // Reads the next stretch, while the series of `before` are declared: that
  // takes one thread. False at the end of the log.
  absl::StatusOr<bool> Load(const Loaded& before, Loaded* next) {
    WalStretch& stretch = next->stretch;
    NARTHEX_ASSIGN_OR_RETURN(const bool more,
                             reader_.Next(StretchBytes(), &stretch));
    if (!more) stretch.count = 0;
    if (next->decoded.size() < stretch.count) {
      next->decoded.resize(stretch.count);
    }
    workers_.Run(1 + stretch.count, [&](std::size_t i, std::size_t worker) {
      if (i == 0) {
        DeclareSeries(before);
      } else {
        DecodeOne(stretch.records[i - 1], worker, &next->decoded[i - 1]);
      }
    });
    if (more) NARTHEX_RETURN_IF_ERROR(CheckDecoded(*next));
    return more;
  }

  void DecodeOne(const WalFragments& fragments, std::size_t worker,
                 Decoded* decoded) {
    decoded->Clear();
    if (watch_.stopping && watch_.stopping()) {
      decoded->status =
          absl::CancelledError("replay of the log was interrupted");
      return;
    }
    const auto record = assemblers_[worker].Assemble(fragments);
    decoded->status = record.ok() ? Decode(*record, decoded) : record.status();
  }

  // At the first record that cannot be decoded the stretch ends.
  absl::Status CheckDecoded(Loaded& loaded) {
    WalStretch& stretch = loaded.stretch;
    for (std::size_t i = 0; i < stretch.count; ++i) {
      const absl::Status& status = loaded.decoded[i].status;
      if (status.ok()) continue;
      if (!absl::IsDataLoss(status)) return status;
      stretch.flaw = {stretch.segment, stretch.records[i].begin, status};
      stretch.count = i;
      stretch.ends_segment = true;
      reader_.SkipRest(stretch.of_checkpoint);
    }
    return absl::OkStatus();
  }

  // All of a stretch are declared before its samples are applied: none comes
  // before its series.
  void Apply(Loaded& loaded) {
    const WalStretch& stretch = loaded.stretch;
    if (stretch.begins_segment && !stretch.of_checkpoint && watch_.progress) {
      watch_.progress(
          {reader_.first_segment(), reader_.last_segment(), stretch.segment});
    }
    ApplyRecords(loaded.records());
    if (stretch.flaw.has_value()) {
      (stretch.of_checkpoint ? checkpoint_flaw_ : flaw_) = stretch.flaw;
    } else if (stretch.ends_segment) {
      ++result_.segments;
    }
    if (stretch.ends_segment && watch_.segment_applied) {
      watch_.segment_applied();
    }
  }

  void ApplyRecords(absl::Span<Decoded> records) {
    workers_.Run(records.size(),
                 [&](std::size_t i, std::size_t) { Distribute(records[i]); });
    std::atomic<std::uint64_t> unknown{0};
    workers_.Run(ByShard::kShards, [&](std::size_t shard, std::size_t) {
      std::uint64_t of_shard = 0;
      for (const Decoded& decoded : records) {
        of_shard += head_.ReplayShard(static_cast<std::uint32_t>(shard),
                                      decoded.replay);
      }
      unknown += of_shard;
    });
    result_.unknown_refs += unknown;
    for (Decoded& decoded : records) {
      result_.samples += decoded.samples.size() + decoded.histograms.size();
      result_.skipped_records +=
          decoded.skipped_histograms + (decoded.skipped ? 1 : 0);
      ApplyTombstones(decoded.tombstones);
      ApplyExemplars(decoded.exemplars);
    }
    MakeRoom();
  }

  // Finds out which series and which shards the samples belong to.
  void Distribute(Decoded& decoded) const {
    if (!other_refs_.empty()) {
      for (RefSample& one : decoded.samples) one.ref = Translate(one.ref);
      for (RefHistogram& one : decoded.histograms) one.ref = Translate(one.ref);
    }
    Head::ReplayRecord& replay = decoded.replay;
    replay.samples = decoded.samples;
    replay.starts_ms = decoded.starts_ms;
    replay.histograms = decoded.histograms;
    replay.samples_by_shard.Sort(replay.samples);
    replay.histograms_by_shard.Sort(replay.histograms);
  }

  // 0 when the head does not take the series.
  storage::SeriesRef Declare(const RefSeries& declared, std::uint64_t hash) {
    const auto known = head_.ReplaySeries(declared, hash);
    if (known.ok()) return *known;
    ++result_.refused_series;
    return 0;
  }

  // Before the limit is reached, series make room that went into blocks, and
  // those whose samples are all in blocks: they had none for two of these
  // spans.
  void MakeRoom() {
    if (!head_.empty() && !head_.HasRoomForSeries()) {
      ForgetMoved();
      if (head_.max_time() >= make_room_at_ms_) {
        make_room_at_ms_ = head_.max_time() + kUnusedMs;
        head_.ForgetUnused();
      }
    }
    head_.MeasureReplayed();
  }

  // Not those that went on under the same reference, as in a server that keeps
  // them.
  void ForgetMoved() {
    const auto earlier = [](const auto& a, const auto& b) {
      return a.id < b.id;
    };
    std::sort(moved_.begin(), moved_.end(), earlier);
    head_.ForgetStale(moved_);
    moved_.clear();
  }

  void DeclareSeries(const Loaded& loaded) {
    for (std::size_t i = 0; i < loaded.stretch.count; ++i) {
      DeclareSeries(loaded.decoded[i]);
    }
  }

  void DeclareSeries(const Decoded& decoded) {
    for (std::size_t i = 0; i < decoded.series.size(); ++i) {
      const RefSeries& declared = decoded.series[i];
      const storage::SeriesRef known = Declare(declared, decoded.hashes[i]);
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

  void ApplyExemplars(std::vector<RefExemplar>& exemplars) {
    for (RefExemplar& one : exemplars) one.ref = Translate(one.ref);
    result_.unknown_refs += head_.ReplayExemplars(exemplars);
  }

  void ApplyTombstones(const std::vector<RefTombstone>& tombstones) {
    for (RefTombstone tombstone : tombstones) {
      if (tombstone.range.max_ms < head_.min_valid_time()) continue;
      tombstone.ref = Translate(tombstone.ref);
      // Where the series is gone, so is what was deleted.
      if (!head_.HasSeries(tombstone.ref)) continue;
      head_.ReplayTombstone(tombstone);
      if (tombstone.range.min_ms == kMovedIntoBlocks) {
        moved_.push_back({IdOf(tombstone.ref), 0, tombstone.range.max_ms});
      }
    }
  }

  // What a stretch's records may take; decoded it is some three times as much,
  // and there are two of them. The memory of a series is fetched once a
  // stretch, so that should bring some samples of each.
  std::size_t StretchBytes() const {
    constexpr std::size_t kLeast = 2 << 20;
    constexpr std::size_t kMost = 16 << 20;
    constexpr std::size_t kPerSeries = 4 * 11;
    const std::size_t bytes =
        std::clamp(head_.series_count() * kPerSeries, kLeast, kMost);
    const std::uint64_t budget = head_.bounds().memory_budget_bytes;
    if (budget == 0) return bytes;
    constexpr std::uint64_t kShareOfBudget = 64;
    constexpr std::uint64_t kLeastOfBudget = 256 << 10;
    return std::min<std::uint64_t>(
        bytes, std::max(budget / kShareOfBudget, kLeastOfBudget));
  }

  static constexpr std::int64_t kUnusedMs = 10 * 60 * 1000;

  Head& head_;
  const ReplayWatch& watch_;
  WalReader reader_;
  base::Workers workers_;
  std::vector<WalAssembler> assemblers_;  // By worker.
  ReplayResult result_;
  std::optional<WalFlaw> checkpoint_flaw_;
  std::optional<WalFlaw> flaw_;
  OtherRefs other_refs_;
  // Series that went into blocks, with the last sample they had.
  std::vector<Head::StaleSeries> moved_;
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
                                       TsdbMetrics& metrics,
                                       ReplayStart start) {
  NARTHEX_ASSIGN_OR_RETURN(WalReader reader,
                           WalReader::Open(directory, start.from));
  Replayer replayer(std::move(reader), std::move(start.other_refs), head,
                    watch);
  NARTHEX_RETURN_IF_ERROR(replayer.Run());
  ReplayResult result = replayer.TakeResult();
  // A checkpoint is not cut: what it still gives is kept, and so are the
  // segments after it.
  if (replayer.checkpoint_flaw().has_value()) {
    ReportFlaw(replayer.checkpoint(), *replayer.checkpoint_flaw(), logger,
               metrics);
    result.checkpoint_damaged = true;
  }
  result.flaw = replayer.flaw();
  if (result.flaw.has_value()) {
    ReportFlaw(directory, *result.flaw, logger, metrics);
  }
  metrics.wal_skipped_records.Inc(static_cast<double>(result.skipped_records));
  metrics.wal_unknown_refs.Inc(static_cast<double>(result.unknown_refs));
  metrics.replay_refused_series.Inc(static_cast<double>(result.refused_series));
  if (result.refused_series > 0) {
    logger.Warn(
        "series left out of the replay because the head takes the whole memory "
        "budget; their samples stay in the log and are not served",
        {{"series", result.refused_series}});
  }
  if (result.unknown_refs > 0) {
    logger.Warn("write-ahead log refers to unknown series",
                {{"samples", result.unknown_refs}});
  }
  return result;
}

absl::StatusOr<ReplayResult> ReplayOutOfOrderLog(const std::string& directory,
                                                 const OtherRefs& other_refs,
                                                 Head& head,
                                                 const base::Logger& logger,
                                                 TsdbMetrics& metrics) {
  ReplayResult result;
  std::vector<RefSample> samples;
  std::vector<std::int64_t> starts_ms;
  std::vector<RefHistogram> histograms;
  std::vector<RefMmapMarker> markers;
  const auto translate = [&other_refs](auto& some) {
    for (auto& sample : some) {
      const auto it = other_refs.find(sample.ref);
      if (it != other_refs.end()) sample.ref = it->second;
    }
  };
  const auto visit = [&](absl::string_view record) -> absl::Status {
    samples.clear();
    starts_ms.clear();
    histograms.clear();
    markers.clear();
    switch (static_cast<WalRecordType>(WalRecordTypeOf(record))) {
      case WalRecordType::kSamples:
      case WalRecordType::kSamplesV2:
        NARTHEX_RETURN_IF_ERROR(DecodeSamples(record, &samples, &starts_ms));
        break;
      case WalRecordType::kMmapMarkers:
        // They say which samples are in the head's chunk files too; those
        // begin anew at every start.
        NARTHEX_RETURN_IF_ERROR(DecodeMmapMarkers(record, &markers));
        result.last_chunk = 0;
        for (const RefMmapMarker& marker : markers) {
          result.last_chunk = std::max(result.last_chunk, marker.chunk_ref);
        }
        return absl::OkStatus();
      default: {
        if (!IsHistogramRecord(record)) {
          ++result.skipped_records;
          return absl::OkStatus();
        }
        std::size_t skipped = 0;
        NARTHEX_RETURN_IF_ERROR(
            DecodeHistograms(record, &histograms, &skipped));
        result.skipped_records += skipped;
      }
    }
    translate(samples);
    translate(histograms);
    result.unknown_refs +=
        head.ReplayOutOfOrder(samples, starts_ms, histograms);
    result.samples += samples.size() + histograms.size();
    return absl::OkStatus();
  };
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<int> segments,
                           ListWalSegments(directory));
  NARTHEX_RETURN_IF_ERROR(CheckSegmentsFollow(directory, segments));
  for (const int segment : segments) {
    NARTHEX_ASSIGN_OR_RETURN(result.flaw,
                             ReadWalSegment(directory, segment, visit));
    ++result.segments;
    if (!result.flaw.has_value()) continue;
    ReportFlaw(directory, *result.flaw, logger, metrics);
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
