#include <atomic>
#include <catch2/catch.hpp>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/promql/engine.h"
#include "libs/storage/memory_storage.h"

namespace narthex::promql {
namespace {

constexpr int kSeries = 1000;
constexpr int kSteps = 50;
constexpr std::int64_t kStepMs = 60'000;

/// Stands still. Whoever asks whether a query must end looks at the clock:
/// from the `n`th look on, it must.
class CountingClock : public base::FakeClock {
 public:
  CountingClock() : FakeClock(0) {}

  std::int64_t MonotonicNs() const override {
    if (++looks == cancel_at) cancelled = true;
    return FakeClock::MonotonicNs();
  }

  mutable std::int64_t looks = 0;
  std::int64_t cancel_at = -1;
  mutable std::atomic<bool> cancelled{false};
};

/// Notes at which look the last selection was made.
class NotedSelections : public storage::MemoryStorage {
 public:
  explicit NotedSelections(const CountingClock& clock) : clock_(clock) {}
  absl::StatusOr<std::unique_ptr<storage::SeriesSet>> Select(
      const storage::SelectHints& hints,
      const std::vector<model::Matcher>& matchers) override {
    last_select = clock_.looks;
    return MemoryStorage::Select(hints, matchers);
  }

  std::int64_t last_select = 0;

 private:
  const CountingClock& clock_;
};

struct Fixture {
  Fixture() : storage(clock) {
    for (int i = 0; i < kSeries; ++i) {
      model::SampleColumns samples;
      for (int k = 0; k < kSteps; ++k) samples.Append(k * kStepMs, i + k);
      for (const char* name : {"m", "n"}) {
        storage.Add(model::Labels({{"__name__", name},
                                   {"i", absl::StrCat(i)},
                                   {"le", absl::StrCat(i)}}),
                    samples);
      }
    }
  }

  absl::Status Run(const std::string& query, std::int64_t cancel_at = -1) {
    clock.looks = 0;
    clock.cancel_at = cancel_at;
    clock.cancelled = false;
    EngineOptions options;
    options.max_samples = 1'000'000'000;
    options.parser.experimental_functions = true;
    options.parser.fill_modifiers = true;
    Engine engine(options, clock);
    QueryOptions one;
    one.cancelled = &clock.cancelled;
    return engine.Range(storage, query, 0, (kSteps - 1) * kStepMs, kStepMs, one)
        .status();
  }

  CountingClock clock;
  NotedSelections storage;
};

struct Row {
  const char* query;
  /// How often all series pass, with what they hold, after the last of them
  /// began to be read; and how often with their labels only.
  int passes;
  int label_passes = 0;
};

}  // namespace

TEST_CASE("every loop over series looks up now and then") {
  // To read and to hand on n; to match both sides; to check, join and hand on.
  const Row row = GENERATE(
      Row{"m + n", 4, 2}, Row{"m + ignoring(le) n", 4, 2},
      Row{"m + on(i) group_left() n", 4, 2}, Row{"m == bool n", 4, 2},
      Row{"m + fill(0) n", 7, 2}, Row{"m and n", 4, 2}, Row{"m unless n", 4, 2},
      Row{"m or n", 6, 2}, Row{"m unless on() n", 4, 2},
      Row{"n and on() vector(1)", 3, 1},
      // All are of one group: nothing comes out but an error.
      Row{"n + on() vector(1)", 3, 1}, Row{"vector(1) + on() n", 2, 1},
      // Results of a range are turned into series of samples.
      Row{"n * 2", 3}, Row{"-n", 3}, Row{"n", 3},
      // They go through groups with all that they hold.
      Row{"topk(5, n)", 2, 1}, Row{"bottomk(5, n)", 2, 1},
      Row{"limitk(5, n)", 2, 1}, Row{"limit_ratio(0.5, n)", 3, 1},
      Row{"quantile(0.5, n)", 2}, Row{"count_values(\"v\", n)", 2, kSteps},
      Row{"histogram_quantile(0.5, n)", 2, 1},
      Row{"sort_by_label(n, \"i\")", 3});
  INFO(row.query);
  Fixture f;
  // What passes before a look, as Checkpoint has it, and a little more.
  constexpr int kWorth = 20'480;
  constexpr int kOfSeries = 256;
  const std::int64_t expected =
      row.passes * (kSeries * (kOfSeries + kSteps) / kWorth) +
      row.label_passes * (kSeries * kOfSeries / kWorth);

  const absl::Status status = f.Run(row.query);

  CHECK((status.ok() || absl::IsFailedPrecondition(status)));
  const std::int64_t looks = f.clock.looks;
  CHECK(looks - f.storage.last_select >= expected);

  // Whichever of them says so, it is the last thing that happens.
  const std::int64_t read = f.storage.last_select;
  for (const std::int64_t at :
       {read + expected / 4, read + expected / 2, read + expected}) {
    INFO("at look " << at << " of " << looks);
    CHECK(absl::IsCancelled(f.Run(row.query, at)));
    CHECK(f.clock.looks <= at + 1);
  }
}

}  // namespace narthex::promql
