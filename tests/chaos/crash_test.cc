// Kills a writer at random moments, over and over, and looks each time at what
// is left. NARTHEX_CRASH_ROUNDS sets how often, NARTHEX_CRASH_SEED the dice.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <new>
#include <random>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/file.h"
#include "libs/base/float_format.h"
#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/verify.h"
#include "tests/chaos/crash_workload.h"
#include "tests/chaos/power_loss.h"

namespace narthex::chaos {
namespace {

namespace fs = std::filesystem;

constexpr storage::TimeRange kAllTime = {model::kMinTime, model::kMaxTime};
constexpr const char* kPromtool = "/opt/peers/root/usr/bin/promtool";

using Content = std::map<model::Labels, std::map<std::int64_t, double>>;

int FromEnvironment(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

// Memory that a killed child leaves readable.
template <typename T>
class Shared {
 public:
  Shared()
      : memory_(::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    REQUIRE(memory_ != MAP_FAILED);
    object_ = new (memory_) T;
  }
  ~Shared() { ::munmap(memory_, sizeof(T)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  T* operator->() { return object_; }
  T& operator*() { return *object_; }

 private:
  void* memory_;
  T* object_ = nullptr;
};

// When and how a writer dies.
struct Death {
  std::chrono::microseconds delay;
  bool from_open = false;        // Counted from there, not from the start.
  SyncedSizes* power = nullptr;  // It is the power that fails.
};

Death SomeDeath(std::mt19937& random) {
  return {std::chrono::microseconds(500 + random() % 150'000),
          random() % 4 != 0};
}

// Runs the workload in a process of its own until it dies.
void RunAndKill(const std::string& directory, Shared<Progress>& progress,
                const Death& death) {
  progress->open.store(false);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    WatchSyncs(death.power);
    CrashWorkload::Run(directory,
                       death.power == nullptr ? tsdb::WalSync::kSegment
                                              : tsdb::WalSync::kGroup,
                       *progress);
    ::_exit(1);
  }
  while (death.from_open && !progress->open.load() &&
         progress->failed.load() == 0) {
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  std::this_thread::sleep_for(death.delay);
  ::kill(child, SIGKILL);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  INFO("the writer failed at step " << progress->failed.load());
  REQUIRE(WIFSIGNALED(status));
  REQUIRE(WTERMSIG(status) == SIGKILL);
}

std::unique_ptr<tsdb::Db> Open(const std::string& directory, bool read_only,
                               metrics::Registry& registry) {
  tsdb::DbOptions options = CrashWorkload::Options();
  options.read_only = read_only;
  auto db = tsdb::Db::Open(directory, options, base::Logger::Discard(),
                           base::Clock::System(), registry);
  INFO(db.status());
  REQUIRE(db.ok());
  return *std::move(db);
}

Content Read(const tsdb::Db& db) {
  auto chunks = db.SelectChunks(kAllTime, {});
  REQUIRE(chunks.ok());
  const auto set = tsdb::DecodeSeriesSet(*std::move(chunks), kAllTime);
  Content content;
  model::SampleColumns samples;
  while (set->Next()) {
    const auto series = set->At();
    samples.clear();
    const absl::Status status = series->Read(&samples);
    INFO(status);
    REQUIRE(status.ok());
    auto& column = content[series->labels()];
    for (std::size_t i = 0; i < samples.size(); ++i) {
      column[samples.timestamps_ms[i]] = samples.values[i];
    }
  }
  INFO(set->status());
  REQUIRE(set->status().ok());
  return content;
}

// Everything acknowledged is there, nothing else but what was under way.
void Check(Content content, Shared<Progress>& progress) {
  const std::int64_t acknowledged = progress->acknowledged.load();
  const std::int64_t begun = progress->begun.load();
  const std::int64_t must_be_gone =
      CrashWorkload::DeletedUntil(progress->deleted.load());
  const std::int64_t may_be_gone =
      CrashWorkload::DeletedUntil(progress->delete_begun.load());
  const std::int64_t kept_from =
      CrashWorkload::TimeOf(acknowledged) - CrashWorkload::kRetentionMs;
  for (std::int64_t step = 1; step <= begun; ++step) {
    const std::int64_t time = CrashWorkload::TimeOf(step);
    for (const auto& sample : CrashWorkload::SamplesOf(step)) {
      const auto series = content.find(sample.labels);
      const bool found =
          series != content.end() && series->second.contains(time);
      const bool must = step <= acknowledged && time >= kept_from &&
                        (!sample.doomed || time > may_be_gone);
      const bool must_not =
          sample.doomed && progress->deleted.load() > 0 && time <= must_be_gone;
      if ((must && !found) || (must_not && found) ||
          (found && series->second[time] != sample.value)) {
        FAIL(sample.labels.ToString()
             << " of step " << step << " is "
             << (found ? "there and should not be so" : "missing")
             << "; acknowledged " << acknowledged << ", deleted "
             << progress->deleted.load() << ", delete begun "
             << progress->delete_begun.load());
      }
      if (found) series->second.erase(time);
    }
  }
  for (const auto& [labels, samples] : content) {
    INFO(labels.ToString());
    REQUIRE(samples.empty());
  }
}

// What the real Prometheus reads in a copy of the directory.
void CheckByPromtool(const std::string& directory, const Content& content) {
  const base::TemporaryDirectory copy;
  fs::copy(directory, copy.path(),
           fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  const std::string out = copy.path() + ".dump";
  const std::string command =
      absl::StrCat(kPromtool, " tsdb dump ", copy.path(), " > ", out, " 2>&1");
  const int code = std::system(command.c_str());
  const std::string text = *base::ReadFile(out);
  base::RemoveAll(out).IgnoreError();
  INFO(text.substr(0, 2000));
  REQUIRE(code == 0);
  std::set<std::string> want;
  for (const auto& [labels, samples] : content) {
    for (const auto& [time, value] : samples) {
      want.insert(absl::StrCat(labels.ToString(), " ",
                               base::FormatFloatG(value), " ", time));
    }
  }
  std::set<std::string> got;
  for (const absl::string_view line :
       absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    got.emplace(line);
  }
  REQUIRE(got.size() == want.size());
  REQUIRE(got == want);
}

TEST_CASE("a writer killed at any moment loses nothing and damages nothing") {
  const int rounds = FromEnvironment("NARTHEX_CRASH_ROUNDS", 30);
  const int seed = FromEnvironment("NARTHEX_CRASH_SEED", 1);
  const bool promtool = base::Exists(kPromtool);
  if (!promtool) WARN("promtool is not installed");
  std::mt19937 random(static_cast<unsigned>(seed));
  const base::TemporaryDirectory parent;
  const std::string directory = parent.path() + "/data";
  Shared<Progress> progress;
  for (int round = 0; round < rounds; ++round) {
    RunAndKill(directory, progress, SomeDeath(random));
    if (!base::Exists(directory)) continue;
    INFO("round " << round << ", step " << progress->acknowledged.load()
                  << ", NARTHEX_CRASH_SEED=" << seed);
    {
      metrics::Registry registry;
      Check(Read(*Open(directory, /*read_only=*/true, registry)), progress);
    }
    // Every other time the next writer finds what this one left.
    if (round % 2 == 0 && round + 1 < rounds) continue;
    Content content;
    {
      metrics::Registry registry;
      const auto db = Open(directory, /*read_only=*/false, registry);
      content = Read(*db);
      Check(content, progress);
      REQUIRE(db->Close().ok());
    }
    const auto report = tsdb::VerifyDirectory(directory);
    REQUIRE(report.ok());
    REQUIRE(report->findings == std::vector<std::string>());
    if (promtool && (round % 10 == 9 || round + 1 == rounds)) {
      CheckByPromtool(directory, content);
    }
  }
  WARN(rounds << " kills, " << progress->acknowledged.load()
              << " appends acknowledged");
}

TEST_CASE("with every group fsynced, a loss of power loses nothing either") {
  const int rounds = FromEnvironment("NARTHEX_CRASH_ROUNDS", 30);
  const int seed = FromEnvironment("NARTHEX_CRASH_SEED", 1);
  std::mt19937 random(static_cast<unsigned>(seed));
  const base::TemporaryDirectory parent;
  const std::string directory = parent.path() + "/data";
  Shared<Progress> progress;
  Shared<SyncedSizes> synced;
  for (int round = 0; round < rounds; ++round) {
    Death death = SomeDeath(random);
    death.power = &*synced;
    RunAndKill(directory, progress, death);
    if (!base::Exists(directory)) continue;
    LoseUnsynced(directory, *synced, random);
    INFO("round " << round << ", step " << progress->acknowledged.load()
                  << ", NARTHEX_CRASH_SEED=" << seed);
    metrics::Registry registry;
    WatchSyncs(&*synced);
    {
      const auto db = Open(directory, /*read_only=*/false, registry);
      Check(Read(*db), progress);
      REQUIRE(db->Close().ok());
    }
    WatchSyncs(nullptr);
    const auto report = tsdb::VerifyDirectory(directory);
    REQUIRE(report.ok());
    REQUIRE(report->findings == std::vector<std::string>());
  }
  WARN(rounds << " losses, " << progress->acknowledged.load()
              << " appends acknowledged");
}

}  // namespace
}  // namespace narthex::chaos
