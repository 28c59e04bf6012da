#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/model/labels.h"
#include "libs/rules/rule_file.h"
#include "libs/rules/seams.h"

namespace narthex::rules {

enum class Health { kUnknown, kOk, kError };
enum class AlertState { kUnknown, kInactive, kPending, kFiring };

/// One alert as people see it.
struct AlertStatus {
  model::Labels labels;
  model::Labels annotations;
  AlertState state = AlertState::kInactive;
  std::int64_t active_at_ms = 0;
  std::int64_t keep_firing_since_ms = 0;  ///< 0: its condition holds.
  double value = 0;
};

/// One rule as people see it.
struct RuleStatus {
  std::string name;
  std::string query;  ///< As printed, not as written.
  model::Labels labels;
  Health health = Health::kUnknown;
  std::string last_error;
  std::int64_t evaluation_ns = 0;
  std::int64_t last_evaluation_ms = 0;  ///< 0: never.

  bool alerting = false;
  // The rest is of alerting rules.
  AlertState state = AlertState::kUnknown;  ///< The highest of its alerts.
  std::int64_t for_ms = 0;
  std::int64_t keep_firing_for_ms = 0;
  model::Labels annotations;
  std::vector<AlertStatus> alerts;  ///< Active ones, sorted by labels.
};

/// What an evaluation is given.
struct EvaluationContext {
  std::int64_t time_ms = 0;
  std::int64_t query_offset_ms = 0;
  std::int64_t limit = 0;
  std::string origin;
  const QueryFunction* query = nullptr;
  const model::Labels* external_labels = nullptr;
  absl::string_view external_url;

  /// The time of the query and of the results.
  std::int64_t sample_time_ms() const { return time_ms - query_offset_ms; }
};

/// A rule with the state of its evaluations. Evaluate() runs on one thread at
/// a time; Status() on any.
class Rule {
 public:
  /// `labels` are the rule's and its group's; the expression is known to
  /// parse and is kept as it prints.
  Rule(RuleSpec spec, model::Labels labels);
  virtual ~Rule() = default;
  Rule(const Rule&) = delete;
  Rule& operator=(const Rule&) = delete;

  /// Runs the rule; the samples are to be stored.
  virtual absl::StatusOr<std::vector<ResultSample>> Evaluate(
      const EvaluationContext& context) = 0;

  const RuleSpec& spec() const { return spec_; }
  const std::string& name() const { return spec_.name(); }
  const std::string& query() const { return query_; }
  const model::Labels& labels() const { return labels_; }
  /// Rules with one identity in two versions of a group pass on their state.
  std::string identity() const;

  void SetResult(const absl::Status& status, std::int64_t time_ms,
                 std::int64_t duration_ns) ABSL_LOCKS_EXCLUDED(mutex_);
  /// Keeps the times of the last result and changes its verdict.
  void SetHealth(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);
  virtual RuleStatus Status() const ABSL_LOCKS_EXCLUDED(mutex_);

 protected:
  absl::StatusOr<std::vector<promql::VectorSample>> Query(
      const EvaluationContext& context) const;

  mutable base::Mutex mutex_;

 private:
  const RuleSpec spec_;
  const model::Labels labels_;
  const std::string query_;
  absl::Status last_result_ ABSL_GUARDED_BY(mutex_);
  std::int64_t last_evaluation_ms_ ABSL_GUARDED_BY(mutex_) = 0;
  std::int64_t evaluation_ns_ ABSL_GUARDED_BY(mutex_) = 0;
};

/// Stores the result of its expression under a new name.
class RecordingRule : public Rule {
 public:
  using Rule::Rule;
  absl::StatusOr<std::vector<ResultSample>> Evaluate(
      const EvaluationContext& context) override;
};

/// A rule of the kind that `spec` describes. `restore`: an alerting rule
/// waits for the state from before a restart.
std::unique_ptr<Rule> NewRule(const GroupSpec& group, const RuleSpec& spec,
                              bool restore, const base::Logger& log);

}  // namespace narthex::rules
