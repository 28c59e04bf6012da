#include "libs/service/auto_reload.h"

#include <chrono>
#include <map>
#include <utility>

#include "libs/base/file.h"
#include "libs/base/hash.h"

namespace narthex::service {
namespace {

// Hashes of files' contents by their names. A file that cannot be read counts
// as one that says so: when it comes back, that is a change.
std::map<std::string, std::uint64_t> Read(
    const std::vector<std::string>& files) {
  std::map<std::string, std::uint64_t> contents;
  for (const std::string& file : files) {
    const auto content = base::ReadFile(file);
    contents[file] =
        base::XxHash64(content.ok() ? *content : content.status().ToString());
  }
  return contents;
}

}  // namespace

AutoReload::~AutoReload() { Stop(); }

void AutoReload::AddFlags(FlagSet& flags) {
  flags.Bool("config.auto-reload", &enabled_,
             "Reload the configuration when a file of it changes.");
  flags.Duration("config.auto-reload-interval", &interval_ms_,
                 "How often to look whether the configuration has changed.");
}

void AutoReload::Start(Process& process, const Features& features,
                       std::function<std::vector<std::string>()> files) {
  if (!enabled_ && !features.Has(kAutoReloadFeature)) return;
  process.OnStop("auto reload", [this] { Stop(); });
  // Read here, so that no change from now on is missed.
  Contents loaded = Read(files());
  thread_ = std::thread([this, &process, files = std::move(files),
                         loaded = std::move(loaded)]() mutable {
    Run(process, files, std::move(loaded));
  });
}

void AutoReload::Run(Process& process,
                     const std::function<std::vector<std::string>()>& files,
                     Contents loaded) {
  while (true) {
    {
      base::MutexLock lock(mutex_);
      if (!stopping_) {
        stop_.WaitFor(mutex_, std::chrono::milliseconds(interval_ms_));
      }
      if (stopping_) return;
    }
    const Contents found = Read(files());
    if (found == loaded || !process.ready()) continue;
    process.log().Info("configuration files have changed, reloading");
    // Reload() logs and counts. A bad file is not tried again until it changes.
    (void)process.Reload();
    // The new configuration may have other files. What was there before it was
    // loaded counts for the others: a writer may have gone on since.
    loaded = Read(files());
    for (const auto& [file, hash] : found) {
      if (const auto it = loaded.find(file); it != loaded.end()) {
        it->second = hash;
      }
    }
  }
}

void AutoReload::Stop() {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    stop_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

}  // namespace narthex::service
