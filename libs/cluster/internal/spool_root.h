#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/file.h"
#include "libs/cluster/internal/push_spool.h"
#include "libs/cluster/writer.h"

namespace narthex::cluster::internal {

/// The directory with a spool for each ingester, named after its address.
/// Locked: no two processes share it.
class SpoolRoot {
 public:
  /// kFailedPrecondition when another process uses the directory.
  static absl::StatusOr<std::unique_ptr<SpoolRoot>> Open(
      const DiskOptions& options);

  DiskQueueOptions OptionsFor(const std::string& address) const;
  /// The directories that are there.
  std::vector<std::string> Directories() const;
  DiskQueueOptions OptionsIn(std::string directory) const;

 private:
  SpoolRoot(DiskOptions options, base::UniqueFd lock)
      : options_(std::move(options)), lock_(std::move(lock)) {}

  const DiskOptions options_;
  const base::UniqueFd lock_;
};

}  // namespace narthex::cluster::internal
