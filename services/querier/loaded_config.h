#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/clock.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/config/scrape.h"
#include "libs/model/labels.h"

namespace narthex::querier {

/// What the querier uses of a prometheus.yml, as last loaded well.
/// Thread-safe.
class LoadedConfig {
 public:
  LoadedConfig(std::string path, base::Clock& clock, base::Logger log);

  /// Reads the file again; after an error the old configuration stays.
  absl::Status Load() ABSL_LOCKS_EXCLUDED(mutex_);

  struct Snapshot {
    /// As Prometheus prints it, secrets hidden.
    std::string yaml;
    model::Labels external_labels;
    std::int64_t evaluation_interval_ms = 60'000;
    std::string query_log_file;
    std::vector<config::ScrapeConfig> scrape_configs;
    /// Those that it was read from.
    std::vector<std::string> files;
    /// Unix ms of the load.
    std::int64_t loaded_ms = 0;
  };
  /// Never null.
  std::shared_ptr<const Snapshot> snapshot() const ABSL_LOCKS_EXCLUDED(mutex_);
  /// Whether the last Load() went well.
  bool ok() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const std::string path_;
  base::Clock& clock_;
  const base::Logger log_;
  mutable base::Mutex mutex_;
  std::shared_ptr<const Snapshot> snapshot_ ABSL_GUARDED_BY(mutex_) =
      std::make_shared<const Snapshot>();
  bool ok_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace narthex::querier
