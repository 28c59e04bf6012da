#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/tsdb/chunk_snapshot.h"

namespace narthex::tsdb {

/// What a check of files counted and found wrong.
struct VerifyReport {
  /// Of one directory no more than these are kept: one flaw often makes many.
  static constexpr std::size_t kMostFindings = 1000;

  std::uint64_t blocks = 0;
  std::uint64_t series = 0;
  std::uint64_t chunks = 0;
  std::uint64_t samples = 0;
  std::uint64_t log_segments = 0;
  std::uint64_t log_records = 0;
  std::uint64_t head_chunks = 0;

  /// Each "path: what is wrong", in the order of discovery.
  std::vector<std::string> findings;
  /// Found beyond kMostFindings.
  std::uint64_t more_findings = 0;

  bool ok() const { return findings.empty(); }
  void Add(absl::string_view where, absl::string_view what);
};

/// Checks all files of a data directory and changes none: every checksum; that
/// symbols, postings, series, chunks and samples are in order; that postings
/// name exactly the series that have the pair; that every chunk decodes to
/// what the index and meta.json say of it; that every record of the logs
/// decodes, and every one of a snapshot of memory. What cannot be read is a
/// finding; kNotFound when there is no such directory.
absl::StatusOr<VerifyReport> VerifyDirectory(const std::string& directory);

/// The parts of it: one block, a log (`wal` or `wbl`) with its checkpoints,
/// the files of head chunks (of which it returns the bytes in use), a snapshot
/// of memory (which relies on so many of these).
void VerifyBlock(const std::string& directory, VerifyReport* report);
void VerifyLog(const std::string& directory, VerifyReport* report);
std::uint64_t VerifyHeadChunks(const std::string& directory,
                               VerifyReport* report);
void VerifyChunkSnapshot(const ChunkSnapshot& snapshot,
                         std::uint64_t head_chunk_bytes, VerifyReport* report);

}  // namespace narthex::tsdb
