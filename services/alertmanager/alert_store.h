#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "services/alertmanager/alert.h"

namespace narthex::alertmanager {

/// Is told of every alert that changes.
class AlertSink {
 public:
  virtual ~AlertSink() = default;
  /// In the order in which they were stored. Called under the store's lock:
  /// take note and return.
  virtual void OnAlerts(const std::vector<Alert>& alerts) = 0;
};

/// Holds every alert that has not resolved, or not long ago. Thread-safe.
class AlertStore {
 public:
  /// `limit_per_name` bounds the alerts of one alertname; zero is no bound.
  AlertStore(base::Clock& clock, std::size_t limit_per_name)
      : clock_(clock), limit_per_name_(limit_per_name) {}

  /// Merges each alert with what is known of it, stores it and passes it on.
  /// Returns how many were refused for the limit.
  std::size_t Put(std::vector<Alert> alerts) ABSL_LOCKS_EXCLUDED(mutex_);

  /// Passes all alerts, then every later change, to `sink`, which takes the
  /// place of the one before; null for none.
  void SetSink(AlertSink* sink) ABSL_LOCKS_EXCLUDED(mutex_);

  /// All alerts, in no order.
  std::vector<Alert> All() const ABSL_LOCKS_EXCLUDED(mutex_);

  /// Drops what has resolved.
  void CollectGarbage() ABSL_LOCKS_EXCLUDED(mutex_);

  std::size_t limited_total() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  /// Whether a new alert of this name is one too many; counts it if not.
  bool ExceedsLimit(const Alert& alert) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  base::Clock& clock_;
  const std::size_t limit_per_name_;
  mutable base::Mutex mutex_;
  absl::flat_hash_map<Fingerprint, Alert> alerts_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, std::size_t> per_name_
      ABSL_GUARDED_BY(mutex_);
  std::size_t limited_ ABSL_GUARDED_BY(mutex_) = 0;
  AlertSink* sink_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace narthex::alertmanager
