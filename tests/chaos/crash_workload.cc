#include "tests/chaos/crash_workload.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"
#include "libs/metrics/metrics.h"

namespace narthex::chaos {
namespace {

constexpr std::int64_t kStart = 1700006400000;
constexpr int kSeries = 30;
constexpr int kDoomed = 4;
// After so many steps a set of series ends and another begins.
constexpr std::int64_t kGeneration = 200;
constexpr std::int64_t kStepsBetweenStarts = 45;

absl::Status Append(tsdb::Db& db, std::int64_t step) {
  std::vector<tsdb::RefSample> samples;
  for (const auto& sample : CrashWorkload::SamplesOf(step)) {
    const auto ref = db.GetOrCreateSeries(sample.labels);
    if (!ref.ok()) return ref.status();
    samples.push_back({*ref, CrashWorkload::TimeOf(step), sample.value});
  }
  std::vector<storage::Rejection> rejected;
  const absl::Status status = db.Append(samples, &rejected);
  if (!status.ok() || rejected.empty()) return status;
  return absl::InternalError(
      absl::StrCat(rejected.size(), " samples rejected, reason ",
                   static_cast<int>(rejected.front().reason)));
}

absl::Status Delete(tsdb::Db& db, std::int64_t step, Progress& progress) {
  progress.delete_begun.store(step);
  const absl::Status status =
      db.DeleteSeries({model::kMinTime, CrashWorkload::DeletedUntil(step)},
                      {model::Matcher::Equal(model::kMetricName, "doomed")});
  if (status.ok()) progress.deleted.store(step);
  return status;
}

absl::Status Snapshot(tsdb::Db& db, const std::string& directory) {
  const std::string path = directory + ".snapshot";
  absl::Status status = base::RemoveAll(path);
  status.Update(db.Snapshot(path, /*skip_head=*/false));
  status.Update(base::RemoveAll(path));
  return status;
}

// What is due at this step, beside the append.
absl::Status Maintain(tsdb::Db& db, std::int64_t step,
                      const std::string& directory, Progress& progress) {
  absl::Status status;
  if (step % 37 == 0) status.Update(Delete(db, step, progress));
  if (step % 15 == 0) status.Update(db.Maintain());
  if (step % 51 == 0) status.Update(Snapshot(db, directory));
  if (step % 83 == 0) status.Update(db.CleanTombstones());
  if (step % 131 == 0) status.Update(db.Flush());
  return status;
}

}  // namespace

tsdb::DbOptions CrashWorkload::Options(tsdb::WalSync sync) {
  tsdb::DbOptions options;
  options.retention.time_ms = kRetentionMs;
  options.samples_per_chunk = 20;
  options.wal.sync = sync;
  options.wal.segment_bytes = 2 * tsdb::kWalPageBytes;
  options.memory_snapshot = true;
  return options;
}

std::int64_t CrashWorkload::TimeOf(std::int64_t step) {
  return kStart + step * kStepMs;
}

std::int64_t CrashWorkload::DeletedUntil(std::int64_t step) {
  return TimeOf(step) - 20 * kStepMs;
}

std::vector<CrashWorkload::Sample> CrashWorkload::SamplesOf(std::int64_t step) {
  std::vector<Sample> samples;
  const auto value = [&](int i) {
    return static_cast<double>(step * 31 + i) / (i % 3 == 0 ? 1 : 7);
  };
  for (int i = 0; i < kSeries; ++i) {
    if ((step * 7 + i * 13) % 5 == 0) continue;
    samples.push_back(
        {{{"__name__", "kept"}, {"i", absl::StrCat(i)}}, value(i), false});
  }
  const std::string generation = absl::StrCat(step / kGeneration);
  for (int i = 0; i < 3; ++i) {
    samples.push_back({{{"__name__", "churn"},
                        {"generation", generation},
                        {"i", absl::StrCat(i)}},
                       value(i),
                       false});
  }
  for (int i = 0; i < kDoomed; ++i) {
    samples.push_back(
        {{{"__name__", "doomed"}, {"i", absl::StrCat(i)}}, value(i), true});
  }
  return samples;
}

void CrashWorkload::Run(const std::string& directory, tsdb::WalSync sync,
                        Progress& progress) {
  std::int64_t step = progress.acknowledged.load();
  base::FakeClock clock(TimeOf(step));
  absl::Status status;
  while (status.ok()) {
    metrics::Registry registry;
    auto db = tsdb::Db::Open(directory, Options(sync), base::Logger::Discard(),
                             clock, registry);
    status = db.status();
    if (status.ok()) progress.open.store(true);
    do {
      if (!status.ok()) break;
      ++step;
      clock.Advance(kStepMs);
      progress.begun.store(step);
      status = Append(**db, step);
      if (!status.ok()) break;
      progress.acknowledged.store(step);
      status = Maintain(**db, step, directory, progress);
    } while (step % kStepsBetweenStarts != 0);
    if (status.ok()) status = (*db)->Close();
  }
  std::fprintf(stderr, "step %lld: %s\n", static_cast<long long>(step),
               status.ToString().c_str());
  progress.failed.store(step);
}

}  // namespace narthex::chaos
