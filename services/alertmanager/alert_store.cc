#include "services/alertmanager/alert_store.h"

#include <utility>

namespace narthex::alertmanager {

bool AlertStore::ExceedsLimit(const Alert& alert) {
  if (limit_per_name_ == 0) return false;
  const absl::string_view name = alert.labels().Get(model::kAlertName);
  std::size_t& count = per_name_[name];
  if (count >= limit_per_name_) return true;
  ++count;
  return false;
}

std::size_t AlertStore::Put(std::vector<Alert> alerts) {
  std::vector<Alert> stored;
  stored.reserve(alerts.size());
  std::size_t refused = 0;
  base::MutexLock lock(mutex_);
  const std::int64_t now = clock_.NowMs();
  for (Alert& alert : alerts) {
    const auto it = alerts_.find(alert.fingerprint());
    if (it == alerts_.end()) {
      if (ExceedsLimit(alert)) {
        ++refused;
        continue;
      }
      alerts_.emplace(alert.fingerprint(), alert);
    } else {
      const Alert& old = it->second;
      if (old.content->annotations == alert.content->annotations &&
          old.content->generator_url == alert.content->generator_url &&
          old.content->labels == alert.content->labels) {
        alert.content = old.content;
      }
      if (AlertsOverlap(old, alert)) alert = MergeAlerts(old, alert, now);
      it->second = alert;
    }
    stored.push_back(std::move(alert));
  }
  limited_ += refused;
  if (sink_ != nullptr && !stored.empty()) sink_->OnAlerts(stored);
  return refused;
}

void AlertStore::SetSink(AlertSink* sink) {
  base::MutexLock lock(mutex_);
  sink_ = sink;
  if (sink == nullptr || alerts_.empty()) return;
  std::vector<Alert> all;
  all.reserve(alerts_.size());
  for (const auto& [fingerprint, alert] : alerts_) all.push_back(alert);
  sink->OnAlerts(all);
}

std::vector<Alert> AlertStore::All() const {
  std::vector<Alert> all;
  base::ReaderMutexLock lock(mutex_);
  all.reserve(alerts_.size());
  for (const auto& [fingerprint, alert] : alerts_) all.push_back(alert);
  return all;
}

void AlertStore::CollectGarbage() {
  base::MutexLock lock(mutex_);
  const std::int64_t now = clock_.NowMs();
  absl::erase_if(alerts_,
                 [&](const auto& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
                   const Alert& alert = entry.second;
                   if (!alert.ResolvedAt(now)) return false;
                   if (limit_per_name_ != 0) {
                     const auto count =
                         per_name_.find(alert.labels().Get(model::kAlertName));
                     if (count != per_name_.end() && --count->second == 0) {
                       per_name_.erase(count);
                     }
                   }
                   return true;
                 });
}

std::size_t AlertStore::limited_total() const {
  base::ReaderMutexLock lock(mutex_);
  return limited_;
}

}  // namespace narthex::alertmanager
