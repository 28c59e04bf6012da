#pragma once

#include <memory>

#include "libs/storage/storage.h"

namespace narthex::cluster {

/// Makes a series of decoded samples from one of encoded chunks: what lies in
/// `range`, overlapping chunks merged. Series::Read() gives kUnimplemented
/// for an encoding that holds no floats, naming the series.
std::unique_ptr<storage::Series> MakeSeries(storage::ChunkSeries series,
                                            const storage::TimeRange& range);

/// The same for a whole set.
std::unique_ptr<storage::SeriesSet> MakeSeriesSet(
    std::unique_ptr<storage::ChunkSeriesSet> chunks,
    const storage::TimeRange& range);

}  // namespace narthex::cluster
