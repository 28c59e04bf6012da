#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "libs/tsdb/head_chunk_files.h"

namespace narthex::tsdb {

/// Calls `visit` with every chunk of a file of `chunks_head`, in the order of
/// the file; the bytes of a chunk are valid during the call only. kDataLoss
/// naming file and offset at the first chunk that is damaged,
/// kInvalidArgument for a version that is not read; an error of `visit` ends
/// the reading too.
absl::Status ReadHeadChunks(
    const std::string& path,
    const std::function<absl::Status(const HeadChunk&)>& visit);

}  // namespace narthex::tsdb
