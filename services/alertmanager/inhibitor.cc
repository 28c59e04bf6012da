#include "services/alertmanager/inhibitor.h"

#include <algorithm>

namespace narthex::alertmanager {
namespace {

bool HasEqualLabels(const std::vector<std::string>& names,
                    const model::Labels& a, const model::Labels& b) {
  return std::all_of(names.begin(), names.end(), [&](const std::string& name) {
    return a.Get(name) == b.Get(name);
  });
}

}  // namespace

Inhibitor::Inhibitor(const std::vector<InhibitRuleConfig>& rules) {
  for (const InhibitRuleConfig& config : rules) {
    rules_.push_back({config, {}});
    auto& equal = rules_.back().config.equal;
    std::sort(equal.begin(), equal.end());
    equal.erase(std::unique(equal.begin(), equal.end()), equal.end());
  }
}

void Inhibitor::Observe(const std::vector<Alert>& alerts) {
  for (Rule& rule : rules_) {
    for (const Alert& alert : alerts) {
      if (!model::MatchesAll(rule.config.source, alert.labels())) continue;
      const std::uint64_t key = alert.labels().HashOf(rule.config.equal);
      base::MutexLock lock(mutex_);
      std::vector<Source>& sources = rule.sources[key];
      const auto known = std::find_if(
          sources.begin(), sources.end(), [&alert](const Source& source) {
            return source.content->fingerprint == alert.fingerprint();
          });
      if (known != sources.end()) {
        known->content = alert.content;
        known->ends_at_ms = alert.ends_at_ms;
      } else {
        sources.push_back(
            {alert.content, alert.ends_at_ms,
             model::MatchesAll(rule.config.target, alert.labels())});
      }
    }
  }
}

const Inhibitor::Source* Inhibitor::FindSource(const Rule& rule,
                                               const model::Labels& labels,
                                               std::int64_t now_ms) const {
  const auto it = rule.sources.find(labels.HashOf(rule.config.equal));
  if (it == rule.sources.end()) return nullptr;
  // An alert on both sides is not inhibited by others on both sides: else
  // two such alerts, or even one alone, would mute each other for ever.
  const bool is_source = model::MatchesAll(rule.config.source, labels);
  for (const Source& source : it->second) {
    if (source.ends_at_ms != kNoTime && source.ends_at_ms <= now_ms) continue;
    if (is_source && source.is_target) continue;
    if (HasEqualLabels(rule.config.equal, source.content->labels, labels)) {
      return &source;
    }
  }
  return nullptr;
}

std::optional<Fingerprint> Inhibitor::InhibitedBy(const model::Labels& labels,
                                                  std::int64_t now_ms) const {
  for (const Rule& rule : rules_) {
    if (!model::MatchesAll(rule.config.target, labels)) continue;
    base::ReaderMutexLock lock(mutex_);
    if (const Source* source = FindSource(rule, labels, now_ms)) {
      return source->content->fingerprint;
    }
  }
  return std::nullopt;
}

void Inhibitor::CollectGarbage(std::int64_t now_ms) {
  base::MutexLock lock(mutex_);
  for (Rule& rule : rules_) {
    absl::erase_if(rule.sources, [now_ms](auto& entry) {
      std::vector<Source>& sources = entry.second;
      sources.erase(std::remove_if(sources.begin(), sources.end(),
                                   [now_ms](const Source& source) {
                                     return source.ends_at_ms != kNoTime &&
                                            source.ends_at_ms <= now_ms;
                                   }),
                    sources.end());
      return sources.empty();
    });
  }
}

}  // namespace narthex::alertmanager
