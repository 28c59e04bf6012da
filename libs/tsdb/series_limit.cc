#include "libs/tsdb/series_limit.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"

namespace narthex::tsdb {
namespace {

// Memory is measured anew after so many new series or so much time. Until
// then a burst adds a megabyte or so.
constexpr std::uint32_t kSeriesPerMeasurement = 256;
constexpr std::int64_t kMeasurementNs = 1'000'000'000;
// A burst may be in the label job itself.
constexpr std::size_t kMostJobs = 100;
constexpr char kOtherJobs[] = "(other)";

}  // namespace

std::uint64_t OwnMemoryBytes() {
  const base::UniqueFd file(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC));
  if (!file) return 0;
  std::array<char, 128> text{};
  if (::read(file.get(), text.data(), text.size() - 1) <= 0) return 0;
  unsigned long long size = 0;
  unsigned long long resident = 0;
  unsigned long long shared = 0;
  if (std::sscanf(text.data(), "%llu %llu %llu", &size, &resident, &shared) !=
          3 ||
      resident < shared) {
    return 0;
  }
  return (resident - shared) * static_cast<std::uint64_t>(::getpagesize());
}

SeriesLimit::SeriesLimit(const SeriesBounds& bounds,
                         metrics::Registry& registry, Memory memory)
    : bounds_(bounds),
      memory_(memory),
      refused_by_job_(registry.NewCounterFamily(
          "narthex_tsdb_series_refused_total",
          "New series refused because a limit was reached, by their job.",
          {"job"})),
      memory_bytes_(registry.NewGauge("narthex_tsdb_memory_bytes",
                                      "Memory of the process's own, as last "
                                      "measured against the budget.")) {
  registry
      .NewGauge("narthex_tsdb_series_limit",
                "Series that the head takes, 0: no bound.")
      .Set(static_cast<double>(bounds.max_series));
  registry
      .NewGauge("narthex_tsdb_memory_budget_bytes",
                "Memory beyond which no new series is taken, 0: no bound.")
      .Set(static_cast<double>(bounds.memory_budget_bytes));
}

void SeriesLimit::MeasureIfDue() {
  if (bounds_.memory_budget_bytes == 0) return;
  const std::int64_t now = base::Clock::System().MonotonicNs();
  if (since_measured_.fetch_add(1) % kSeriesPerMeasurement != 0 &&
      now - measured_ns_.load() < kMeasurementNs) {
    return;
  }
  measured_ns_.store(now);
  measured_bytes_.store(memory_());
  memory_bytes_.Set(static_cast<double>(measured_bytes_.load()));
}

bool SeriesLimit::HasRoom(std::size_t series) {
  MeasureIfDue();
  const std::size_t most = bounds_.max_series;
  const std::uint64_t budget = bounds_.memory_budget_bytes;
  return (most == 0 || series < most - most / 20) &&
         (budget == 0 || measured_bytes_.load() < budget - budget / 20);
}

bool SeriesLimit::RefusedForWantOfRoom(std::size_t series) {
  if (refused_ && HasRoom(series)) refused_ = false;
  return refused_;
}

absl::Status SeriesLimit::Admit(std::size_t series,
                                const model::Labels& labels) {
  MeasureIfDue();
  std::string reason;
  if (bounds_.max_series != 0 && series >= bounds_.max_series) {
    reason = absl::StrCat("the head holds its limit of ", bounds_.max_series,
                          " series");
  } else if (bounds_.memory_budget_bytes != 0 &&
             measured_bytes_.load() >= bounds_.memory_budget_bytes) {
    reason = absl::StrCat("the process holds ", measured_bytes_.load(),
                          " bytes of memory and its budget is ",
                          bounds_.memory_budget_bytes);
  } else {
    return absl::OkStatus();
  }
  return Refuse(reason, labels);
}

absl::Status SeriesLimit::AdmitReplayed(std::uint64_t head_bytes,
                                        const model::Labels& labels) {
  const std::uint64_t budget = bounds_.memory_budget_bytes;
  if (budget == 0 || head_bytes < budget) return absl::OkStatus();
  return Refuse(absl::StrCat("the head takes ", head_bytes,
                             " bytes of memory and the budget is ", budget),
                labels);
}

absl::Status SeriesLimit::Refuse(const std::string& reason,
                                 const model::Labels& labels) {
  refused_ = true;
  Count(labels);
  return absl::ResourceExhaustedError(
      absl::StrCat(reason, "; not created: ", labels.ToMetricString()));
}

void SeriesLimit::Count(const model::Labels& labels) {
  std::string job(labels.Get("job"));
  {
    base::MutexLock lock(mutex_);
    if (!jobs_.contains(job)) {
      if (jobs_.size() < kMostJobs) {
        jobs_.insert(job);
      } else {
        job = kOtherJobs;
      }
    }
  }
  refused_by_job_.With({job}).Inc();
}

}  // namespace narthex::tsdb
