#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/base/mutex.h"

/// A Prometheus client library: usable alone by any C++ program.
namespace narthex::metrics {

/// Constant label names and values of one metric, in the order given.
using LabelPairs = std::vector<std::pair<std::string, std::string>>;

/// A value that only goes up. Thread-safe, lock-free.
class Counter {
 public:
  /// Negative increments are ignored.
  void Inc(double by = 1);
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

/// A value that goes up and down. Thread-safe, lock-free.
class Gauge {
 public:
  void Set(double value) { value_.store(value, std::memory_order_relaxed); }
  void Add(double by);
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

/// Counts observations in buckets of fixed upper bounds. Thread-safe,
/// lock-free; a concurrent Expose() may see an observation in the count but
/// not yet in the sum.
class Histogram {
 public:
  /// `upper_bounds` ascending, without +Inf.
  explicit Histogram(std::vector<double> upper_bounds);
  void Observe(double value);

  const std::vector<double>& upper_bounds() const { return upper_bounds_; }
  /// Observations per bucket, not cumulated; the last is above all bounds.
  std::vector<std::uint64_t> counts() const;
  double sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  std::vector<double> upper_bounds_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> counts_;
  std::atomic<double> sum_{0};
};

/// Counts observations and tells quantiles of the newest: those of the last
/// ten minutes, at most the last 1,024. Thread-safe.
class Summary {
 public:
  /// `quantiles` between 0 and 1, ascending; may be empty.
  explicit Summary(std::vector<double> quantiles);
  void Observe(double value) ABSL_LOCKS_EXCLUDED(mutex_);

  struct Snapshot {
    std::uint64_t count = 0;
    double sum = 0;
    /// Quantile and value, which is NaN without observations.
    std::vector<std::pair<double, double>> quantiles;
  };
  Snapshot Read() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Observation {
    std::int64_t at_ns = 0;
    double value = 0;
  };

  const std::vector<double> quantiles_;
  mutable base::Mutex mutex_;
  std::uint64_t count_ ABSL_GUARDED_BY(mutex_) = 0;
  double sum_ ABSL_GUARDED_BY(mutex_) = 0;
  // A ring, written at count_.
  std::vector<Observation> newest_ ABSL_GUARDED_BY(mutex_);
};

/// The buckets that Prometheus clients use for latencies, in seconds.
std::vector<double> DefaultBuckets();
/// `count` bounds from `start`, each `factor` times the one before.
std::vector<double> ExponentialBuckets(double start, double factor, int count);

/// All metrics of one name that differ in label values. Thread-safe.
template <typename Metric>
class Family {
 public:
  using Make = std::function<std::unique_ptr<Metric>()>;
  Family(std::vector<std::string> label_names, Make make)
      : label_names_(std::move(label_names)), make_(std::move(make)) {}

  /// The metric with these values (one per label name), made when it is new.
  /// Valid until removed.
  Metric& With(const std::vector<std::string>& values);
  void Remove(const std::vector<std::string>& values);
  /// Calls `visit(label names, values, metric)` in order of creation.
  template <typename Visit>
  void ForEach(const Visit& visit) const {
    base::ReaderMutexLock lock(mutex_);
    for (const auto& [values, metric] : children_) {
      visit(label_names_, values, *metric);
    }
  }

 private:
  const std::vector<std::string> label_names_;
  const Make make_;
  mutable base::Mutex mutex_;
  std::vector<std::pair<std::vector<std::string>, std::unique_ptr<Metric>>>
      children_ ABSL_GUARDED_BY(mutex_);
};

using CounterFamily = Family<Counter>;
using GaugeFamily = Family<Gauge>;
using HistogramFamily = Family<Histogram>;

/// Holds the metrics of a process and exposes them. Thread-safe. References
/// handed out live as long as the registry. Asking twice for the same name
/// and labels gives the same metric; asking for one name with two types ends
/// the process: that is a programming error.
class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  Counter& NewCounter(absl::string_view name, absl::string_view help,
                      const LabelPairs& labels = {});
  Gauge& NewGauge(absl::string_view name, absl::string_view help,
                  const LabelPairs& labels = {});
  Histogram& NewHistogram(absl::string_view name, absl::string_view help,
                          std::vector<double> upper_bounds,
                          const LabelPairs& labels = {});

  Summary& NewSummary(absl::string_view name, absl::string_view help,
                      std::vector<double> quantiles = {},
                      const LabelPairs& labels = {});

  CounterFamily& NewCounterFamily(absl::string_view name,
                                  absl::string_view help,
                                  std::vector<std::string> label_names);
  GaugeFamily& NewGaugeFamily(absl::string_view name, absl::string_view help,
                              std::vector<std::string> label_names);
  HistogramFamily& NewHistogramFamily(absl::string_view name,
                                      absl::string_view help,
                                      std::vector<std::string> label_names,
                                      std::vector<double> upper_bounds);

  /// A gauge or counter whose value is asked for at exposition. `value` must
  /// be thread-safe and outlive the registry's last Expose().
  void NewGaugeFunction(absl::string_view name, absl::string_view help,
                        std::function<double()> value,
                        const LabelPairs& labels = {});
  void NewCounterFunction(absl::string_view name, absl::string_view help,
                          std::function<double()> value,
                          const LabelPairs& labels = {});

  /// Everything in the text format 0.0.4, sorted by name.
  std::string Expose() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace narthex::metrics
