#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "libs/model/labels.h"
#include "libs/model/sample.h"
#include "libs/promql/annotations.h"
#include "libs/promql/column.h"

namespace narthex::promql {

/// Samples that steps of a grid have seen: each counts once for every step.
struct SeenSamples {
  std::int64_t total = 0;
  /// Of each step, if somebody wants to know. Steps beyond saw none.
  std::vector<std::int64_t> by_step;

  void See(std::size_t step, std::size_t samples, bool tell_steps) {
    total += static_cast<std::int64_t>(samples);
    if (!tell_steps) return;
    if (by_step.size() <= step) by_step.resize(step + 1);
    by_step[step] += static_cast<std::int64_t>(samples);
  }
  SeenSamples& operator+=(const SeenSamples& other) {
    total += other.total;
    by_step.resize(std::max(by_step.size(), other.by_step.size()));
    for (std::size_t i = 0; i < other.by_step.size(); ++i) {
      by_step[i] += other.by_step[i];
    }
    return *this;
  }
};

/// How much a query has looked at.
struct SampleStats {
  SeenSamples seen;
  std::int64_t read = 0;    // Samples taken from storage.
  std::int64_t series = 0;  // Series taken from storage.
  std::int64_t peak = 0;    // Most samples held at a time.

  void Add(const SampleStats& other) {
    seen += other.seen;
    read += other.read;
    series += other.series;
  }
};

/// What becomes of an evaluation, or of a part of it, beside columns.
struct Tally {
  Annotations annotations;
  SampleStats stats;
  /// Most samples held for one series; taken by whoever counts them.
  std::size_t largest = 0;
};

/// Turns the series of a selection into columns. A selection may have several,
/// each used by one thread at a time; what one series yields does not depend
/// on the others.
class SeriesMapper {
 public:
  virtual ~SeriesMapper() = default;
  /// Fills `*out`, whose memory is used again, from a series, whose contents
  /// may be moved out. False when it yields nothing.
  virtual absl::StatusOr<bool> Map(model::Labels& labels,
                                   model::SampleColumns& samples,
                                   Column* out) = 0;
};

/// Makes one that keeps its accounts in `*tally`.
using NewSeriesMapper =
    absl::FunctionRef<std::unique_ptr<SeriesMapper>(Tally* tally)>;

}  // namespace narthex::promql
