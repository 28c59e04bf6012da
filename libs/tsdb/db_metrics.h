#pragma once

#include <memory>
#include <string>

#include "libs/metrics/metrics.h"
#include "libs/tsdb/head.h"
#include "libs/tsdb/loaded_blocks.h"

namespace narthex::tsdb {

/// Registers the metrics that are read off a database at exposition. They are
/// zero once it is gone: the registry may outlive it.
void RegisterStateMetrics(metrics::Registry& registry,
                          const std::shared_ptr<Head>& head,
                          const std::shared_ptr<LoadedBlocks>& blocks,
                          const std::string& wal_directory);

}  // namespace narthex::tsdb
