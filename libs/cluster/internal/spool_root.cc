#include "libs/cluster/internal/spool_root.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/status.h"

namespace narthex::cluster::internal {
namespace {

// A directory holds many segments, so that little is dropped at a time.
constexpr std::uint64_t kSegmentsPerQueue = 16;
constexpr std::uint64_t kMostSegmentBytes = 64 << 20;
constexpr std::uint64_t kLeastSegmentBytes = 4 << 10;

std::string DirectoryName(const std::string& address) {
  std::string name;
  for (const char c : address) {
    if (absl::ascii_isalnum(c) || c == '.' || c == '-') {
      name += c;
    } else {
      absl::StrAppendFormat(&name, "%%%02x", static_cast<unsigned char>(c));
    }
  }
  return name;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SpoolRoot>> SpoolRoot::Open(
    const DiskOptions& options) {
  NARTHEX_RETURN_IF_ERROR(base::CreateDirectories(options.directory));
  const std::string path = absl::StrCat(options.directory, "/lock");
  base::UniqueFd lock(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644));
  if (!lock) return base::ErrnoStatus(errno, "open", path);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is locked: another process uses the directory"));
  }
  return std::unique_ptr<SpoolRoot>(new SpoolRoot(options, std::move(lock)));
}

DiskQueueOptions SpoolRoot::OptionsIn(std::string directory) const {
  DiskQueueOptions options;
  options.directory = std::move(directory);
  options.max_bytes = options_.max_bytes;
  options.max_age_ms = options_.max_age.count();
  options.segment_bytes = std::clamp(options_.max_bytes / kSegmentsPerQueue,
                                     kLeastSegmentBytes, kMostSegmentBytes);
  return options;
}

DiskQueueOptions SpoolRoot::OptionsFor(const std::string& address) const {
  return OptionsIn(
      absl::StrCat(options_.directory, "/", DirectoryName(address)));
}

std::vector<std::string> SpoolRoot::Directories() const {
  std::vector<std::string> directories;
  const auto names = base::ListDirectory(options_.directory);
  if (!names.ok()) return directories;
  for (const std::string& name : *names) {
    const std::string path = absl::StrCat(options_.directory, "/", name);
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
      directories.push_back(path);
    }
  }
  return directories;
}

}  // namespace narthex::cluster::internal
