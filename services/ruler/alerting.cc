#include "services/ruler/alerting.h"

#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/http/client_config.h"

namespace narthex::ruler {
namespace {

// A target as relabelling sees it: its own labels win over its group's.
model::Labels WithGroup(const discovery::TargetGroup& group,
                        const model::Labels& target) {
  model::LabelsBuilder labels(group.labels);
  for (const model::Label& label : target) labels.Set(label.name, label.value);
  return labels.Build();
}

}  // namespace

Alerting::Alerting(rules::NotifierOptions options, base::Clock& clock,
                   const base::Logger& log, metrics::Registry& registry)
    : discovery_metrics_(registry, "notify"),
      notifier_(options, client_, clock, log, registry),
      discovery_(
          discovery::Manager::Options{}, log, discovery_metrics_,
          [this](const std::map<std::string, discovery::TargetGroups>& jobs) {
            Receive(jobs);
          }) {}

absl::StatusOr<rules::NotifierConfig> Alerting::Check(
    const config::Config& config) {
  rules::NotifierConfig out;
  out.external_labels = config.global.external_labels;
  out.alert_relabel_rules = config.alerting.alert_relabel_configs;
  for (const config::AlertmanagerConfig& from : config.alerting.alertmanagers) {
    rules::AlertmanagerSet set;
    set.scheme = from.scheme;
    set.path_prefix = from.path_prefix;
    set.timeout_ms = from.timeout_ms;
    set.relabel_rules = from.relabel_configs;
    set.alert_relabel_rules = from.alert_relabel_configs;
    set.http = std::make_shared<http::ClientConfig>(from.http);
    out.sets.push_back(std::move(set));
  }
  return out;
}

void Alerting::Apply(const config::Config& config,
                     rules::NotifierConfig checked) {
  notifier_.ApplyConfig(std::move(checked));
  std::map<std::string, discovery::Configs> jobs;
  for (std::size_t i = 0; i < config.alerting.alertmanagers.size(); ++i) {
    jobs[absl::StrCat(i)] = config.alerting.alertmanagers[i].discovery;
  }
  discovery_.ApplyConfig(jobs);
}

void Alerting::Receive(
    const std::map<std::string, discovery::TargetGroups>& jobs) {
  for (const auto& [job, groups] : jobs) {
    std::vector<model::Labels> targets;
    for (const auto& group : groups) {
      for (const model::Labels& target : group->targets) {
        targets.push_back(WithGroup(*group, target));
      }
    }
    std::size_t set = 0;
    if (absl::SimpleAtoi(job, &set)) {
      notifier_.SetTargets(set, std::move(targets));
    }
  }
}

void Alerting::Stop(std::int64_t grace_ms) {
  discovery_.Stop();
  notifier_.Stop(grace_ms);
}

}  // namespace narthex::ruler
