#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/clock.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/metrics/metrics.h"
#include "libs/rules/group.h"

namespace narthex::rules {

struct ManagerOptions {
  GroupOptions group;
  /// Groups that may be under evaluation at once.
  int threads = 8;
};

/// Runs rule groups, each on its grid of times. Thread-safe.
class Manager {
 public:
  Manager(ManagerOptions options, base::Clock& clock, base::Logger log,
          metrics::Registry& registry);
  ~Manager();

  /// Puts the groups of `files` in the place of those before; a group keeps
  /// its state by file and name, a rule by name and labels. Groups without an
  /// interval or offset of their own take that of `settings`. Waits for
  /// evaluations of groups that change or go.
  ///
  /// Alerts of the groups of the first call get their state from before a
  /// restart back.
  void Update(std::vector<RuleFile> files, const GroupSettings& settings)
      ABSL_LOCKS_EXCLUDED(update_mutex_, mutex_);

  /// Begins to evaluate.
  void Start();
  /// Waits for the evaluations under way. Idempotent.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

  /// All groups in the order of files and groups.
  std::vector<GroupStatus> Status() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // A group and when something is to be done with it.
  struct Entry {
    std::shared_ptr<Group> group;
    std::int64_t due_ms = 0;
    bool running = false;
    bool gone = false;     // Its series are to be ended when due.
    bool retired = false;  // Nothing is to be done any more.
  };
  using Entries = std::vector<std::shared_ptr<Entry>>;

  void Work() ABSL_LOCKS_EXCLUDED(mutex_);
  /// Waits until something is due and marks it as running; null at the end.
  std::shared_ptr<Entry> TakeDue() ABSL_LOCKS_EXCLUDED(mutex_);
  std::shared_ptr<Entry> FirstDue() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RunOnce(const std::shared_ptr<Entry>& entry) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Takes an entry out of the schedule for good and waits until it is idle.
  void Retire(Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Forget(const std::shared_ptr<Entry>& entry)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const ManagerOptions options_;
  base::Clock& clock_;
  const base::Logger log_;
  Metrics metrics_;

  base::Mutex update_mutex_;  // One Update() at a time.
  mutable base::Mutex mutex_;
  base::CondVar changed_;
  Entries entries_ ABSL_GUARDED_BY(mutex_);  // In the order of files.
  Entries gone_ ABSL_GUARDED_BY(mutex_);
  bool loaded_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace narthex::rules
