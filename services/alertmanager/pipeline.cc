#include "services/alertmanager/pipeline.h"

#include <algorithm>
#include <utility>

#include "services/alertmanager/delivery.h"

namespace narthex::alertmanager {

/// The integrations of one flush: its end is the last of their ends.
struct Pipeline::Fanout {
  std::vector<Alert> alerts;  // Sorted on first use.
  bool is_sorted = false;
  std::size_t left = 0;
  FlushResult result;
  Done done;

  void Finish(bool ok) {
    result.ok = result.ok && ok;
    if (--left == 0) done(std::move(result));
  }
};

/// What the notification log knows a group by.
struct Pipeline::Digest {
  std::vector<Fingerprint> firing;
  std::vector<Fingerprint> resolved;

  Digest(const std::vector<Alert>& alerts, std::int64_t now_ms) {
    for (const Alert& alert : alerts) {
      (alert.ResolvedAt(now_ms) ? resolved : firing)
          .push_back(alert.fingerprint());
    }
    std::sort(firing.begin(), firing.end());
    std::sort(resolved.begin(), resolved.end());
  }
};

void Pipeline::RemoveInhibited(std::vector<Alert>* alerts,
                               std::int64_t now_ms) {
  if (parts_.inhibitor->rule_count() == 0) return;
  const auto kept =
      std::remove_if(alerts->begin(), alerts->end(), [&](const Alert& alert) {
        return parts_.inhibitor->InhibitedBy(alert.labels(), now_ms)
            .has_value();
      });
  parts_.metrics->Suppressed("inhibition",
                             static_cast<std::size_t>(alerts->end() - kept));
  alerts->erase(kept, alerts->end());
}

void Pipeline::RemoveSilenced(std::vector<Alert>* alerts, std::int64_t now_ms) {
  const auto kept =
      std::remove_if(alerts->begin(), alerts->end(), [&](const Alert& alert) {
        return parts_.silences->Mutes(alert.labels(), now_ms);
      });
  parts_.metrics->Suppressed("silence",
                             static_cast<std::size_t>(alerts->end() - kept));
  alerts->erase(kept, alerts->end());
}

std::vector<std::string> Pipeline::MutedBy(const Flush& flush) {
  const auto contains = [&](const std::string& name) {
    return std::any_of(
        parts_.time_intervals.begin(), parts_.time_intervals.end(),
        [&](const NamedTimeIntervals& intervals) {
          return intervals.name == name && intervals.Contains(flush.now_ms);
        });
  };
  const auto& active = flush.route->active_time_intervals();
  if (!active.empty() && std::none_of(active.begin(), active.end(), contains)) {
    parts_.metrics->Suppressed("active_time_interval", flush.alerts.size());
    return active;
  }
  std::vector<std::string> muting;
  const auto& mute = flush.route->mute_time_intervals();
  std::copy_if(mute.begin(), mute.end(), std::back_inserter(muting), contains);
  if (!muting.empty()) {
    parts_.metrics->Suppressed("mute_time_interval", flush.alerts.size());
  }
  return muting;
}

void Pipeline::OnFlush(std::shared_ptr<const Flush> flush, Done done) {
  auto fanout = std::make_shared<Fanout>();
  fanout->done = std::move(done);
  fanout->alerts = flush->alerts;
  RemoveInhibited(&fanout->alerts, flush->now_ms);
  if (!fanout->alerts.empty()) {
    fanout->result.muted_by = MutedBy(*flush);
    if (!fanout->result.muted_by.empty()) fanout->alerts.clear();
  }
  RemoveSilenced(&fanout->alerts, flush->now_ms);
  const auto receiver = parts_.receivers.find(flush->route->receiver());
  if (fanout->alerts.empty() || receiver == parts_.receivers.end() ||
      receiver->second.empty()) {
    return fanout->done(std::move(fanout->result));
  }
  fanout->left = receiver->second.size();
  for (const Integration& integration : receiver->second) {
    Send(integration, flush, fanout);
  }
}

bool Pipeline::Record(const std::string& log_key, const Digest& digest,
                      const Flush& flush) {
  const std::int64_t now = parts_.loop->clock().NowMs();
  NotificationEntry entry;
  entry.sent_at_ms = now;
  entry.expires_at_ms = now + 2 * std::max(flush.route->repeat_interval_ms(),
                                           flush.route->group_interval_ms());
  entry.firing = digest.firing;
  entry.resolved = digest.resolved;
  const absl::Status status = parts_.log->Record(log_key, std::move(entry));
  if (!status.ok()) {
    logger_.Error("notification log write failed",
                  {{"aggrGroup", flush.group_key}, {"err", status.message()}});
  }
  return status.ok();
}

void Pipeline::Send(const Integration& integration,
                    const std::shared_ptr<const Flush>& flush,
                    const std::shared_ptr<Fanout>& fanout) {
  const Route& route = *flush->route;
  const std::string log_key = NotificationLog::Key(
      route.receiver(), integration.kind, integration.index, flush->group_key);
  auto digest = std::make_shared<const Digest>(fanout->alerts, flush->now_ms);
  parts_.metrics->LogQueried();
  const auto last = parts_.log->Get(log_key);
  const NotifyReason reason = NeedsNotification(
      last.get(), digest->firing, digest->resolved, integration.send_resolved,
      route.repeat_interval_ms(), flush->now_ms);
  if (reason == NotifyReason::kNone) return fanout->Finish(true);
  if (!integration.send_resolved && digest->firing.empty()) {
    return fanout->Finish(Record(log_key, *digest, *flush));
  }
  if (!fanout->is_sorted) {
    SortAlerts(&fanout->alerts);
    fanout->is_sorted = true;
  }
  auto notification = std::make_shared<Notification>();
  notification->receiver = route.receiver();
  notification->group_key = flush->group_key;
  notification->group_labels = flush->group_labels;
  notification->route_labels = route.labels();
  notification->reason = std::string(NotifyReasonText(reason));
  notification->now_ms = flush->now_ms;
  for (const Alert& alert : fanout->alerts) {
    if (integration.send_resolved || !alert.ResolvedAt(flush->now_ms)) {
      notification->alerts.push_back(alert);
    }
  }
  const auto self = shared_from_this();
  const auto delivery = std::make_shared<Delivery>(
      self, integration, std::move(notification), flush, *parts_.loop,
      *parts_.metrics, logger_, seed_++,
      [self, log_key, digest, flush, fanout](bool ok) {
        fanout->Finish(ok && self->Record(log_key, *digest, *flush));
      });
  delivery->Start();
}

}  // namespace narthex::alertmanager
