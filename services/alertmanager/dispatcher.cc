#include "services/alertmanager/dispatcher.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"

namespace narthex::alertmanager {
namespace {

// However short the group interval: time for a receiver to answer.
constexpr std::int64_t kMinTimeoutMs = 10 * 1000;

bool IsUnchanged(const Alert& a, const Alert& b) {
  return a.updated_at_ms == b.updated_at_ms && a.ends_at_ms == b.ends_at_ms &&
         a.starts_at_ms == b.starts_at_ms;
}

}  // namespace

Dispatcher::Dispatcher(std::shared_ptr<const Route> root, EventLoop& loop,
                       std::shared_ptr<FlushHandler> handler,
                       DispatcherOptions options)
    : root_(std::move(root)),
      loop_(loop),
      handler_(std::move(handler)),
      options_(options),
      start_ms_(loop.clock().NowMs()) {}

void Dispatcher::Start() { ScheduleMaintenance(); }

void Dispatcher::ScheduleMaintenance() {
  const std::weak_ptr<Dispatcher> weak = weak_from_this();
  base::MutexLock lock(mutex_);
  if (stopped_) return;
  maintenance_timer_ = loop_.At(
      loop_.clock().NowMs() + options_.maintenance_interval_ms, [weak] {
        const std::shared_ptr<Dispatcher> self = weak.lock();
        if (self == nullptr) return;
        self->RemoveEmptyGroups();
        self->ScheduleMaintenance();
      });
}

void Dispatcher::Insert(const std::vector<Alert>& alerts) {
  std::vector<const Route*> routes;
  const std::int64_t now = loop_.clock().NowMs();
  base::MutexLock lock(mutex_);
  if (stopped_) return;
  for (const Alert& alert : alerts) {
    routes.clear();
    root_->Match(alert.labels(), &routes);
    for (const Route* route : routes) InsertInto(*route, alert, now);
  }
}

void Dispatcher::InsertInto(const Route& route, const Alert& alert,
                            std::int64_t now_ms) {
  GroupId id(&route, route.GroupLabels(alert.labels()));
  auto it = groups_.find(id);
  if (it == groups_.end()) {
    auto group = std::make_unique<Group>();
    group->key = absl::StrCat(route.key(), ":", id.second.ToString());
    it = groups_.emplace(std::move(id), std::move(group)).first;
    Schedule(it->first, *it->second, now_ms + route.group_wait_ms());
  }
  Group& group = *it->second;
  group.alerts[alert.fingerprint()] = alert;
  // It has been waiting long enough elsewhere.
  if (!group.has_flushed &&
      alert.starts_at_ms + route.group_wait_ms() < now_ms) {
    Schedule(it->first, group, now_ms);
  }
}

void Dispatcher::Schedule(const GroupId& id, Group& group, std::int64_t at_ms) {
  at_ms = std::max(at_ms, start_ms_ + options_.start_delay_ms);
  if (group.timer != 0) {
    if (group.timer_ms == at_ms) return;
    loop_.Cancel(group.timer);
  }
  group.timer_ms = at_ms;
  group.timer = loop_.At(at_ms, [weak = weak_from_this(), id] {
    if (const std::shared_ptr<Dispatcher> self = weak.lock()) self->OnBeat(id);
  });
}

void Dispatcher::OnBeat(const GroupId& id) {
  std::shared_ptr<const Flush> flush;
  {
    base::MutexLock lock(mutex_);
    const auto it = groups_.find(id);
    if (stopped_ || it == groups_.end()) return;
    Group& group = *it->second;
    group.timer = 0;
    if (group.is_flushing) {
      group.is_due = true;
      return;
    }
    flush = BeginFlush(id, group);
  }
  if (flush == nullptr) return;
  handler_->OnFlush(flush,
                    [weak = weak_from_this(), id, flush](FlushResult result) {
                      const std::shared_ptr<Dispatcher> self = weak.lock();
                      if (self != nullptr)
                        self->EndFlush(id, *flush, std::move(result));
                    });
}

std::shared_ptr<const Flush> Dispatcher::BeginFlush(const GroupId& id,
                                                    Group& group) {
  const Route& route = *id.first;
  const std::int64_t now = loop_.clock().NowMs();
  group.has_flushed = true;
  group.is_due = false;
  Schedule(id, group, now + route.group_interval_ms());
  if (group.alerts.empty()) return nullptr;
  auto flush = std::make_shared<Flush>();
  // Keeps the whole tree, also beyond a reload.
  flush->route = std::shared_ptr<const Route>(root_, &route);
  flush->group_labels = id.second;
  flush->group_key = group.key;
  flush->now_ms = now;
  flush->deadline_ms = now + std::max(route.group_interval_ms(), kMinTimeoutMs);
  flush->cancelled = cancelled_;
  flush->alerts.reserve(group.alerts.size());
  for (const auto& [fingerprint, alert] : group.alerts) {
    flush->alerts.push_back(alert);
    // Whatever resolves while the notification is on its way still counts as
    // firing in it.
    if (!alert.ResolvedAt(now)) flush->alerts.back().ends_at_ms = kNoTime;
  }
  group.is_flushing = true;
  ++flushes_under_way_;
  return flush;
}

void Dispatcher::EndFlush(const GroupId& id, const Flush& flush,
                          FlushResult result) {
  base::MutexLock lock(mutex_);
  if (--flushes_under_way_ == 0) idle_.NotifyAll();
  const auto it = groups_.find(id);
  if (it == groups_.end()) return;
  Group& group = *it->second;
  group.is_flushing = false;
  group.muted_by = std::move(result.muted_by);
  if (result.ok) {
    for (const Alert& alert : flush.alerts) {
      if (!alert.ResolvedAt(flush.now_ms)) continue;
      const auto held = group.alerts.find(alert.fingerprint());
      if (held != group.alerts.end() && IsUnchanged(held->second, alert)) {
        group.alerts.erase(held);
      }
    }
  }
  if (group.is_due && !stopped_) {
    Schedule(id, group, loop_.clock().NowMs());
  }
}

void Dispatcher::RemoveEmptyGroups() {
  base::MutexLock lock(mutex_);
  absl::erase_if(groups_, [this](auto& entry) {
    Group& group = *entry.second;
    if (!group.alerts.empty() || group.is_flushing) return false;
    if (group.timer != 0) loop_.Cancel(group.timer);
    return true;
  });
}

void Dispatcher::Stop(std::int64_t wait_ms) {
  const auto give_up =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(wait_ms);
  base::MutexLock lock(mutex_);
  stopped_ = true;
  cancelled_->store(true);
  if (maintenance_timer_ != 0) loop_.Cancel(maintenance_timer_);
  for (auto& [id, group] : groups_) {
    if (group->timer != 0) loop_.Cancel(group->timer);
  }
  while (flushes_under_way_ > 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        give_up - std::chrono::steady_clock::now());
    if (left.count() <= 0 || !idle_.WaitFor(mutex_, left)) return;
  }
}

std::vector<GroupView> Dispatcher::Groups() const {
  base::ReaderMutexLock lock(mutex_);
  std::vector<GroupView> views;
  views.reserve(groups_.size());
  for (const auto& [id, group] : groups_) {
    if (group->alerts.empty()) continue;
    GroupView& view = views.emplace_back();
    view.route = id.first;
    view.labels = id.second;
    view.key = group->key;
    view.muted_by = group->muted_by;
    view.alerts.reserve(group->alerts.size());
    for (const auto& [fingerprint, alert] : group->alerts) {
      view.alerts.push_back(alert);
    }
  }
  return views;
}

std::size_t Dispatcher::group_count() const {
  base::ReaderMutexLock lock(mutex_);
  return groups_.size();
}

}  // namespace narthex::alertmanager
