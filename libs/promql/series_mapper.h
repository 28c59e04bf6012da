#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "libs/model/labels.h"
#include "libs/model/sample.h"
#include "libs/promql/annotations.h"
#include "libs/promql/column.h"

namespace narthex::promql {

/// How much a query has looked at.
struct SampleStats {
  std::int64_t total = 0;   // Samples seen, once for each step that saw them.
  std::int64_t read = 0;    // Samples taken from storage.
  std::int64_t series = 0;  // Series taken from storage.
  std::int64_t peak = 0;    // Most samples held at a time.

  void Add(const SampleStats& other) {
    total += other.total;
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
