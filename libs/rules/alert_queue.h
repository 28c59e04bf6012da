#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "libs/base/clock.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/http/client.h"
#include "libs/metrics/metrics.h"

namespace narthex::rules {

/// The metrics of all queues, by the Alertmanager's URL.
struct NotifierMetrics {
  explicit NotifierMetrics(metrics::Registry& registry);

  metrics::HistogramFamily& latency_seconds;
  metrics::CounterFamily& errors;
  metrics::CounterFamily& sent;
  metrics::CounterFamily& dropped;
  metrics::GaugeFamily& queue_length;
  metrics::Gauge& queue_capacity;
  metrics::Gauge& discovered;

  /// Removes the series of an Alertmanager that is gone.
  void Forget(const std::string& url);
};

/// What waits for one Alertmanager and the thread that sends it, in order.
class AlertQueue {
 public:
  struct Options {
    std::string url;
    std::int64_t timeout_ms = 10 * 1000;
    std::shared_ptr<const http::ClientConfig> http;
    std::size_t capacity = 10000;
    std::size_t batch_size = 256;
  };
  /// An alert as JSON, shared by all queues.
  using Item = std::shared_ptr<const std::string>;

  AlertQueue(Options options, http::Client& client, base::Clock& clock,
             const base::Logger& log, NotifierMetrics& metrics);
  ~AlertQueue();

  const Options& options() const { return options_; }

  /// Never waits: what does not fit pushes the oldest out.
  void Add(const std::vector<Item>& items) ABSL_LOCKS_EXCLUDED(mutex_);

  /// Ends the thread: with `drain`, after everything was tried once or
  /// `deadline_ms` has passed; what is left counts as dropped. Idempotent.
  void Stop(bool drain, std::int64_t deadline_ms) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);
  /// The next batch; empty at the end.
  std::vector<Item> TakeBatch() ABSL_LOCKS_EXCLUDED(mutex_);
  void SendBatch(const std::vector<Item>& batch);

  const Options options_;
  http::Client& client_;
  base::Clock& clock_;
  const base::Logger log_;
  metrics::Histogram& latency_seconds_;
  metrics::Counter& errors_;
  metrics::Counter& sent_;
  metrics::Counter& dropped_;
  metrics::Gauge& length_;

  base::Mutex mutex_;
  base::CondVar changed_;
  std::deque<Item> items_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::int64_t drain_until_ms_ ABSL_GUARDED_BY(mutex_) = 0;
  std::thread thread_;
};

}  // namespace narthex::rules
