#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "libs/base/mutex.h"
#include "services/alertmanager/alert.h"
#include "services/alertmanager/event_loop.h"
#include "services/alertmanager/route.h"

namespace narthex::alertmanager {

/// A group's alerts at one moment, on their way to the receiver of its route.
struct Flush {
  std::shared_ptr<const Route> route;
  model::Labels group_labels;
  std::string group_key;
  /// In no order. Those that have not resolved have no end.
  std::vector<Alert> alerts;
  std::int64_t now_ms = 0;
  /// When to give up retrying.
  std::int64_t deadline_ms = 0;
  /// Set when the answer is no longer waited for: stop retrying.
  std::shared_ptr<const std::atomic<bool>> cancelled;
};

struct FlushResult {
  /// All who had to be told were told; resolved alerts may be forgotten.
  bool ok = true;
  /// Names of the time intervals that muted the group.
  std::vector<std::string> muted_by;
};

/// Takes what groups send.
class FlushHandler {
 public:
  virtual ~FlushHandler() = default;
  using Done = std::function<void(FlushResult)>;
  /// Runs on the event loop; `done` too, once, possibly before this returns.
  virtual void OnFlush(std::shared_ptr<const Flush> flush, Done done) = 0;
};

struct DispatcherOptions {
  /// No group is flushed in the first moments after the start.
  std::int64_t start_delay_ms = 0;
  /// How often empty groups are removed.
  std::int64_t maintenance_interval_ms = 30 * 1000;
};

/// A group as it stands.
struct GroupView {
  const Route* route = nullptr;
  model::Labels labels;
  std::string key;
  std::vector<Alert> alerts;
  std::vector<std::string> muted_by;
};

/// Sorts alerts into groups by route and labels and flushes each group on its
/// own beat: `group_wait` after its first alert, then every `group_interval`.
/// All beats are timers of one event loop. Create with std::make_shared().
/// Thread-safe.
class Dispatcher : public std::enable_shared_from_this<Dispatcher> {
 public:
  /// `loop` must outlive the dispatcher.
  Dispatcher(std::shared_ptr<const Route> root, EventLoop& loop,
             std::shared_ptr<FlushHandler> handler, DispatcherOptions options);

  void Start();
  void Insert(const std::vector<Alert>& alerts) ABSL_LOCKS_EXCLUDED(mutex_);

  /// Ends all beats, cancels what is under way and waits for it, at most
  /// until `wait_ms` have passed. Not to be called on the event loop unless
  /// `wait_ms` is 0.
  void Stop(std::int64_t wait_ms) ABSL_LOCKS_EXCLUDED(mutex_);

  /// All groups that have alerts, in no order.
  std::vector<GroupView> Groups() const ABSL_LOCKS_EXCLUDED(mutex_);
  std::size_t group_count() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using GroupId = std::pair<const Route*, model::Labels>;
  struct Group {
    std::string key;
    absl::flat_hash_map<Fingerprint, Alert> alerts;
    EventLoop::TimerId timer = 0;
    std::int64_t timer_ms = 0;
    bool has_flushed = false;
    /// A flush is under way: the next waits for its end.
    bool is_flushing = false;
    bool is_due = false;
    std::vector<std::string> muted_by;
  };

  void InsertInto(const Route& route, const Alert& alert, std::int64_t now_ms)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Schedule(const GroupId& id, Group& group, std::int64_t at_ms)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ScheduleMaintenance() ABSL_LOCKS_EXCLUDED(mutex_);

  void OnBeat(const GroupId& id) ABSL_LOCKS_EXCLUDED(mutex_);
  std::shared_ptr<const Flush> BeginFlush(const GroupId& id, Group& group)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndFlush(const GroupId& id, const Flush& flush, FlushResult result)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void RemoveEmptyGroups() ABSL_LOCKS_EXCLUDED(mutex_);

  const std::shared_ptr<const Route> root_;
  EventLoop& loop_;
  const std::shared_ptr<FlushHandler> handler_;
  const DispatcherOptions options_;
  const std::int64_t start_ms_;
  const std::shared_ptr<std::atomic<bool>> cancelled_ =
      std::make_shared<std::atomic<bool>>(false);

  mutable base::Mutex mutex_;
  base::CondVar idle_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  int flushes_under_way_ ABSL_GUARDED_BY(mutex_) = 0;
  EventLoop::TimerId maintenance_timer_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<GroupId, std::unique_ptr<Group>> groups_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::alertmanager
