#pragma once

#include <memory>
#include <vector>

#include "libs/storage/storage.h"

namespace narthex::storage {

/// Merges sets that are each sorted by labels into one. A series that several
/// sets hold appears once, with the chunks of all of them, ascending by
/// min_ms; chunks with equal bytes and bounds (replicas) are kept once. The
/// order does not depend on that of the sets.
std::unique_ptr<ChunkSeriesSet> MergeChunkSeries(
    std::vector<std::unique_ptr<ChunkSeriesSet>> sets);

/// Merges the sorted columns `from` into `into`, both ascending. Of two
/// samples with one timestamp the one in `into` stays.
void MergeColumns(const model::SampleColumns& from, model::SampleColumns* into);

/// Merges sorted, duplicate-free lists of names into one; at most `limit`
/// (0: all).
std::vector<std::string> MergeNames(std::vector<std::vector<std::string>> lists,
                                    std::size_t limit);

}  // namespace narthex::storage
