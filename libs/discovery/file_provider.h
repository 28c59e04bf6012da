#pragma once

#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "libs/base/file.h"
#include "libs/base/log.h"
#include "libs/discovery/config.h"
#include "libs/discovery/metrics.h"
#include "libs/discovery/provider.h"

namespace narthex::discovery {

/// Reads target groups from JSON and YAML files, again whenever one of their
/// directories changes and every refresh interval. A file that cannot be read
/// keeps the groups it had; a file that is gone loses them. Groups carry
/// __meta_filepath.
class FileProvider : public Provider {
 public:
  FileProvider(FileConfig config, base::Logger logger, Metrics& metrics);
  ~FileProvider() override;

  void Start(Update update) override;
  void Stop() override;

 private:
  void Run();
  /// Watches the directories of all patterns; those missing are tried again
  /// at the next refresh.
  void Watch();
  void DrainEvents();
  void Refresh();
  /// Adds what changed in `path` to `*changes`.
  void ReadInto(const std::string& path, std::vector<TargetGroup>* changes);

  const FileConfig config_;
  const base::Logger logger_;
  Metrics& metrics_;
  Update update_;
  base::UniqueFd inotify_;
  base::UniqueFd stop_;
  std::set<std::string> watched_;
  /// Number of groups handed over for each file.
  std::map<std::string, std::size_t> known_;
  std::thread thread_;
};

/// Reads a file of target groups; sources are "<path>:<index>". Errors name
/// file, line and field.
absl::StatusOr<std::vector<TargetGroup>> ReadTargetGroups(
    const std::string& path);

}  // namespace narthex::discovery
