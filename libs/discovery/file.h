#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "libs/base/file.h"
#include "libs/base/log.h"
#include "libs/discovery/provider.h"
#include "libs/yaml/emitter.h"
#include "libs/yaml/node.h"

namespace narthex::discovery {

/// One entry of file_sd_configs.
struct FileConfig {
  /// Paths ending in .json, .yml or .yaml, with at most one "*", in the last
  /// part.
  std::vector<std::string> files;
  std::int64_t refresh_interval_ms = 5 * 60 * 1000;

  friend bool operator==(const FileConfig&, const FileConfig&) = default;
};

absl::Status Decode(const yaml::Node& node, FileConfig* config);
void Emit(const FileConfig& config, yaml::Emitter* out);
void SetDirectory(const std::string& directory, FileConfig* config);
std::unique_ptr<Provider> MakeProvider(const FileConfig& config,
                                       const ProviderContext& context);

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
