#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/tsdb/block.h"

namespace narthex::ctl {

struct ImportOptions {
  /// Where the blocks go; made when it is not there.
  std::string directory;
  /// No block spans more. Blocks span 2 hours times a power of three.
  std::int64_t max_block_ms = 0;
  /// Set on every series.
  std::vector<std::pair<std::string, std::string>> labels;
};

/// Makes blocks of an OpenMetrics text all of whose samples have a timestamp.
/// Calls `made` with every block. As in promtool, whose appender takes 5000
/// samples at a time: a sample that is not newer than the last of its series is
/// left out when both are among the same 5000 of a block, and an error
/// otherwise. Returns how many were left out. The text is parsed once for the
/// bounds and once for each block; in memory are the samples of one.
/// kInvalidArgument for a bad text; the blocks before the
/// flaw are then there.
absl::StatusOr<std::uint64_t> ImportOpenMetrics(
    absl::string_view text, const ImportOptions& options,
    const std::function<void(const std::shared_ptr<tsdb::Block>&)>& made);

}  // namespace narthex::ctl
