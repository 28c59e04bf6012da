#include "libs/rules/manager.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace narthex::rules {
namespace {

// Workers look at the clock again at least this often.
constexpr std::int64_t kLongestWaitMs = 10 * 1000;

GroupSettings SettingsOf(const GroupSpec& spec, GroupSettings settings) {
  settings.interval_ms = spec.interval_ms.value_or(settings.interval_ms);
  settings.query_offset_ms =
      spec.query_offset_ms.value_or(settings.query_offset_ms);
  return settings;
}

}  // namespace

Manager::Manager(ManagerOptions options, base::Clock& clock, base::Logger log,
                 metrics::Registry& registry)
    : options_(std::move(options)),
      clock_(clock),
      log_(std::move(log)),
      metrics_(registry) {}

Manager::~Manager() { Stop(); }

void Manager::Update(std::vector<RuleFile> files,
                     const GroupSettings& settings) {
  base::MutexLock update_lock(update_mutex_);
  base::MutexLock lock(mutex_);
  std::map<std::string, std::shared_ptr<Entry>> before;
  // A group that went and comes back goes on where it was.
  for (const auto& entry : gone_) before[entry->group->key()] = entry;
  for (const auto& entry : entries_) before[entry->group->key()] = entry;
  Entries after;
  std::set<std::string> kept;
  const std::int64_t now_ms = clock_.NowMs();
  for (RuleFile& file : files) {
    for (GroupSpec& spec : file.groups) {
      const std::string key = absl::StrCat(file.path, ";", spec.name);
      // Two patterns may name one file.
      if (!kept.insert(key).second) continue;
      const GroupSettings own = SettingsOf(spec, settings);
      const auto old = before.find(key);
      if (old != before.end() && !old->second->gone &&
          old->second->group->spec() == spec &&
          old->second->group->settings() == own) {
        after.push_back(old->second);
        continue;
      }
      auto entry = std::make_shared<Entry>();
      entry->group = std::make_shared<Group>(
          std::move(spec), file.path, own, /*restore=*/!loaded_, options_.group,
          metrics_, clock_, log_);
      if (old != before.end()) {
        Retire(*old->second);
        entry->group->CopyState(*old->second->group);
      }
      entry->due_ms = entry->group->GridTime(now_ms) + own.interval_ms;
      after.push_back(std::move(entry));
    }
  }
  Entries gone;
  for (const auto& [key, entry] : before) {
    if (kept.count(key) != 0) continue;
    if (entry->gone) {
      if (!entry->retired) gone.push_back(entry);
      continue;
    }
    Retire(*entry);
    auto ending = std::make_shared<Entry>();
    ending->group = entry->group;
    ending->gone = true;
    // Its series may live on under another group by then.
    ending->due_ms = now_ms + 2 * entry->group->interval_ms();
    gone.push_back(std::move(ending));
  }
  entries_ = std::move(after);
  gone_ = std::move(gone);
  loaded_ = true;
  changed_.NotifyAll();
}

void Manager::Retire(Entry& entry) {
  entry.retired = true;
  while (entry.running) changed_.Wait(mutex_);
}

void Manager::Start() {
  for (int i = 0; i < options_.threads; ++i) {
    threads_.emplace_back([this] { Work(); });
  }
}

void Manager::Stop() {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Manager::Work() {
  while (const std::shared_ptr<Entry> entry = TakeDue()) RunOnce(entry);
}

std::shared_ptr<Manager::Entry> Manager::FirstDue() const {
  std::shared_ptr<Entry> first;
  for (const Entries* entries : {&entries_, &gone_}) {
    for (const auto& entry : *entries) {
      if (entry->running || entry->retired) continue;
      if (first == nullptr || entry->due_ms < first->due_ms) first = entry;
    }
  }
  return first;
}

std::shared_ptr<Manager::Entry> Manager::TakeDue() {
  base::MutexLock lock(mutex_);
  while (!stopping_) {
    std::shared_ptr<Entry> first = FirstDue();
    const std::int64_t now_ms = clock_.NowMs();
    if (first != nullptr && first->due_ms <= now_ms) {
      first->running = true;
      return first;
    }
    const std::int64_t longest_ms = now_ms + kLongestWaitMs;
    clock_.WaitUntil(
        first == nullptr ? longest_ms : std::min(first->due_ms, longest_ms),
        changed_, mutex_);
  }
  return nullptr;
}

void Manager::RunOnce(const std::shared_ptr<Entry>& entry) {
  Group& group = *entry->group;
  const std::int64_t now_ms = clock_.NowMs();
  // Only this thread changes the time of what is running.
  std::int64_t time_ms = entry->due_ms;
  if (entry->gone) {
    group.EndSeries(now_ms);
  } else {
    const std::int64_t missed = (now_ms - time_ms) / group.interval_ms();
    if (missed > 0) group.CountMissed(missed);
    time_ms += missed * group.interval_ms();
    group.Evaluate(time_ms);
  }
  base::MutexLock lock(mutex_);
  entry->running = false;
  entry->due_ms = time_ms + group.interval_ms();
  if (entry->gone) Forget(entry);
  changed_.NotifyAll();
}

void Manager::Forget(const std::shared_ptr<Entry>& entry) {
  entry->retired = true;
  gone_.erase(std::remove(gone_.begin(), gone_.end(), entry), gone_.end());
  const std::string& key = entry->group->key();
  const bool came_back = std::any_of(
      entries_.begin(), entries_.end(),
      [&key](const auto& other) { return other->group->key() == key; });
  if (!came_back) metrics_.Forget(key);
}

std::vector<GroupStatus> Manager::Status() const {
  std::vector<std::shared_ptr<Group>> groups;
  {
    base::ReaderMutexLock lock(mutex_);
    for (const auto& entry : entries_) groups.push_back(entry->group);
  }
  std::vector<GroupStatus> status;
  status.reserve(groups.size());
  for (const auto& group : groups) status.push_back(group->Status());
  return status;
}

}  // namespace narthex::rules
