#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "libs/base/mutex.h"
#include "libs/service/features.h"
#include "libs/service/flags.h"
#include "libs/service/process.h"

namespace narthex::service {

/// The older name of --config.auto-reload.
inline constexpr absl::string_view kAutoReloadFeature = "auto-reload-config";

/// Reloads a process when the content of its configuration files changes:
/// --config.auto-reload and --config.auto-reload-interval, as in Prometheus.
class AutoReload {
 public:
  /// Stops.
  ~AutoReload();

  void AddFlags(FlagSet& flags);

  /// Begins to watch if the flag, or the feature of the same meaning, says so.
  /// `files` names the files at present; it is asked before each look, on a
  /// thread of its own.
  void Start(Process& process, const Features& features,
             std::function<std::vector<std::string>()> files);

 private:
  // Hashes of what the files hold.
  using Contents = std::map<std::string, std::uint64_t>;

  void Run(Process& process,
           const std::function<std::vector<std::string>()>& files,
           Contents loaded) ABSL_LOCKS_EXCLUDED(mutex_);
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

  bool enabled_ = false;
  std::int64_t interval_ms_ = 30'000;
  base::Mutex mutex_;
  base::CondVar stop_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace narthex::service
