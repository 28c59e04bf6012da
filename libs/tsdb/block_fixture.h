#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "libs/model/labels.h"
#include "libs/model/matcher.h"
#include "libs/tsdb/block.h"

namespace narthex::tsdb {

/// What a block should hold, as plain as it can be: for tests.
using SeriesModel = std::map<model::Labels, std::map<std::int64_t, double>>;

/// Writes `data` as a block that covers [min_ms, max_ms) in `directory`, with
/// `samples_per_chunk` samples a chunk, and opens it. Fails the test on error.
std::shared_ptr<Block> WriteBlock(const std::string& directory,
                                  const SeriesModel& data, std::int64_t min_ms,
                                  std::int64_t max_ms,
                                  int samples_per_chunk = 120);

/// All that `set` gives inside `range`. Fails the test on error, on wrong
/// order and on repeated series.
SeriesModel ReadAll(std::unique_ptr<storage::ChunkSeriesSet> set,
                    const storage::TimeRange& range);

/// The part of `data` in `range` whose labels satisfy `matchers`.
SeriesModel Filter(const SeriesModel& data, const storage::TimeRange& range,
                   const std::vector<model::Matcher>& matchers);

/// A matcher from its parts; fails the test when it is malformed.
model::Matcher Match(absl::string_view name, absl::string_view op,
                     absl::string_view value);

}  // namespace narthex::tsdb
