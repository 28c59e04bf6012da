#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "libs/base/mutex.h"
#include "services/alertmanager/alert.h"
#include "services/alertmanager/config.h"

namespace narthex::alertmanager {

/// Tells which alerts are muted because another one fires. Sources of a rule
/// are found by a hash of the labels that must be equal, so a check costs the
/// same however many there are. Thread-safe.
class Inhibitor {
 public:
  explicit Inhibitor(const std::vector<InhibitRuleConfig>& rules);

  /// Takes note of alerts that may inhibit others.
  void Observe(const std::vector<Alert>& alerts) ABSL_LOCKS_EXCLUDED(mutex_);

  /// The alert that inhibits one with these labels at `now_ms`, if any does.
  std::optional<Fingerprint> InhibitedBy(const model::Labels& labels,
                                         std::int64_t now_ms) const
      ABSL_LOCKS_EXCLUDED(mutex_);

  /// Drops sources that have resolved.
  void CollectGarbage(std::int64_t now_ms) ABSL_LOCKS_EXCLUDED(mutex_);

  std::size_t rule_count() const { return rules_.size(); }

 private:
  struct Source {
    std::shared_ptr<const AlertContent> content;
    std::int64_t ends_at_ms = kNoTime;
    /// It matches the rule's target side as well.
    bool is_target = false;
  };
  struct Rule {
    InhibitRuleConfig config;
    /// By hash of the labels that must be equal.
    absl::flat_hash_map<std::uint64_t, std::vector<Source>> sources;
  };

  const Source* FindSource(const Rule& rule, const model::Labels& labels,
                           std::int64_t now_ms) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  mutable base::Mutex mutex_;
  std::vector<Rule> rules_;  // Guarded by mutex_ but for number and config.
};

}  // namespace narthex::alertmanager
