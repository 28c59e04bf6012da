#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "libs/base/clock.h"
#include "libs/base/log.h"
#include "libs/rules/metrics.h"
#include "libs/rules/rule.h"
#include "libs/rules/rule_file.h"
#include "libs/rules/seams.h"
#include "libs/storage/storage.h"

namespace narthex::rules {

/// What groups share. The callbacks and the storage outlive the groups.
struct GroupOptions {
  QueryFunction query;
  AppendFunction append;
  NotifyFunction notify;
  /// Where ALERTS_FOR_STATE is read after a restart; null: nothing is
  /// restored.
  storage::Queryable* storage = nullptr;
  std::int64_t resend_delay_ms = 60 * 1000;
  std::int64_t outage_tolerance_ms = 3600 * 1000;
  std::int64_t for_grace_period_ms = 600 * 1000;
};

/// What may change with every configuration.
struct GroupSettings {
  std::int64_t interval_ms = 60 * 1000;
  std::int64_t query_offset_ms = 0;
  model::Labels external_labels;
  std::string external_url;
  friend bool operator==(const GroupSettings&, const GroupSettings&) = default;
};

/// A group as people see it.
struct GroupStatus {
  std::string name;
  std::string file;
  std::int64_t interval_ms = 0;
  std::int64_t limit = 0;
  std::int64_t evaluation_ns = 0;
  std::int64_t last_evaluation_ms = 0;
  std::vector<RuleStatus> rules;
};

/// Rules evaluated one after the other at the same time. Evaluate() and the
/// other calls that change it come from one thread at a time; Status() from
/// any.
class Group {
 public:
  Group(GroupSpec spec, std::string file, GroupSettings settings, bool restore,
        const GroupOptions& options, Metrics& metrics, base::Clock& clock,
        const base::Logger& log);

  /// "file;name": what names the group in logs and metrics.
  const std::string& key() const { return key_; }
  const GroupSpec& spec() const { return spec_; }
  const GroupSettings& settings() const { return settings_; }
  std::int64_t interval_ms() const { return settings_.interval_ms; }

  /// The last time of the group's grid that is not after `time_ms`. The grid
  /// is spread over the interval by the group's name, so that groups do not
  /// all run at once.
  std::int64_t GridTime(std::int64_t time_ms) const;

  /// Runs all rules as of `time_ms`, stores and sends what they give.
  void Evaluate(std::int64_t time_ms);
  /// `missed` evaluations were due and left out.
  void CountMissed(std::int64_t missed);

  /// Takes over the state of an earlier version. Series of rules that are
  /// gone end with the next evaluation.
  void CopyState(const Group& from);
  /// Ends all series: the group is gone.
  void EndSeries(std::int64_t time_ms);

  GroupStatus Status() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using SeriesSet = absl::flat_hash_set<model::Labels>;

  void EvaluateRule(std::size_t index, std::int64_t time_ms);
  /// Adds the ends of series that the rule no longer yields, and remembers
  /// those it does.
  void EndVanished(std::size_t index, std::int64_t sample_time_ms,
                   std::vector<ResultSample>* samples, SeriesSet* returned);
  absl::Status Append(const std::vector<ResultSample>& samples,
                      const std::string& rule);
  void EndStaleSeries(std::int64_t sample_time_ms);
  void RestoreIfDue(std::int64_t time_ms);
  absl::Status Restore(std::int64_t time_ms);
  EvaluationContext ContextAt(std::int64_t time_ms) const;

  const GroupSpec spec_;
  const std::string file_;
  const std::string key_;
  const GroupSettings settings_;
  const std::int64_t offset_ms_;  // Of the grid.
  const GroupOptions& options_;
  GroupMetrics metrics_;
  base::Clock& clock_;
  const base::Logger log_;
  std::vector<std::unique_ptr<Rule>> rules_;
  // For each rule, what it yielded last.
  std::vector<SeriesSet> series_;
  // Of rules that are gone.
  SeriesSet stale_series_;
  bool restores_;
  std::int64_t first_evaluation_ms_ = 0;
  std::int64_t evaluations_ = 0;
  std::int64_t rule_ns_ = 0;  // Of the evaluation under way.
  std::size_t samples_ = 0;

  mutable base::Mutex mutex_;
  std::int64_t evaluation_ns_ ABSL_GUARDED_BY(mutex_) = 0;
  std::int64_t last_evaluation_ms_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace narthex::rules
