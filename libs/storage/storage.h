#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/model/labels.h"
#include "libs/model/matcher.h"
#include "libs/model/sample.h"

/// The seam between whatever evaluates queries and whatever holds samples.
/// PromQL and the TSDB meet only here; nothing in it is remote.
namespace narthex::storage {

/// Inclusive bounds in ms.
struct TimeRange {
  std::int64_t min_ms = 0;
  std::int64_t max_ms = 0;
};

/// What the reader will do with a selection; storage may use it to do less
/// work and must stay correct when it ignores it.
struct SelectHints {
  TimeRange range;
  std::int64_t step_ms = 0;   ///< Of a range query, else 0.
  std::int64_t range_ms = 0;  ///< Of a range selector, else 0.
  std::string func;           ///< Function or aggregation around it.
  std::vector<std::string> grouping;
  bool by = false;
  /// Of each series the newest sample is enough, unless that is a staleness
  /// marker.
  bool newest_only = false;
  /// The order of the series does not matter.
  bool any_order = false;
  /// Only the labels in `labels` (sorted) are looked at; without the others,
  /// series may look alike.
  bool some_labels = false;
  std::vector<std::string> labels;
  /// When the reader gives up: on base::Clock::MonotonicNs(), 0 never; and
  /// set by another thread, may be null. Storage that waits must heed them.
  std::int64_t deadline_ns = 0;
  const std::atomic<bool>* cancelled = nullptr;
};

/// One series of a selection.
class Series {
 public:
  virtual ~Series() = default;
  virtual const model::Labels& labels() const = 0;
  /// Appends to `*out` the samples of the selected time range, ascending in
  /// time, one per timestamp. kDataLoss when a chunk cannot be decoded.
  virtual absl::Status Read(model::SampleColumns* out) const = 0;
};

/// The series of a selection, each once, sorted by labels (unless
/// SelectHints says that this does not matter). Usage:
///   while (set->Next()) Use(set->At());
///   NARTHEX_RETURN_IF_ERROR(set->status());
class SeriesSet {
 public:
  virtual ~SeriesSet() = default;
  virtual bool Next() = 0;
  /// Owned by the caller: it may outlive the set and be read on any thread.
  virtual std::unique_ptr<Series> At() = 0;
  /// Next(), At() and Read() in one: replaces the contents of `*labels` and
  /// `*samples`, whose memory is used again. False at the end.
  virtual absl::StatusOr<bool> NextSamples(model::Labels* labels,
                                           model::SampleColumns* samples);
  /// The next series, at most `count` of them (a positive number), as a set of
  /// their own: it may be read on another thread while this one goes on, and
  /// outlive it. Null when none is left. Not between Next() and At().
  virtual absl::StatusOr<std::unique_ptr<SeriesSet>> Split(std::size_t count);
  virtual absl::Status status() const = 0;
  /// What the user must know although there is an answer.
  virtual std::vector<std::string> warnings() const { return {}; }
};

/// Samples that can be selected by matchers. Thread-safe.
class Queryable {
 public:
  virtual ~Queryable() = default;

  /// Series with samples in `hints.range` that satisfy all matchers.
  virtual absl::StatusOr<std::unique_ptr<SeriesSet>> Select(
      const SelectHints& hints,
      const std::vector<model::Matcher>& matchers) = 0;

  /// Names of labels, sorted, of the series matching at least one of the
  /// matcher sets (all series when there is none) in `range`. `limit` 0: all.
  virtual absl::StatusOr<std::vector<std::string>> LabelNames(
      const TimeRange& range,
      const std::vector<std::vector<model::Matcher>>& matcher_sets,
      std::size_t limit) = 0;

  /// Values of one label, sorted, likewise.
  virtual absl::StatusOr<std::vector<std::string>> LabelValues(
      const std::string& name, const TimeRange& range,
      const std::vector<std::vector<model::Matcher>>& matcher_sets,
      std::size_t limit) = 0;
};

/// How a chunk's bytes are to be read; the numbers are those of Prometheus's
/// files and of our wire.
enum class Encoding : std::uint8_t {
  kNone = 0,
  kXor = 1,
  kHistogram = 2,
  kFloatHistogram = 3,
  kXor2 = 4,
  kHistogramSt = 5,       ///< As 2, with start times.
  kFloatHistogramSt = 6,  ///< As 3, with start times.
};

/// An encoded chunk. The bytes are shared with whoever holds them: a mapped
/// file, a head chunk's snapshot or a received message.
struct Chunk {
  std::int64_t min_ms = 0;  ///< Of the first sample.
  std::int64_t max_ms = 0;  ///< Of the last sample.
  Encoding encoding = Encoding::kNone;
  absl::string_view bytes;
  std::shared_ptr<const void> owner;  ///< Keeps `bytes` alive.
};

/// A series as its encoded chunks, ascending by min_ms; they may overlap.
struct ChunkSeries {
  model::Labels labels;
  std::vector<Chunk> chunks;
};

/// As SeriesSet, with encoded chunks: what crosses process boundaries.
class ChunkSeriesSet {
 public:
  virtual ~ChunkSeriesSet() = default;
  /// Fills `*series` (reusing its memory) with the next; false at the end.
  virtual bool Next(ChunkSeries* series) = 0;
  virtual absl::Status status() const = 0;
};

/// Names a series inside one writer or one head; 0 is none.
using SeriesRef = std::uint64_t;

/// Why a sample was not taken. The numbers cross the wire.
enum class RejectReason : std::uint8_t {
  kOutOfOrder = 1,     ///< Older than the newest sample of its series.
  kDuplicate = 2,      ///< Same timestamp, another value.
  kOutOfBounds = 3,    ///< Older than what the head still takes, or far future.
  kUnknownSeries = 4,  ///< The reference is not (or no longer) known.
  kLimit = 5,          ///< The series is new and a limit is reached.
  kTooOld = 6,         ///< Older than the window for out-of-order samples.
  kInvalid = 7,  ///< The histogram contradicts itself, or the exemplar's labels
                 ///< are too long.
};

struct Rejection {
  std::size_t index = 0;  ///< Of the sample in its batch.
  RejectReason reason = RejectReason::kOutOfOrder;
};

}  // namespace narthex::storage
