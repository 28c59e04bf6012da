#include "libs/rules/alert_queue.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace narthex::rules {
namespace {

// A thread without work looks at its queue again at least this often.
constexpr std::int64_t kLongestWaitMs = 60 * 1000;

const std::vector<std::string>& UrlLabel() {
  static const std::vector<std::string> label = {"alertmanager"};
  return label;
}

}  // namespace

NotifierMetrics::NotifierMetrics(metrics::Registry& registry)
    : latency_seconds(registry.NewHistogramFamily(
          "prometheus_notifications_latency_seconds",
          "How long sending a batch of alerts takes.", UrlLabel(),
          metrics::DefaultBuckets())),
      errors(registry.NewCounterFamily("prometheus_notifications_errors_total",
                                       "Alerts whose sending failed.",
                                       UrlLabel())),
      sent(registry.NewCounterFamily("prometheus_notifications_sent_total",
                                     "Alerts that were sent.", UrlLabel())),
      dropped(registry.NewCounterFamily(
          "prometheus_notifications_dropped_total",
          "Alerts that were given up: queue full, sending failed or stopped.",
          UrlLabel())),
      queue_length(
          registry.NewGaugeFamily("prometheus_notifications_queue_length",
                                  "Alerts that wait.", UrlLabel())),
      queue_capacity(
          registry.NewGauge("prometheus_notifications_queue_capacity",
                            "Alerts that may wait for one Alertmanager.")),
      discovered(
          registry.NewGauge("prometheus_notifications_alertmanagers_discovered",
                            "Alertmanagers that alerts are sent to.")) {}

void NotifierMetrics::Forget(const std::string& url) {
  latency_seconds.Remove({url});
  errors.Remove({url});
  sent.Remove({url});
  dropped.Remove({url});
  queue_length.Remove({url});
}

AlertQueue::AlertQueue(Options options, http::Client& client,
                       base::Clock& clock, const base::Logger& log,
                       NotifierMetrics& metrics)
    : options_(std::move(options)),
      client_(client),
      clock_(clock),
      log_(log.With({{"alertmanager", options_.url}})),
      latency_seconds_(metrics.latency_seconds.With({options_.url})),
      errors_(metrics.errors.With({options_.url})),
      sent_(metrics.sent.With({options_.url})),
      dropped_(metrics.dropped.With({options_.url})),
      length_(metrics.queue_length.With({options_.url})),
      thread_([this] { Run(); }) {}

AlertQueue::~AlertQueue() { Stop(/*drain=*/false, 0); }

void AlertQueue::Add(const std::vector<Item>& items) {
  base::MutexLock lock(mutex_);
  if (stopping_) return;
  items_.insert(items_.end(), items.begin(), items.end());
  std::size_t excess = 0;
  while (items_.size() > options_.capacity) {
    items_.pop_front();
    ++excess;
  }
  if (excess > 0) {
    dropped_.Inc(static_cast<double>(excess));
    log_.Warn("alert queue full, oldest alerts dropped", {{"dropped", excess}});
  }
  length_.Set(static_cast<double>(items_.size()));
  changed_.NotifyOne();
}

void AlertQueue::Stop(bool drain, std::int64_t deadline_ms) {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    if (drain) drain_until_ms_ = deadline_ms;
    changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

std::vector<AlertQueue::Item> AlertQueue::TakeBatch() {
  base::MutexLock lock(mutex_);
  while (!stopping_ && items_.empty()) {
    clock_.WaitUntil(clock_.NowMs() + kLongestWaitMs, changed_, mutex_);
  }
  if (stopping_ && !items_.empty() && clock_.NowMs() >= drain_until_ms_) {
    dropped_.Inc(static_cast<double>(items_.size()));
    log_.Warn("alerts dropped at stop", {{"dropped", items_.size()}});
    items_.clear();
  }
  const std::size_t size = std::min(items_.size(), options_.batch_size);
  const auto end = items_.begin() + static_cast<std::ptrdiff_t>(size);
  std::vector<Item> batch(items_.begin(), end);
  items_.erase(items_.begin(), end);
  length_.Set(static_cast<double>(items_.size()));
  return batch;
}

void AlertQueue::Run() {
  for (auto batch = TakeBatch(); !batch.empty(); batch = TakeBatch()) {
    SendBatch(batch);
  }
}

void AlertQueue::SendBatch(const std::vector<Item>& batch) {
  http::FetchRequest request;
  request.url = options_.url;
  request.method = "POST";
  request.headers.Set("Content-Type", "application/json");
  request.config = options_.http;
  request.timeout_ms = options_.timeout_ms;
  const char* separator = "[";
  for (const Item& alert : batch) {
    absl::StrAppend(&request.body, separator, *alert);
    separator = ",";
  }
  request.body += ']';
  std::string body;
  const http::FetchResult result = client_.Fetch(std::move(request), &body);
  latency_seconds_.Observe(result.seconds);
  const auto count = static_cast<double>(batch.size());
  sent_.Inc(count);
  if (result.status.ok() && result.code / 100 == 2) return;
  errors_.Inc(count);
  dropped_.Inc(count);
  const std::string reason =
      result.status.ok()
          ? absl::StrCat("bad response status ", result.code, ": ",
                         absl::string_view(body).substr(0, 200))
          : std::string(result.status.message());
  log_.Error("sending alerts failed",
             {{"count", batch.size()}, {"err", reason}});
}

}  // namespace narthex::rules
