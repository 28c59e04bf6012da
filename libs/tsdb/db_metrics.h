#pragma once

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
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

/// Registers the size of a write log; `prefix` begins the metric's name.
void RegisterLogSize(metrics::Registry& registry, absl::string_view prefix,
                     const std::string& directory);

}  // namespace narthex::tsdb
