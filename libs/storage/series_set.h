#pragma once

#include <memory>
#include <vector>

#include "libs/storage/storage.h"

namespace narthex::storage {

/// A set of series that are at hand.
std::unique_ptr<SeriesSet> ListSeries(
    std::vector<std::unique_ptr<Series>> series);

}  // namespace narthex::storage
