#include "libs/rules/rule.h"

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/promql/parser.h"
#include "libs/rules/alerting_rule.h"

namespace narthex::rules {
namespace {

std::string Printed(const std::string& expression) {
  const auto parsed = promql::Parse(expression, promql::ParserOptions::All());
  return parsed.ok() ? (*parsed)->String() : expression;
}

}  // namespace

Rule::Rule(RuleSpec spec, model::Labels labels)
    : spec_(std::move(spec)),
      labels_(std::move(labels)),
      query_(Printed(spec_.expr)) {}

std::string Rule::identity() const {
  return absl::StrCat(spec_.record.empty() ? "a" : "r", name(), "\xff",
                      labels_.encoded());
}

void Rule::SetResult(const absl::Status& status, std::int64_t time_ms,
                     std::int64_t duration_ns) {
  base::MutexLock lock(mutex_);
  last_result_ = status;
  last_evaluation_ms_ = time_ms;
  evaluation_ns_ = duration_ns;
}

void Rule::SetHealth(const absl::Status& status) {
  base::MutexLock lock(mutex_);
  last_result_ = status;
}

RuleStatus Rule::Status() const {
  RuleStatus status;
  status.name = name();
  status.query = query_;
  status.labels = labels_;
  base::ReaderMutexLock lock(mutex_);
  status.last_evaluation_ms = last_evaluation_ms_;
  status.evaluation_ns = evaluation_ns_;
  if (last_evaluation_ms_ != 0) {
    status.health = last_result_.ok() ? Health::kOk : Health::kError;
    status.last_error = std::string(last_result_.message());
  }
  return status;
}

absl::StatusOr<std::vector<promql::VectorSample>> Rule::Query(
    const EvaluationContext& context) const {
  return (*context.query)(query_, context.sample_time_ms(), context.origin);
}

absl::StatusOr<std::vector<ResultSample>> RecordingRule::Evaluate(
    const EvaluationContext& context) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<promql::VectorSample> vector,
                           Query(context));
  std::vector<ResultSample> results;
  results.reserve(vector.size());
  absl::flat_hash_set<absl::string_view> seen;
  model::LabelsBuilder builder;
  for (const promql::VectorSample& sample : vector) {
    builder.Reset(sample.labels);
    builder.Set(model::kMetricName, name());
    for (const model::Label& label : labels()) {
      builder.Set(label.name, label.value);
    }
    results.push_back({builder.Build(), context.sample_time_ms(), sample.value,
                       sample.histogram});
  }
  for (const ResultSample& result : results) {
    if (!seen.insert(result.labels.encoded()).second) {
      return absl::FailedPreconditionError(
          "vector contains metrics with the same labelset after applying rule "
          "labels");
    }
  }
  if (context.limit > 0 &&
      results.size() > static_cast<std::size_t>(context.limit)) {
    return absl::FailedPreconditionError(
        absl::StrCat("exceeded limit of ", context.limit, " with ",
                     results.size(), " series"));
  }
  return results;
}

std::unique_ptr<Rule> NewRule(const GroupSpec& group, const RuleSpec& spec,
                              bool restore, const base::Logger& log) {
  model::LabelsBuilder labels;
  for (const auto& [name, value] : group.labels) labels.Set(name, value);
  for (const auto& [name, value] : spec.labels) labels.Set(name, value);
  if (!spec.record.empty()) {
    return std::make_unique<RecordingRule>(spec, labels.Build());
  }
  return std::make_unique<AlertingRule>(spec, labels.Build(), restore, log);
}

}  // namespace narthex::rules
