#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/model/labels.h"
#include "libs/model/sample.h"
#include "libs/promql/series_description.h"
#include "libs/storage/storage.h"

/// How test scripts fill storage. For tests only.
namespace narthex::promql {

/// The start times of a series, one for each of its positions: relative to the
/// sample there, none where the start is not known.
using StartOffsets = std::vector<std::optional<std::int64_t>>;

/// Parses the positions of an `@st` line: `_ _x2 -30s -1m+10sx3`.
absl::StatusOr<StartOffsets> ParseStartOffsets(absl::string_view text);

/// A `load` command.
struct LoadCommand {
  struct Series {
    SeriesDescription description;
    StartOffsets starts;  // Empty: none.
  };
  std::int64_t step_ms = 0;
  std::vector<Series> series;
  /// load_with_nhcb: classic histograms are added as native ones, too.
  bool with_custom_buckets = false;
};

struct LoadedSeries {
  model::Labels labels;
  model::SampleColumns samples;
};

/// The samples a command describes. kInvalidArgument when buckets of a classic
/// histogram contradict each other.
absl::StatusOr<std::vector<LoadedSeries>> Expand(const LoadCommand& load);

/// Where a script keeps its series.
class ScriptStorage {
 public:
  virtual ~ScriptStorage() = default;
  virtual void Clear() = 0;
  virtual absl::Status Load(const std::vector<LoadedSeries>& series) = 0;
  virtual storage::Queryable& queryable() = 0;
};

/// Gives the histograms of a series the counter resets they have when they are
/// read from chunks: what is known of the one before decides.
void SetStoredCounterResets(model::SampleColumns* samples);

}  // namespace narthex::promql
