#include "libs/metrics/metrics.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <map>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "libs/base/clock.h"
#include "libs/base/float_format.h"

namespace narthex::metrics {
namespace {

constexpr std::size_t kNewestObservations = 1024;
constexpr std::int64_t kObservationsLiveNs =
    std::int64_t{10} * 60 * 1'000'000'000;

void AddTo(std::atomic<double>& value, double by) {
  double seen = value.load(std::memory_order_relaxed);
  while (!value.compare_exchange_weak(seen, seen + by,
                                      std::memory_order_relaxed)) {
  }
}

std::string EscapedHelp(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"\n", "\\n"}});
}

std::string EscapedValue(absl::string_view text) {
  return absl::StrReplaceAll(text,
                             {{"\\", "\\\\"}, {"\n", "\\n"}, {"\"", "\\\""}});
}

// Writes `name{labels,extra} value`.
void WriteLine(absl::string_view name, const LabelPairs& labels,
               absl::string_view extra_name, absl::string_view extra_value,
               double value, std::string* out) {
  absl::StrAppend(out, name);
  char separator = '{';
  const auto put = [&](absl::string_view key, absl::string_view text) {
    out->push_back(separator);
    separator = ',';
    absl::StrAppend(out, key, "=\"", EscapedValue(text), "\"");
  };
  for (const auto& [key, text] : labels) put(key, text);
  if (!extra_name.empty()) put(extra_name, extra_value);
  absl::StrAppend(out, separator == ',' ? "} " : " ", base::FormatFloatG(value),
                  "\n");
}

void WriteMetric(absl::string_view name, const LabelPairs& labels,
                 const Counter& counter, std::string* out) {
  WriteLine(name, labels, "", "", counter.value(), out);
}

void WriteMetric(absl::string_view name, const LabelPairs& labels,
                 const Gauge& gauge, std::string* out) {
  WriteLine(name, labels, "", "", gauge.value(), out);
}

void WriteMetric(absl::string_view name, const LabelPairs& labels,
                 const Histogram& histogram, std::string* out) {
  const std::vector<std::uint64_t> counts = histogram.counts();
  const std::string bucket = absl::StrCat(name, "_bucket");
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    total += counts[i];
    const bool last = i == histogram.upper_bounds().size();
    WriteLine(bucket, labels, "le",
              last ? "+Inf" : base::FormatFloatG(histogram.upper_bounds()[i]),
              static_cast<double>(total), out);
  }
  WriteLine(absl::StrCat(name, "_sum"), labels, "", "", histogram.sum(), out);
  WriteLine(absl::StrCat(name, "_count"), labels, "", "",
            static_cast<double>(total), out);
}

void WriteMetric(absl::string_view name, const LabelPairs& labels,
                 const Summary& summary, std::string* out) {
  const Summary::Snapshot snapshot = summary.Read();
  for (const auto& [quantile, value] : snapshot.quantiles) {
    WriteLine(name, labels, "quantile", base::FormatFloatG(quantile), value,
              out);
  }
  WriteLine(absl::StrCat(name, "_sum"), labels, "", "", snapshot.sum, out);
  WriteLine(absl::StrCat(name, "_count"), labels, "", "",
            static_cast<double>(snapshot.count), out);
}

[[noreturn]] void DieOfTypeClash(absl::string_view name) {
  std::fprintf(stderr, "metric %s registered twice with different types\n",
               std::string(name).c_str());
  std::abort();
}

using Function = std::function<double()>;

}  // namespace

void Counter::Inc(double by) {
  if (by > 0) AddTo(value_, by);
}

void Gauge::Add(double by) { AddTo(value_, by); }

Histogram::Histogram(std::vector<double> upper_bounds)
    : upper_bounds_(std::move(upper_bounds)),
      counts_(std::make_unique<std::atomic<std::uint64_t>[]>(
          upper_bounds_.size() + 1)) {}

void Histogram::Observe(double value) {
  const auto it =
      std::lower_bound(upper_bounds_.begin(), upper_bounds_.end(), value);
  const auto bucket = static_cast<std::size_t>(it - upper_bounds_.begin());
  counts_[bucket].fetch_add(1, std::memory_order_relaxed);
  AddTo(sum_, value);
}

std::vector<std::uint64_t> Histogram::counts() const {
  std::vector<std::uint64_t> counts(upper_bounds_.size() + 1);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    counts[i] = counts_[i].load(std::memory_order_relaxed);
  }
  return counts;
}

Summary::Summary(std::vector<double> quantiles)
    : quantiles_(std::move(quantiles)) {}

void Summary::Observe(double value) {
  base::MutexLock lock(mutex_);
  sum_ += value;
  const std::uint64_t number = count_++;
  if (quantiles_.empty()) return;
  const Observation one{base::Clock::System().MonotonicNs(), value};
  if (newest_.size() < kNewestObservations) {
    newest_.push_back(one);
  } else {
    newest_[number % kNewestObservations] = one;
  }
}

Summary::Snapshot Summary::Read() const {
  const std::int64_t oldest =
      base::Clock::System().MonotonicNs() - kObservationsLiveNs;
  Snapshot snapshot;
  std::vector<double> values;
  {
    base::ReaderMutexLock lock(mutex_);
    snapshot.count = count_;
    snapshot.sum = sum_;
    for (const Observation& one : newest_) {
      if (one.at_ns >= oldest) values.push_back(one.value);
    }
  }
  std::sort(values.begin(), values.end());
  for (const double quantile : quantiles_) {
    double value = std::numeric_limits<double>::quiet_NaN();
    if (!values.empty()) {
      const auto rank = static_cast<std::size_t>(
          quantile * static_cast<double>(values.size()));
      value = values[std::min(rank, values.size() - 1)];
    }
    snapshot.quantiles.emplace_back(quantile, value);
  }
  return snapshot;
}

std::vector<double> DefaultBuckets() {
  return {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
}

std::vector<double> ExponentialBuckets(double start, double factor, int count) {
  std::vector<double> bounds;
  for (double bound = start; count > 0; --count, bound *= factor) {
    bounds.push_back(bound);
  }
  return bounds;
}

template <typename Metric>
Metric& Family<Metric>::With(const std::vector<std::string>& values) {
  const auto find = [this, &values]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return std::find_if(
        children_.begin(), children_.end(),
        [&values](const auto& child) { return child.first == values; });
  };
  {
    base::ReaderMutexLock lock(mutex_);
    if (const auto it = find(); it != children_.end()) return *it->second;
  }
  base::MutexLock lock(mutex_);
  if (const auto it = find(); it != children_.end()) return *it->second;
  children_.emplace_back(values, make_());
  return *children_.back().second;
}

template <typename Metric>
void Family<Metric>::Remove(const std::vector<std::string>& values) {
  base::MutexLock lock(mutex_);
  const auto gone = std::remove_if(
      children_.begin(), children_.end(),
      [&values](const auto& child) { return child.first == values; });
  children_.erase(gone, children_.end());
}

template class Family<Counter>;
template class Family<Gauge>;
template class Family<Histogram>;

struct Registry::State {
  // One metric name. Exactly one of `families` and `functions` is in use.
  struct Entry {
    std::string help;
    std::string type;
    std::variant<std::monostate, std::unique_ptr<CounterFamily>,
                 std::unique_ptr<GaugeFamily>, std::unique_ptr<HistogramFamily>>
        family;
    // Metrics with constant labels, beside the family.
    std::vector<std::pair<LabelPairs, std::unique_ptr<Counter>>> counters;
    std::vector<std::pair<LabelPairs, std::unique_ptr<Gauge>>> gauges;
    std::vector<std::pair<LabelPairs, std::unique_ptr<Histogram>>> histograms;
    std::vector<std::pair<LabelPairs, std::unique_ptr<Summary>>> summaries;
    std::vector<std::pair<LabelPairs, Function>> functions;
  };

  Entry& Get(absl::string_view name, absl::string_view help,
             absl::string_view type) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    Entry& entry = entries[std::string(name)];
    if (entry.type.empty()) {
      entry.type = std::string(type);
      entry.help = std::string(help);
    } else if (entry.type != type) {
      DieOfTypeClash(name);
    }
    return entry;
  }

  mutable base::Mutex mutex;
  std::map<std::string, Entry> entries ABSL_GUARDED_BY(mutex);
};

namespace {

template <typename Metric, typename Make>
Metric& FindOrMake(
    std::vector<std::pair<LabelPairs, std::unique_ptr<Metric>>>& metrics,
    const LabelPairs& labels, const Make& make) {
  for (auto& [known, metric] : metrics) {
    if (known == labels) return *metric;
  }
  metrics.emplace_back(labels, make());
  return *metrics.back().second;
}

template <typename Metric, typename Variant>
Family<Metric>& FindOrMakeFamily(Variant& family,
                                 std::vector<std::string> label_names,
                                 typename Family<Metric>::Make make) {
  using Owned = std::unique_ptr<Family<Metric>>;
  if (!std::holds_alternative<Owned>(family)) {
    family = std::make_unique<Family<Metric>>(std::move(label_names),
                                              std::move(make));
  }
  return *std::get<Owned>(family);
}

template <typename Metrics>
void WriteAll(absl::string_view name, const Metrics& metrics,
              std::string* out) {
  for (const auto& [labels, metric] : metrics) {
    WriteMetric(name, labels, *metric, out);
  }
}

template <typename Owned>
void WriteFamily(absl::string_view name, const Owned& family,
                 std::string* out) {
  if constexpr (!std::is_same_v<Owned, std::monostate>) {
    family->ForEach(
        [&](const auto& names, const auto& values, const auto& metric) {
          LabelPairs labels;
          for (std::size_t i = 0; i < names.size() && i < values.size(); ++i) {
            labels.emplace_back(names[i], values[i]);
          }
          WriteMetric(name, labels, metric, out);
        });
  }
}

}  // namespace

Registry::Registry() : state_(std::make_unique<State>()) {}
Registry::~Registry() = default;

Counter& Registry::NewCounter(absl::string_view name, absl::string_view help,
                              const LabelPairs& labels) {
  base::MutexLock lock(state_->mutex);
  return FindOrMake(state_->Get(name, help, "counter").counters, labels,
                    [] { return std::make_unique<Counter>(); });
}

Gauge& Registry::NewGauge(absl::string_view name, absl::string_view help,
                          const LabelPairs& labels) {
  base::MutexLock lock(state_->mutex);
  return FindOrMake(state_->Get(name, help, "gauge").gauges, labels,
                    [] { return std::make_unique<Gauge>(); });
}

Histogram& Registry::NewHistogram(absl::string_view name,
                                  absl::string_view help,
                                  std::vector<double> upper_bounds,
                                  const LabelPairs& labels) {
  base::MutexLock lock(state_->mutex);
  return FindOrMake(
      state_->Get(name, help, "histogram").histograms, labels,
      [&] { return std::make_unique<Histogram>(std::move(upper_bounds)); });
}

Summary& Registry::NewSummary(absl::string_view name, absl::string_view help,
                              std::vector<double> quantiles,
                              const LabelPairs& labels) {
  base::MutexLock lock(state_->mutex);
  return FindOrMake(state_->Get(name, help, "summary").summaries, labels, [&] {
    return std::make_unique<Summary>(std::move(quantiles));
  });
}

CounterFamily& Registry::NewCounterFamily(
    absl::string_view name, absl::string_view help,
    std::vector<std::string> label_names) {
  base::MutexLock lock(state_->mutex);
  return FindOrMakeFamily<Counter>(state_->Get(name, help, "counter").family,
                                   std::move(label_names),
                                   [] { return std::make_unique<Counter>(); });
}

GaugeFamily& Registry::NewGaugeFamily(absl::string_view name,
                                      absl::string_view help,
                                      std::vector<std::string> label_names) {
  base::MutexLock lock(state_->mutex);
  return FindOrMakeFamily<Gauge>(state_->Get(name, help, "gauge").family,
                                 std::move(label_names),
                                 [] { return std::make_unique<Gauge>(); });
}

HistogramFamily& Registry::NewHistogramFamily(
    absl::string_view name, absl::string_view help,
    std::vector<std::string> label_names, std::vector<double> upper_bounds) {
  base::MutexLock lock(state_->mutex);
  return FindOrMakeFamily<Histogram>(
      state_->Get(name, help, "histogram").family, std::move(label_names),
      [bounds = std::move(upper_bounds)] {
        return std::make_unique<Histogram>(bounds);
      });
}

void Registry::NewGaugeFunction(absl::string_view name, absl::string_view help,
                                std::function<double()> value,
                                const LabelPairs& labels) {
  base::MutexLock lock(state_->mutex);
  state_->Get(name, help, "gauge")
      .functions.emplace_back(labels, std::move(value));
}

void Registry::NewCounterFunction(absl::string_view name,
                                  absl::string_view help,
                                  std::function<double()> value,
                                  const LabelPairs& labels) {
  base::MutexLock lock(state_->mutex);
  state_->Get(name, help, "counter")
      .functions.emplace_back(labels, std::move(value));
}

std::string Registry::Expose() const {
  std::string out;
  base::ReaderMutexLock lock(state_->mutex);
  for (const auto& [name, entry] : state_->entries) {
    absl::StrAppend(&out, "# HELP ", name, " ", EscapedHelp(entry.help),
                    "\n# TYPE ", name, " ", entry.type, "\n");
    WriteAll(name, entry.counters, &out);
    WriteAll(name, entry.gauges, &out);
    WriteAll(name, entry.histograms, &out);
    WriteAll(name, entry.summaries, &out);
    for (const auto& [labels, value] : entry.functions) {
      WriteLine(name, labels, "", "", value(), &out);
    }
    // Clang 14 does not capture a structured binding as it is.
    std::visit([&, &metric = name](
                   const auto& family) { WriteFamily(metric, family, &out); },
               entry.family);
  }
  return out;
}

}  // namespace narthex::metrics
