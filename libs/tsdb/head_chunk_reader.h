#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/tsdb/head_chunk_files.h"

namespace narthex::tsdb {

using HeadChunkVisit = std::function<absl::Status(const HeadChunk&)>;

/// Calls `visit` with every chunk of a file of `chunks_head`, in the order of
/// the file; the bytes of a chunk are valid during the call only. kDataLoss
/// naming file and offset at the first chunk that is damaged,
/// kInvalidArgument for a version that is not read; an error of `visit` ends
/// the reading too.
absl::Status ReadHeadChunks(const std::string& path,
                            const HeadChunkVisit& visit);
/// Likewise with `data`, the content of the file `path`: chunks' bytes are
/// views of it. Returns how much of it is in use.
absl::StatusOr<std::size_t> ReadHeadChunks(const std::string& path,
                                           absl::string_view data,
                                           const HeadChunkVisit& visit);

}  // namespace narthex::tsdb
