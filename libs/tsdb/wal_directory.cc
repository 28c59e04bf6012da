#include "libs/tsdb/wal_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/tsdb/wal_frames.h"

namespace narthex::tsdb {
namespace {

constexpr absl::string_view kCheckpointPrefix = "checkpoint.";

// The number that a name of digits only stands for.
std::optional<int> NumberOf(absl::string_view name) {
  int number = 0;
  if (name.size() < 6 ||
      !std::all_of(name.begin(), name.end(), absl::ascii_isdigit) ||
      !absl::SimpleAtoi(name, &number)) {
    return std::nullopt;
  }
  return number;
}

absl::StatusOr<std::vector<std::string>> NamesIn(const std::string& directory) {
  if (!base::Exists(directory)) return std::vector<std::string>();
  return base::ListDirectory(directory);
}

std::uint64_t FileBytes(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode)
             ? static_cast<std::uint64_t>(info.st_size)
             : 0;
}

}  // namespace

absl::StatusOr<std::vector<int>> ListWalSegments(const std::string& directory) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                           NamesIn(directory));
  std::vector<int> segments;
  for (const std::string& name : names) {
    if (const auto number = NumberOf(name)) segments.push_back(*number);
  }
  std::sort(segments.begin(), segments.end());
  return segments;
}

absl::Status CheckSegmentsFollow(const std::string& directory,
                                 const std::vector<int>& segments) {
  for (std::size_t i = 1; i < segments.size(); ++i) {
    if (segments[i] == segments[i - 1] + 1) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("log ", directory, ": segment ", segments[i - 1] + 1,
                     " is missing before segment ", segments[i]));
  }
  return absl::OkStatus();
}

std::string WalSegmentPath(const std::string& directory, int segment) {
  return absl::StrFormat("%s/%08d", directory, segment);
}

std::uint64_t WalDirectoryBytes(const std::string& directory) {
  const auto names = NamesIn(directory);
  if (!names.ok()) return 0;
  std::uint64_t bytes = 0;
  for (const std::string& name : *names) {
    const std::string path = absl::StrCat(directory, "/", name);
    if (absl::StartsWith(name, kCheckpointPrefix)) {
      bytes += WalDirectoryBytes(path);
    } else {
      bytes += FileBytes(path);
    }
  }
  return bytes;
}

absl::StatusOr<std::vector<WalCheckpoint>> ListWalCheckpoints(
    const std::string& directory) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                           NamesIn(directory));
  std::vector<WalCheckpoint> checkpoints;
  for (const std::string& name : names) {
    absl::string_view digits = name;
    if (!absl::ConsumePrefix(&digits, kCheckpointPrefix)) continue;
    if (const auto number = NumberOf(digits)) {
      checkpoints.push_back({*number, absl::StrCat(directory, "/", name)});
    }
  }
  std::sort(checkpoints.begin(), checkpoints.end(),
            [](const WalCheckpoint& a, const WalCheckpoint& b) {
              return a.segment < b.segment;
            });
  return checkpoints;
}

std::string WalCheckpointPath(const std::string& directory, int segment) {
  return absl::StrFormat("%s/%s%08d", directory, kCheckpointPrefix, segment);
}

absl::StatusOr<std::optional<WalFlaw>> ReadWalSegment(
    const std::string& directory, int segment, const WalVisit& visit) {
  const std::string path = WalSegmentPath(directory, segment);
  NARTHEX_ASSIGN_OR_RETURN(const base::MappedFile file,
                           base::MappedFile::Open(path));
  WalSegmentReader reader(file.data());
  std::uint64_t good = 0;
  while (reader.Next()) {
    const absl::Status status = visit(reader.record());
    if (absl::IsDataLoss(status)) return WalFlaw{segment, good, status};
    NARTHEX_RETURN_IF_ERROR(status);
    good = reader.offset();
  }
  if (reader.status().ok()) return std::nullopt;
  return WalFlaw{segment, good, reader.status()};
}

absl::Status RepairWal(const std::string& directory, const WalFlaw& flaw) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<int> segments,
                           ListWalSegments(directory));
  // From the last on: a crash leaves no gap.
  for (auto it = segments.rbegin(); it != segments.rend() && *it > flaw.segment;
       ++it) {
    NARTHEX_RETURN_IF_ERROR(base::RemoveAll(WalSegmentPath(directory, *it)));
  }
  const std::string path = WalSegmentPath(directory, flaw.segment);
  const base::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return base::ErrnoStatus(errno, "open", path);
  if (::ftruncate(file.get(), static_cast<off_t>(flaw.offset)) != 0) {
    return base::ErrnoStatus(errno, "truncate", path);
  }
  if (::fsync(file.get()) != 0) return base::ErrnoStatus(errno, "fsync", path);
  return base::SyncDirectory(directory);
}

}  // namespace narthex::tsdb
