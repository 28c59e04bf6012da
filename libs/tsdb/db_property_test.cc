// Random histories of a database beside the plainest model of one: whatever
// happened, both must give the same answers. NARTHEX_PROPERTY_STEPS makes the
// histories longer, NARTHEX_PROPERTY_SEED runs one of them alone.
#include <algorithm>
#include <bit>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"
#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/db.h"
#include "libs/tsdb/db_fixture.h"
#include "libs/tsdb/verify.h"

namespace narthex::tsdb {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMinute = 60 * 1000;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kStart = 1700006400000;

// Values as bits: not-a-numbers must come back as they were.
struct Stored {
  std::uint64_t bits = 0;
  std::int64_t start_ms = 0;
  friend bool operator==(const Stored&, const Stored&) = default;
};
using Samples = std::map<std::int64_t, Stored>;
using Model = std::map<model::Labels, Samples>;

int FromEnvironment(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

Model ReadModel(const Db& db, const storage::TimeRange& range,
                const std::vector<model::Matcher>& matchers) {
  auto chunks = db.SelectChunks(range, matchers);
  INFO(chunks.status());
  REQUIRE(chunks.ok());
  const auto set = DecodeSeriesSet(*std::move(chunks), range);
  Model read;
  model::SampleColumns samples;
  while (set->Next()) {
    const auto series = set->At();
    REQUIRE((read.empty() || read.rbegin()->first < series->labels()));
    samples.clear();
    REQUIRE(series->Read(&samples).ok());
    std::int64_t last = model::kMinTime;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      REQUIRE(samples.timestamps_ms[i] > last);
      last = samples.timestamps_ms[i];
      read[series->labels()][last] = {
          std::bit_cast<std::uint64_t>(samples.values[i]),
          samples.starts_ms.empty() ? 0 : samples.starts_ms[i]};
    }
  }
  INFO(set->status());
  REQUIRE(set->status().ok());
  return read;
}

Model FilterModel(const Model& model, const storage::TimeRange& range,
                  const std::vector<model::Matcher>& matchers) {
  Model kept;
  for (const auto& [labels, samples] : model) {
    if (!model::MatchesAll(matchers, labels)) continue;
    for (auto it = samples.lower_bound(range.min_ms);
         it != samples.end() && it->first <= range.max_ms; ++it) {
      kept[labels].insert(*it);
    }
  }
  return kept;
}

// The first difference, for a person to read.
std::string Difference(const Model& got, const Model& want) {
  for (const auto& [labels, samples] : want) {
    const auto it = got.find(labels);
    if (it == got.end()) return absl::StrCat("no ", labels.ToString());
    for (const auto& [time, stored] : samples) {
      const auto sample = it->second.find(time);
      if (sample == it->second.end()) {
        return absl::StrCat("no ", labels.ToString(), " at ", time);
      }
      if (sample->second != stored) {
        return absl::StrCat("another ", labels.ToString(), " at ", time);
      }
    }
    for (const auto& [time, stored] : it->second) {
      if (!samples.contains(time)) {
        return absl::StrCat("too many: ", labels.ToString(), " at ", time);
      }
    }
  }
  for (const auto& [labels, samples] : got) {
    if (!want.contains(labels)) {
      return absl::StrCat("too many: ", labels.ToString());
    }
  }
  return "";
}

// One database, its model, and the dice.
class History {
 public:
  explicit History(unsigned seed) : random_(seed) {
    options_.retention.time_ms = 0;
    options_.block_ms = Below(2) == 0 ? kHour : 2 * kHour;
    options_.samples_per_chunk = 5 + Below(116);
    options_.wal.segment_bytes = kWalPageBytes * (1 + Below(4));
    options_.wal.compression = static_cast<WalCompression>(Below(3));
    options_.start_times = seed % 2 == 1;
    for (int i = 0; i < 40; ++i) series_.push_back(NewSeries(i));
    Open();
  }

  void Step(int number) {
    const int dice = Below(1000);
    if (dice < 700) {
      Append();
    } else if (dice < 780) {
      Query();
    } else if (dice < 820) {
      Names();
    } else if (dice < 840) {
      Delete();
    } else if (dice < 850) {
      Do("flush", db_->Flush());
    } else if (dice < 900) {
      Do("maintain", db_->Maintain());
    } else if (dice < 910) {
      Do("clean tombstones", db_->CleanTombstones());
    } else if (dice < 925) {
      Restart();
    } else if (dice < 935) {
      Kill();
    } else if (dice < 940) {
      Crash();
    } else if (dice < 945) {
      OpenSnapshot();
    } else if (dice < 955) {
      OpenReadOnly();
    } else if (dice < 970) {
      series_[Pick()] = NewSeries(1000 + number);
    } else {
      CheckAll();
    }
  }

  void Finish() {
    CheckAll();
    Restart();
    CheckAll();
  }

  std::string log() const { return absl::StrJoin(log_, "\n"); }

 private:
  int Below(int bound) {
    return static_cast<int>(random_() % static_cast<unsigned>(bound));
  }
  std::size_t Pick() { return random_() % series_.size(); }

  model::Labels NewSeries(int number) {
    return {{"__name__", number % 3 == 0 ? "requests_total" : "temperature"},
            {"i", absl::StrCat(number)},
            {"zone", number % 5 == 0 ? "" : absl::StrCat("z", number % 4)}};
  }

  void Say(std::string what) {
    log_.push_back(std::move(what));
    constexpr std::size_t kKept = 60;
    if (log_.size() > kKept) log_.erase(log_.begin());
  }

  void Open() {
    registry_ = std::make_unique<metrics::Registry>();
    said_.clear();
    auto db = Db::Open(directory_->path(), options_,
                       base::Logger::ToString(&said_), clock_, *registry_);
    INFO(db.status());
    REQUIRE(db.ok());
    db_ = *std::move(db);
  }

  double NextValue(double last) {
    switch (Below(12)) {
      case 0:
        return model::StaleNan();
      case 1:
        return std::numeric_limits<double>::infinity();
      case 2:
        return -0.0;
      case 3:
        return static_cast<double>(random_()) * 1e-7;
      case 4:
        return last;
      default:
        return static_cast<double>(Below(100000));
    }
  }

  // Of a third of the series, which begin anew at times.
  std::int64_t NextStart(std::size_t series) {
    if (!options_.start_times || series % 3 != 0) return 0;
    if (Below(30) == 0) starts_[series] = time_ - Below(1000);
    return Below(30) == 0 ? 0 : starts_[series];
  }

  void Append() {
    const std::int64_t step = Below(40) == 0 ? 5 * kHour : 5 * kMinute;
    time_ += 1 + static_cast<std::int64_t>(random_()) % step;
    clock_.Advance(step);
    struct Tried {
      const model::Labels* labels;
      RefSample sample;
      std::int64_t start_ms;
    };
    std::vector<Tried> tried;
    std::vector<RefSample> samples;
    std::vector<std::int64_t> starts_ms;
    std::set<std::size_t> used;
    const std::size_t count = 1 + random_() % series_.size();
    while (used.size() < count) {
      const std::size_t i = Pick();
      if (!used.insert(i).second) continue;
      const auto ref = db_->GetOrCreateSeries(series_[i]);
      REQUIRE(ref.ok());
      asked_for_.insert(series_[i]);
      // Now and then an old or repeated one.
      std::int64_t time = time_;
      if (Below(20) == 0) time -= static_cast<std::int64_t>(Below(3)) * kHour;
      const auto last = last_.find(series_[i]);
      // One that was deleted may be taken for the newest, which it still is.
      const auto known = model_.find(series_[i]);
      if (Below(50) == 0 && known != model_.end() &&
          known->second.contains(last->second)) {
        time = last->second;
      }
      samples.push_back({*ref, time, NextValue(1)});
      starts_ms.push_back(NextStart(i));
      tried.push_back({&series_[i], samples.back(), starts_ms.back()});
    }
    std::vector<storage::Rejection> rejected;
    AppendBatch batch;
    batch.samples = samples;
    batch.starts_ms = starts_ms;
    const absl::Status status = db_->Append(batch, &rejected);
    INFO(status);
    REQUIRE(status.ok());
    Say(absl::StrCat("append ", samples.size(), " at ", time_, ", rejected ",
                     rejected.size()));
    std::map<std::size_t, storage::RejectReason> reasons;
    for (const storage::Rejection& one : rejected) {
      reasons[one.index] = one.reason;
    }
    // The first sample of an empty head sets its clock: Prometheus refuses what
    // is half a block older, even in the same batch.
    const std::int64_t must_from =
        std::max(newest_ + 1, samples[0].timestamp_ms - options_.block_ms / 2);
    for (std::size_t i = 0; i < tried.size(); ++i) {
      const auto reason = reasons.find(i);
      Judge(*tried[i].labels, tried[i].sample, tried[i].start_ms, must_from,
            reason == reasons.end() ? std::nullopt
                                    : std::optional(reason->second));
    }
    newest_ = std::max(newest_, time_);
  }

  // What may and what must become of a sample; those from `must_from` on are
  // to be taken.
  void Judge(const model::Labels& labels, const RefSample& sample,
             std::int64_t start_ms, std::int64_t must_from,
             std::optional<storage::RejectReason> rejected) {
    const auto last = last_.find(labels);
    const std::uint64_t bits = std::bit_cast<std::uint64_t>(sample.value);
    INFO(labels.ToString() << " at " << sample.timestamp_ms);
    if (rejected.has_value()) {
      INFO(static_cast<int>(*rejected));
      REQUIRE(sample.timestamp_ms < must_from);
      if (*rejected == storage::RejectReason::kOutOfOrder) {
        REQUIRE(last != last_.end());
        REQUIRE(sample.timestamp_ms < last->second);
      }
      return;
    }
    if (last != last_.end() && sample.timestamp_ms <= last->second) {
      // Only what is stored already, or was deleted, can be taken again.
      const Samples& known = model_[labels];
      const auto it = known.find(sample.timestamp_ms);
      REQUIRE((it == known.end() || it->second.bits == bits));
      if (it == known.end()) REQUIRE(deleted_.contains(labels));
    }
    // One that is stored already stays as it is.
    model_[labels].try_emplace(sample.timestamp_ms, Stored{bits, start_ms});
    std::int64_t& newest = last_[labels];
    newest = std::max(newest, sample.timestamp_ms);
  }

  storage::TimeRange SomeRange() {
    const std::int64_t span = time_ - kStart + kHour;
    const std::int64_t a = kStart + static_cast<std::int64_t>(random_()) % span;
    const std::int64_t b = a + static_cast<std::int64_t>(random_()) %
                                   (Below(2) == 0 ? kHour : span);
    return Below(10) == 0 ? kAllTime : storage::TimeRange{a, b};
  }

  std::vector<model::Matcher> SomeMatchers() {
    switch (Below(7)) {
      case 0:
        return {};
      case 1:
        return {Match("__name__", "=", "temperature")};
      case 2:
        return {Match("__name__", "=", "requests_total"),
                Match("zone", "!=", "z1")};
      case 3:
        return {Match("i", "=~", "1.*"), Match("zone", "=~", "z[02]|")};
      case 4:
        return {Match("zone", "=", "")};
      case 5:
        return {Match("i", "!~", "[0-5].*")};
      default:
        return {Match("i", "=", series_[Pick()].Get("i"))};
    }
  }

  void Query() {
    const storage::TimeRange range = SomeRange();
    const auto matchers = SomeMatchers();
    CheckEqual(ReadModel(*db_, range, matchers),
               FilterModel(model_, range, matchers));
  }

  // Names may be those of series whose samples lie just outside of the range
  // or were refused, but no others, and none may be missing.
  void Names() {
    const storage::TimeRange range = SomeRange();
    const auto matchers = SomeMatchers();
    std::set<std::string> least_names;
    std::set<std::string> least_values;
    std::set<std::string> most_values;
    for (const auto& [labels, samples] : FilterModel(model_, range, matchers)) {
      for (const model::Label& label : labels) least_names.emplace(label.name);
      if (labels.Has("i")) least_values.emplace(labels.Get("i"));
    }
    for (const model::Labels& labels : asked_for_) {
      if (model::MatchesAll(matchers, labels)) {
        most_values.emplace(labels.Get("i"));
      }
    }
    const auto names = db_->LabelNames(range, {matchers}, 0);
    const auto values = db_->LabelValues("i", range, {matchers}, 0);
    REQUIRE(names.ok());
    REQUIRE(values.ok());
    REQUIRE(std::is_sorted(names->begin(), names->end()));
    REQUIRE(std::is_sorted(values->begin(), values->end()));
    REQUIRE(std::includes(names->begin(), names->end(), least_names.begin(),
                          least_names.end()));
    REQUIRE(std::includes(values->begin(), values->end(), least_values.begin(),
                          least_values.end()));
    REQUIRE(std::includes(most_values.begin(), most_values.end(),
                          values->begin(), values->end()));
  }

  void Delete() {
    const storage::TimeRange range = SomeRange();
    const auto matchers = SomeMatchers();
    Do(absl::StrCat("delete ", range.min_ms, "..", range.max_ms, " of ",
                    matchers.empty() ? "" : matchers[0].ToString()),
       db_->DeleteSeries(range, matchers));
    for (auto& [labels, samples] : model_) {
      if (!model::MatchesAll(matchers, labels)) continue;
      deleted_.insert(labels);
      samples.erase(samples.lower_bound(range.min_ms),
                    samples.upper_bound(range.max_ms));
    }
    std::erase_if(model_, [](const auto& one) { return one.second.empty(); });
  }

  void Do(std::string what, const absl::Status& status) {
    Say(std::move(what));
    INFO(status);
    REQUIRE(status.ok());
  }

  void Restart() {
    Do("restart", db_->Close());
    db_.reset();
    const auto report = VerifyDirectory(directory_->path());
    REQUIRE(report.ok());
    REQUIRE(report->findings == std::vector<std::string>());
    OpenAgain();
  }

  // Goes on with what a killed process leaves.
  void Crash() {
    auto copy = std::make_unique<base::TemporaryDirectory>();
    CopyInto(*copy);
    Do("crash", db_->Close());
    db_.reset();
    directory_ = std::move(copy);
    OpenAgain();
  }

  void OpenAgain() {
    options_.memory_snapshot = Below(3) != 0;
    Say(options_.memory_snapshot ? "open with snapshots" : "open");
    Open();
    CheckAll();
    CheckSnapshotWasGood(*registry_);
  }

  void CheckSnapshotWasGood(const metrics::Registry& registry) {
    INFO(said_);
    REQUIRE(
        absl::StrContains(registry.Expose(),
                          "\nprometheus_tsdb_snapshot_replay_error_total 0\n"));
  }

  void CopyInto(const base::TemporaryDirectory& copy) const {
    fs::copy(
        directory_->path(), copy.path(),
        fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  }

  // What a killed process leaves is what the kernel has by now.
  void Kill() {
    Say("kill");
    const base::TemporaryDirectory copy;
    CopyInto(copy);
    DbOptions options = options_;
    for (int round = 0; round < 3; ++round) {
      options.memory_snapshot = Below(3) != 0;
      metrics::Registry registry;
      said_.clear();
      auto db = Db::Open(copy.path(), options, base::Logger::ToString(&said_),
                         clock_, registry);
      INFO(db.status());
      REQUIRE(db.ok());
      CheckEqual(ReadModel(**db, kAllTime, {}), model_);
      CheckSnapshotWasGood(registry);
      REQUIRE((*db)->Maintain().ok());
    }
  }

  void OpenSnapshot() {
    const base::TemporaryDirectory parent;
    const std::string path = parent.path() + "/snapshot";
    Do("snapshot", db_->Snapshot(path, /*skip_head=*/false));
    CheckReadOnly(path);
    const auto report = VerifyDirectory(path);
    REQUIRE(report.ok());
    REQUIRE(report->findings == std::vector<std::string>());
  }

  void OpenReadOnly() { CheckReadOnly(directory_->path()); }

  void CheckReadOnly(const std::string& path) {
    DbOptions options = options_;
    options.read_only = true;
    metrics::Registry registry;
    auto db =
        Db::Open(path, options, base::Logger::Discard(), clock_, registry);
    INFO(db.status());
    REQUIRE(db.ok());
    CheckEqual(ReadModel(**db, kAllTime, {}), model_);
    REQUIRE(absl::IsFailedPrecondition((*db)->Flush()));
  }

  void CheckAll() { CheckEqual(ReadModel(*db_, kAllTime, {}), model_); }

  void CheckEqual(const Model& got, const Model& want) {
    if (got == want) return;
    FAIL(Difference(got, want) << "\nafter\n" << log() << "\nsaid\n" << said_);
  }

  std::mt19937 random_;
  DbOptions options_;
  std::unique_ptr<base::TemporaryDirectory> directory_ =
      std::make_unique<base::TemporaryDirectory>();
  base::FakeClock clock_{kStart};
  std::unique_ptr<metrics::Registry> registry_;
  std::string said_;  // By the database that was opened last.
  std::unique_ptr<Db> db_;

  std::vector<model::Labels> series_;
  Model model_;
  std::map<model::Labels, std::int64_t> last_;
  std::set<model::Labels> deleted_;
  std::set<model::Labels> asked_for_;  // Also those whose samples were refused.
  std::map<std::size_t, std::int64_t> starts_;  // By place in series_.
  std::int64_t time_ = kStart;
  std::int64_t newest_ = kStart - 1;
  std::vector<std::string> log_;
};

TEST_CASE("whatever happens, a database answers as a plain model of it") {
  const int only = FromEnvironment("NARTHEX_PROPERTY_SEED", -1);
  const int steps = FromEnvironment("NARTHEX_PROPERTY_STEPS", 400);
  const int seed = only >= 0 ? only : GENERATE(range(0, 6));
  INFO("NARTHEX_PROPERTY_SEED=" << seed);
  History history(static_cast<unsigned>(seed));
  for (int step = 0; step < steps; ++step) {
    INFO("step " << step);
    history.Step(step);
  }
  history.Finish();
}

}  // namespace
}  // namespace narthex::tsdb
