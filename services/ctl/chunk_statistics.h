#pragma once

#include <ostream>
#include <vector>

#include "absl/status/status.h"
#include "libs/model/matcher.h"
#include "libs/tsdb/block.h"

namespace narthex::ctl {

/// How many samples, bytes and buckets the chunks of the matching series hold,
/// as the extended form of `promtool tsdb analyze` prints it.
absl::Status PrintChunkStatistics(const tsdb::Block& block,
                                  const std::vector<model::Matcher>& matchers,
                                  std::ostream& out);

}  // namespace narthex::ctl
