#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "libs/model/labels.h"
#include "libs/storage/storage.h"
#include "libs/tsdb/histogram_fixture.h"

namespace narthex::tsdb {

/// The directory of public test data of the TSDB, empty (and a warning) when
/// it is not there.
std::string ConformanceDirectory();

/// Text by which values are compared: NaNs other than stale are alike.
std::string ValueKey(double value);

/// Samples of series by time.
using FloatTexts = std::map<model::Labels, std::map<std::int64_t, std::string>>;
using SeriesFacts =
    std::map<model::Labels, std::map<std::int64_t, HistogramFacts>>;

/// What an EXPECT file lists inside `range`.
FloatTexts ExpectedFloats(const std::string& path,
                          const storage::TimeRange& range);
SeriesFacts ExpectedHistograms(const std::string& path,
                               const storage::TimeRange& range);

/// Adds the samples of a set to those found; fails the test on errors. A
/// staleness marker is a float unless its series has histograms.
void ReadSamples(storage::ChunkSeriesSet& set, FloatTexts* floats,
                 SeriesFacts* histograms);

}  // namespace narthex::tsdb
