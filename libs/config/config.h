#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/config/alerting.h"
#include "libs/config/remote.h"
#include "libs/config/scrape.h"
#include "libs/config/settings.h"

namespace narthex::config {

/// A whole prometheus.yml with defaults filled in. All paths in it are
/// relative to nothing: Load() has resolved them against the file they stand
/// in.
struct Config {
  GlobalConfig global;
  int gogc = 75;  // Means nothing here; printed back.
  AlertingConfig alerting;
  /// Patterns; see RuleFilePaths().
  std::vector<std::string> rule_files;
  std::vector<std::string> scrape_config_files;
  /// Those of the main file.
  std::vector<ScrapeConfig> scrape_configs;
  /// Those that scrape_config_files brought in.
  std::vector<ScrapeConfig> included_scrape_configs;
  StorageConfig storage;
  std::optional<TracingConfig> tracing;
  std::vector<RemoteWriteConfig> remote_write;
  std::vector<RemoteReadConfig> remote_read;
  OtlpConfig otlp;

  /// Sections that were read and checked but have no effect, each to be
  /// logged as an error by the service that would act on it: "remote_write:
  /// known to Prometheus, not supported yet".
  std::vector<std::string> unsupported;
  /// What is worth a line in the log: "external label x: environment variable
  /// Y is empty".
  std::vector<std::string> warnings;

  /// Main file first, job names unique.
  std::vector<ScrapeConfig> AllScrapeConfigs() const;
  /// The files that match rule_files now, in order, each once.
  std::vector<std::string> RuleFilePaths() const;
  /// All files that this comes from: `path`, which it was loaded from, and
  /// those that match scrape_config_files and rule_files now.
  std::vector<std::string> Files(const std::string& path) const;
  /// The configuration as Prometheus prints it at /api/v1/status/config:
  /// defaults filled in, secrets hidden.
  std::string Print() const;
};

/// Reads and checks `path`. Errors name file, line and field; kNotFound when
/// there is no such file. What the section `global` leaves out is as in
/// `defaults`.
absl::StatusOr<Config> Load(const std::string& path,
                            const GlobalConfig& defaults = {});
/// The same for the content of a file in `directory` that errors call
/// `file`.
absl::StatusOr<Config> Parse(absl::string_view text, const std::string& file,
                             const std::string& directory,
                             const GlobalConfig& defaults = {});

}  // namespace narthex::config
