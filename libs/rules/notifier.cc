#include "libs/rules/notifier.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/mutex.h"
#include "libs/rules/alert_json.h"
#include "libs/rules/alert_queue.h"

namespace narthex::rules {
namespace {

constexpr absl::string_view kAddress = "__address__";
constexpr absl::string_view kScheme = "__scheme__";
constexpr absl::string_view kAlertsPath = "__alerts_path__";

std::string AlertsPath(absl::string_view prefix) {
  prefix = absl::StripPrefix(prefix, "/");
  prefix = absl::StripSuffix(prefix, "/");
  return absl::StrCat("/", prefix, prefix.empty() ? "" : "/", "api/v2/alerts");
}

bool HasPort(absl::string_view address) {
  const std::size_t colon = address.rfind(':');
  const std::size_t bracket = address.rfind(']');
  return colon != absl::string_view::npos &&
         (bracket == absl::string_view::npos || colon > bracket);
}

std::string UrlOf(const model::LabelsBuilder& labels) {
  const absl::string_view scheme = labels.Get(kScheme);
  std::string address(labels.Get(kAddress));
  if (!HasPort(address)) {
    absl::StrAppend(&address, scheme == "https" ? ":443" : ":80");
  }
  return absl::StrCat(scheme, "://", address, labels.Get(kAlertsPath));
}

}  // namespace

class Notifier::Rep {
 public:
  Rep(NotifierOptions options, http::Client& client, base::Clock& clock,
      base::Logger log, metrics::Registry& registry)
      : options_(options),
        client_(client),
        clock_(clock),
        log_(std::move(log)),
        metrics_(registry) {
    metrics_.queue_capacity.Set(static_cast<double>(options.queue_capacity));
  }

  void ApplyConfig(NotifierConfig config) ABSL_LOCKS_EXCLUDED(mutex_) {
    std::vector<std::shared_ptr<AlertQueue>> unused;
    {
      base::MutexLock lock(mutex_);
      config_ = std::move(config);
      targets_.resize(config_.sets.size());
      unused = Rebuild();
    }
    End(unused);
  }

  void SetTargets(std::size_t set, std::vector<model::Labels> targets)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    std::vector<std::shared_ptr<AlertQueue>> unused;
    {
      base::MutexLock lock(mutex_);
      if (set >= targets_.size()) return;
      targets_[set] = std::move(targets);
      unused = Rebuild();
    }
    End(unused);
  }

  void Send(std::vector<OutgoingAlert> alerts) ABSL_LOCKS_EXCLUDED(mutex_) {
    base::MutexLock lock(mutex_);
    Relabel(&alerts);
    std::vector<AlertQueue::Item> shared;
    shared.reserve(alerts.size());
    for (const OutgoingAlert& alert : alerts) {
      shared.push_back(std::make_shared<const std::string>(AlertJson(alert)));
    }
    for (std::size_t set = 0; set < queues_.size(); ++set) {
      const std::vector<AlertQueue::Item> own = ForSet(set, alerts, shared);
      if (own.empty()) continue;
      for (const auto& [url, queue] : queues_[set]) queue->Add(own);
    }
  }

  std::vector<std::string> active_urls() const ABSL_LOCKS_EXCLUDED(mutex_) {
    base::ReaderMutexLock lock(mutex_);
    std::vector<std::string> urls;
    for (const auto& queues : queues_) {
      for (const auto& [url, queue] : queues) urls.push_back(url);
    }
    std::sort(urls.begin(), urls.end());
    return urls;
  }

  std::vector<std::string> dropped_urls() const ABSL_LOCKS_EXCLUDED(mutex_) {
    base::ReaderMutexLock lock(mutex_);
    std::vector<std::string> urls = dropped_;
    std::sort(urls.begin(), urls.end());
    return urls;
  }

  void Stop(std::int64_t grace_ms) ABSL_LOCKS_EXCLUDED(mutex_) {
    Queues queues;
    {
      base::MutexLock lock(mutex_);
      queues = std::exchange(queues_, {});
    }
    const std::int64_t deadline_ms = clock_.NowMs() + grace_ms;
    for (const auto& set : queues) {
      for (const auto& [url, queue] : set) {
        queue->Stop(options_.drain_on_stop, deadline_ms);
      }
    }
  }

 private:
  // By URL, for each set.
  using Queues =
      std::vector<std::map<std::string, std::shared_ptr<AlertQueue>>>;

  // Makes queues for the present targets and returns those that are not
  // needed any more.
  std::vector<std::shared_ptr<AlertQueue>> Rebuild()
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Queues next(config_.sets.size());
    dropped_.clear();
    std::size_t count = 0;
    for (std::size_t i = 0; i < next.size(); ++i) {
      for (const std::string& url : UrlsOf(i)) {
        next[i][url] = QueueFor(i, url);
      }
      count += next[i].size();
    }
    metrics_.discovered.Set(static_cast<double>(count));
    std::swap(queues_, next);
    std::vector<std::shared_ptr<AlertQueue>> unused;
    for (std::size_t i = 0; i < next.size(); ++i) {
      for (const auto& [url, queue] : next[i]) {
        const bool kept = i < queues_.size() && queues_[i].count(url) != 0 &&
                          queues_[i][url] == queue;
        if (!kept) unused.push_back(queue);
      }
    }
    return unused;
  }

  // Without the lock, since threads are waited for.
  void End(const std::vector<std::shared_ptr<AlertQueue>>& unused)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    for (const auto& queue : unused) queue->Stop(/*drain=*/false, 0);
    base::MutexLock lock(mutex_);
    for (const auto& queue : unused) {
      const std::string& url = queue->options().url;
      const bool used =
          std::any_of(queues_.begin(), queues_.end(),
                      [&url](const auto& set) { return set.count(url) != 0; });
      if (!used) metrics_.Forget(url);
    }
  }

  std::vector<std::string> UrlsOf(std::size_t set)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const AlertmanagerSet& config = config_.sets[set];
    std::vector<std::string> urls;
    for (const model::Labels& target : targets_[set]) {
      model::LabelsBuilder labels(target);
      if (labels.Get(kScheme).empty()) labels.Set(kScheme, config.scheme);
      if (labels.Get(kAlertsPath).empty()) {
        labels.Set(kAlertsPath, AlertsPath(config.path_prefix));
      }
      const std::string before = UrlOf(labels);
      if (!relabel::Apply(config.relabel_rules, &labels)) {
        dropped_.push_back(before);
      } else if (!labels.Get(kAddress).empty()) {
        urls.push_back(UrlOf(labels));
      }
    }
    return urls;
  }

  std::shared_ptr<AlertQueue> QueueFor(std::size_t set, const std::string& url)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const AlertmanagerSet& config = config_.sets[set];
    if (set < queues_.size()) {
      const auto old = queues_[set].find(url);
      if (old != queues_[set].end() &&
          old->second->options().timeout_ms == config.timeout_ms &&
          old->second->options().http == config.http) {
        return old->second;
      }
    }
    AlertQueue::Options options;
    options.url = url;
    options.timeout_ms = config.timeout_ms;
    options.http = config.http;
    options.capacity = options_.queue_capacity;
    options.batch_size = options_.batch_size;
    return std::make_shared<AlertQueue>(std::move(options), client_, clock_,
                                        log_, metrics_);
  }

  void Relabel(std::vector<OutgoingAlert>* alerts) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::vector<OutgoingAlert> kept;
    for (OutgoingAlert& alert : *alerts) {
      model::LabelsBuilder labels(alert.labels);
      for (const model::Label& label : config_.external_labels) {
        if (labels.Get(label.name).empty()) {
          labels.Set(label.name, label.value);
        }
      }
      if (!relabel::Apply(config_.alert_relabel_rules, &labels)) continue;
      alert.labels = labels.Build();
      kept.push_back(std::move(alert));
    }
    *alerts = std::move(kept);
  }

  std::vector<AlertQueue::Item> ForSet(
      std::size_t set, const std::vector<OutgoingAlert>& alerts,
      const std::vector<AlertQueue::Item>& shared) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto& rules = config_.sets[set].alert_relabel_rules;
    if (rules.empty()) return shared;
    std::vector<AlertQueue::Item> own;
    for (OutgoingAlert alert : alerts) {
      model::LabelsBuilder labels(alert.labels);
      if (!relabel::Apply(rules, &labels)) continue;
      alert.labels = labels.Build();
      own.push_back(std::make_shared<const std::string>(AlertJson(alert)));
    }
    return own;
  }

  const NotifierOptions options_;
  http::Client& client_;
  base::Clock& clock_;
  const base::Logger log_;
  NotifierMetrics metrics_;

  mutable base::Mutex mutex_;
  NotifierConfig config_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::vector<model::Labels>> targets_ ABSL_GUARDED_BY(mutex_);
  Queues queues_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> dropped_ ABSL_GUARDED_BY(mutex_);
};

Notifier::Notifier(NotifierOptions options, http::Client& client,
                   base::Clock& clock, base::Logger log,
                   metrics::Registry& registry)
    : rep_(std::make_unique<Rep>(options, client, clock, std::move(log),
                                 registry)) {}

Notifier::~Notifier() = default;

void Notifier::ApplyConfig(NotifierConfig config) {
  rep_->ApplyConfig(std::move(config));
}

void Notifier::SetTargets(std::size_t set, std::vector<model::Labels> targets) {
  rep_->SetTargets(set, std::move(targets));
}

void Notifier::Send(std::vector<OutgoingAlert> alerts) {
  rep_->Send(std::move(alerts));
}

std::vector<std::string> Notifier::active_urls() const {
  return rep_->active_urls();
}

std::vector<std::string> Notifier::dropped_urls() const {
  return rep_->dropped_urls();
}

void Notifier::Stop(std::int64_t grace_ms) { rep_->Stop(grace_ms); }

}  // namespace narthex::rules
