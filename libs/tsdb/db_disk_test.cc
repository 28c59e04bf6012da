#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/tsdb/db.h"
#include "libs/tsdb/db_fixture.h"

namespace narthex::tsdb {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kStart = 1700006400000;
constexpr std::int64_t kHour = 60 * 60 * 1000;

// Runs `test` with a file system of its own at `path`, which no other process
// sees. False when the system does not allow that.
bool OnSmallDisk(const std::string& path, const std::string& size,
                 const std::function<void()>& test) {
  bool mounted = false;
  // A thread has its own view of the mounts and dies with it.
  std::thread thread([&] {
    if (::unshare(CLONE_FS | CLONE_NEWNS) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", path.c_str(), "tmpfs", 0,
                absl::StrCat("size=", size).c_str()) != 0) {
      return;
    }
    mounted = true;
    test();
    ::umount2(path.c_str(), MNT_DETACH);
  });
  thread.join();
  return mounted;
}

// Takes all that is left of the disk, but for a little.
void FillUp(const std::string& directory) {
  std::ofstream file(directory + "/filler", std::ios::binary);
  const std::string page(4096, 'x');
  while (file << page << std::flush) {
  }
}

// Appends hour by hour until an append fails; returns the error.
absl::Status AppendUntilError(Db& db, const std::vector<model::Labels>& series,
                              std::int64_t* time_ms, SeriesModel* expected) {
  while (true) {
    std::vector<RefSample> samples;
    for (const model::Labels& labels : series) {
      samples.push_back({db.GetOrCreateSeries(labels).value(), *time_ms,
                         static_cast<double>(*time_ms % 1009)});
    }
    std::vector<storage::Rejection> rejected;
    const absl::Status status = db.Append(samples, &rejected);
    if (!status.ok()) return status;
    REQUIRE(rejected.empty());
    for (const model::Labels& labels : series) {
      (*expected)[labels][*time_ms] = static_cast<double>(*time_ms % 1009);
    }
    *time_ms += 1000;
  }
}

std::unique_ptr<Db> OpenIn(const std::string& directory, base::Clock& clock,
                           metrics::Registry& registry) {
  auto db = Db::Open(directory, {}, base::Logger::Discard(), clock, registry);
  INFO(db.status());
  REQUIRE(db.ok());
  return *std::move(db);
}

void FullDiskIsSurvived(const std::string& root) {
  const std::string directory = root + "/data";
  base::FakeClock clock(kStart);
  metrics::Registry registry;
  const std::vector<model::Labels> series = MakeSeries(20);
  std::int64_t time = kStart;
  SeriesModel expected;
  {
    const std::unique_ptr<Db> db = OpenIn(directory, clock, registry);
    FillUp(root);
    const absl::Status full = AppendUntilError(*db, series, &time, &expected);
    INFO(full);
    CHECK(absl::IsResourceExhausted(full));
    CHECK(absl::StrContains(full.message(), directory + "/wal/"));
    CHECK(absl::StrContains(registry.Expose(),
                            "\nprometheus_tsdb_wal_writes_failed_total 1\n"));
    // What was acknowledged is there, and a flush, be there just enough space
    // for it or not, loses nothing.
    db->Flush().IgnoreError();
    CHECK(ReadAll(*db->SelectChunks(kAllTime, {}), kAllTime) == expected);
    // Once there is space it goes on by itself.
    fs::remove(root + "/filler");
    time += kHour;
    std::vector<storage::Rejection> rejected;
    const RefSample more{db->GetOrCreateSeries(series[0]).value(), time, 5};
    REQUIRE(db->Append({&more, 1}, &rejected).ok());
    expected[series[0]][time] = 5;
    REQUIRE(db->Flush().ok());
    CHECK(ReadAll(*db->SelectChunks(kAllTime, {}), kAllTime) == expected);
  }
  metrics::Registry again;
  const std::unique_ptr<Db> db = OpenIn(directory, clock, again);
  CHECK(db->corruption_count() == 0);
  CHECK(ReadAll(*db->SelectChunks(kAllTime, {}), kAllTime) == expected);
}

}  // namespace

TEST_CASE("a full disk refuses samples, loses none and recovers by itself") {
  const base::TemporaryDirectory root;
  if (!OnSmallDisk(root.path(), "8m",
                   [&] { FullDiskIsSurvived(root.path()); })) {
    WARN("skipped: mounting a small file system needs root");
  }
}

TEST_CASE("the log can be forced to disk while samples are appended") {
  DbOptions options;
  options.wal.sync = WalSync::kInterval;
  DbFixture fixture(options);
  const auto series = MakeSeries(2);
  fixture.Append(series, kStart, 1);
  absl::Status forced;
  std::thread forcing([&] {
    for (int i = 0; i < 20; ++i) forced.Update(fixture.db().ForceLogToDisk());
  });
  for (int i = 1; i < 100; ++i) fixture.Append(series, kStart + i, i);
  forcing.join();
  CHECK(forced.ok());
  fixture.CheckAll();
}

TEST_CASE("a clock that jumps removes nothing and stops no maintenance") {
  const base::TemporaryDirectory directory;
  base::FakeClock clock(kStart);
  metrics::Registry registry;
  const std::unique_ptr<Db> db = OpenIn(directory.path(), clock, registry);
  const model::Labels up = {{"__name__", "up"}};
  SeriesModel expected;
  for (int i = 0; i < 8 * 60; ++i) {
    const std::int64_t time = kStart + i * std::int64_t{60'000};
    const RefSample sample{db->GetOrCreateSeries(up).value(), time, 1};
    std::vector<storage::Rejection> rejected;
    REQUIRE(db->Append({&sample, 1}, &rejected).ok());
    expected[up][time] = 1;
    if (i % 120 != 0) continue;
    // Ten years on, and back again.
    const std::int64_t jump = (i % 240 == 0 ? 1 : -1) * 3650 * 24 * kHour;
    clock.Advance(jump);
    REQUIRE(db->Maintain().ok());
  }
  REQUIRE(db->Maintain().ok());
  CHECK_FALSE(db->Blocks().empty());
  CHECK(ReadAll(*db->SelectChunks(kAllTime, {}), kAllTime) == expected);
}

}  // namespace narthex::tsdb
