#include "libs/promql/parallel_mapping.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/mutex.h"

namespace narthex::promql {
namespace {

/// Series 0, 1, 2 ... with that one value each.
class Numbers : public storage::SeriesSet {
 public:
  Numbers(int begin, int end, int fails_at = -1)
      : at_(begin - 1), end_(end), fails_at_(fails_at) {}

  bool Next() override {
    ++at_;
    if (at_ == fails_at_) status_ = absl::DataLossError("a bad chunk");
    return at_ < end_ && status_.ok();
  }
  std::unique_ptr<storage::Series> At() override {
    return std::make_unique<Number>(at_);
  }
  absl::Status status() const override { return status_; }

 private:
  class Number : public storage::Series {
   public:
    explicit Number(int number)
        : labels_({{"number", absl::StrCat(number)}}), number_(number) {}
    const model::Labels& labels() const override { return labels_; }
    absl::Status Read(model::SampleColumns* out) const override {
      out->Append(1, number_);
      return absl::OkStatus();
    }

   private:
    const model::Labels labels_;
    const int number_;
  };

  int at_;
  const int end_;
  const int fails_at_;
  absl::Status status_;
};

/// Lets the threads of one mapping meet.
struct Meeting {
  base::Mutex mutex;
  base::CondVar changed;
  int present ABSL_GUARDED_BY(mutex) = 0;

  void WaitFor(int threads) ABSL_LOCKS_EXCLUDED(mutex) {
    base::MutexLock lock(mutex);
    ++present;
    changed.NotifyAll();
    while (present < threads) changed.Wait(mutex);
  }
};

/// Keeps even numbers and warns of those that end in 8.
class Even : public SeriesMapper {
 public:
  Even(Tally* tally, Meeting* meeting, int fails_at)
      : tally_(tally), meeting_(meeting), fails_at_(fails_at) {}

  absl::StatusOr<bool> Map(model::Labels&, model::SampleColumns& samples,
                           Column* out) override {
    const int number = static_cast<int>(samples.values[0]);
    if (meeting_ != nullptr) {
      // Both threads are inside before either goes on.
      meeting_->WaitFor(2);
    }
    if (number >= fails_at_) {
      return absl::FailedPreconditionError(absl::StrCat("fails at ", number));
    }
    tally_->stats.seen.total += 1;
    if (number % 100 == 8) {
      tally_->annotations.Warn(absl::StrCat("eight: ", number / 100), {0, 1});
    }
    out->values = {samples.values[0]};
    return number % 2 == 0;
  }

 private:
  Tally* const tally_;
  Meeting* const meeting_;
  const int fails_at_;
};

struct Outcome {
  absl::Status status;
  std::vector<double> values;
  Tally tally;
};

struct Case {
  std::size_t helpers = 1;
  std::size_t batch = 7;
  int series = 1000;
  int map_fails_at = 1 << 30;
  int read_fails_at = -1;
  int sink_fails_at = 1 << 30;
  Meeting* meeting = nullptr;
  const std::atomic<bool>* cancelled = nullptr;
};

Outcome MapAll(const Case& c) {
  base::TaskPool pool(c.helpers);
  Numbers numbers(0, c.series, c.read_fails_at);
  Outcome outcome;
  const auto new_mapper = [&](Tally* tally) -> std::unique_ptr<SeriesMapper> {
    return std::make_unique<Even>(tally, c.meeting, c.map_fails_at);
  };
  const auto check = [&] {
    return c.cancelled != nullptr && c.cancelled->load()
               ? absl::CancelledError("cancelled")
               : absl::OkStatus();
  };
  const auto count = [&](Tally& tally) {
    outcome.tally.stats.Add(tally.stats);
    outcome.tally.annotations.Merge(tally.annotations);
    tally = Tally();
    return absl::OkStatus();
  };
  const auto sink = [&](Column& column) -> absl::Status {
    if (column.values[0] >= c.sink_fails_at) return absl::AbortedError("full");
    outcome.values.push_back(column.values[0]);
    return absl::OkStatus();
  };
  outcome.status =
      MapInParallel(numbers, new_mapper, {pool, c.batch, check, count}, sink);
  return outcome;
}

TEST_CASE("columns come in the order of their series, however many threads") {
  const std::size_t helpers = GENERATE(0u, 1u, 3u, 8u);
  const std::size_t batch = GENERATE(1u, 7u, 2000u);
  INFO(helpers << " helpers, batches of " << batch);
  Case c;
  c.helpers = helpers;
  c.batch = batch;

  const Outcome outcome = MapAll(c);

  REQUIRE(outcome.status.ok());
  REQUIRE(outcome.values.size() == 500);
  for (std::size_t i = 0; i < 500; ++i) {
    CHECK(outcome.values[i] == static_cast<double>(2 * i));
  }
  CHECK(outcome.tally.stats.seen.total == 1000);
  CHECK(outcome.tally.stats.series == 1000);
  const auto warnings = outcome.tally.annotations.Warnings("x");
  REQUIRE(warnings.size() == 10);
  CHECK(warnings[0] == "PromQL warning: eight: 0 (1:1)");
  CHECK(warnings[9] == "PromQL warning: eight: 9 (1:1)");
}

TEST_CASE("helpers map at the same time as the caller") {
  Meeting meeting;
  Case c;
  c.meeting = &meeting;

  CHECK(MapAll(c).status.ok());
}

TEST_CASE("the first error in the order of the series ends a mapping") {
  Case c;
  c.helpers = 3;

  SECTION("of a mapper") {
    c.map_fails_at = 321;
    const Outcome outcome = MapAll(c);
    CHECK(outcome.status == absl::FailedPreconditionError("fails at 321"));
    CHECK(outcome.values.size() == 161);
  }
  SECTION("of the selection") {
    c.read_fails_at = 700;
    CHECK(MapAll(c).status ==
          absl::DataLossError("expanding series: a bad chunk"));
  }
  SECTION("of whoever takes the columns") {
    c.sink_fails_at = 40;
    const Outcome outcome = MapAll(c);
    CHECK(outcome.status == absl::AbortedError("full"));
    CHECK(outcome.values.size() == 20);
  }
  SECTION("of being cancelled") {
    const std::atomic<bool> cancelled{true};
    c.cancelled = &cancelled;
    CHECK(absl::IsCancelled(MapAll(c).status));
  }
}

TEST_CASE("no series give no columns") {
  Case c;
  c.series = 0;
  const Outcome outcome = MapAll(c);
  CHECK(outcome.status.ok());
  CHECK(outcome.values.empty());
}

}  // namespace
}  // namespace narthex::promql
