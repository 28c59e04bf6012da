#pragma once

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/tsdb/block.h"

namespace narthex::ctl {

/// kNotFound, in promtool's words, unless `path` is there.
absl::Status CheckDatabase(const std::string& path);

/// The blocks below a data directory, ascending in time.
absl::StatusOr<std::vector<std::shared_ptr<tsdb::Block>>> OpenBlocks(
    const std::string& path);

/// One line a block, as `promtool tsdb list`; times and sizes for people when
/// `human_readable`.
void PrintBlocks(const std::vector<std::shared_ptr<tsdb::Block>>& blocks,
                 bool header, bool human_readable, std::ostream& out);

}  // namespace narthex::ctl
