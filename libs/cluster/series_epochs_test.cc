#include "libs/cluster/internal/series_epochs.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <deque>
#include <thread>

#include "libs/cluster/fake_ingester.h"

namespace narthex::cluster::internal {
namespace {

struct Fixture {
  storage::SeriesRef Declare() { return table.Declare(Named(++last)); }

  int last = 0;
  SeriesTable table{1};
  SeriesEpochs epochs{table};
};

}  // namespace

TEST_CASE("a released reference is freed at once when nothing is on its way") {
  Fixture f;
  const storage::SeriesRef ref = f.Declare();
  f.epochs.Release({ref});
  CHECK(f.epochs.held() == 0);
  CHECK(f.table.size() == 0);
  CHECK(f.Declare() == ref);
}

TEST_CASE("released references outlive all that was pushed before") {
  Fixture f;
  auto first = f.epochs.Current();
  f.epochs.Release({f.Declare()});
  auto second = f.epochs.Current();
  f.epochs.Release({f.Declare()});
  f.epochs.Release({f.Declare()});
  const auto later = f.epochs.Current();
  CHECK(f.table.size() == 3);
  SECTION("which goes in its order") {
    first.reset();
    CHECK(f.table.size() == 2);
    CHECK(f.epochs.held() == 2);
    second.reset();
  }
  SECTION("which goes in another order") {
    second.reset();
    CHECK(f.table.size() == 3);
    CHECK(f.epochs.held() == 3);
    first.reset();
  }
  CHECK(f.table.size() == 0);
  CHECK(f.epochs.held() == 0);
}

TEST_CASE("any number of epochs may wait for the first") {
  Fixture f;
  auto first = f.epochs.Current();
  std::deque<std::shared_ptr<const void>> others;
  for (int i = 0; i < 200'000; ++i) {
    f.epochs.Release({f.Declare()});
    if (i % 2 == 0) others.push_back(f.epochs.Current());
  }
  for (int i = 0; i < 50'000; ++i) others.pop_front();
  CHECK(f.epochs.held() == 200'000);
  first.reset();
  CHECK(f.epochs.held() == 100'000 - 1);
  while (!others.empty()) others.pop_back();
  CHECK(f.table.size() == 0);
}

TEST_CASE("no reference is given away while it is held by any thread") {
  Fixture f;
  struct Pushed {
    std::shared_ptr<const void> epoch;
    storage::SeriesRef ref;
    std::uint64_t hash;
  };
  std::atomic<bool> kept{true};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&f, &kept, t] {
      std::deque<Pushed> on_its_way;
      for (int i = 0; i < 5'000; ++i) {
        const model::Labels labels = Named(t * 10'000 + i);
        const storage::SeriesRef ref = f.table.Declare(labels);
        on_its_way.push_back({f.epochs.Current(), ref, labels.Hash()});
        f.epochs.Release({ref});
        while (on_its_way.size() > static_cast<std::size_t>(i % 7)) {
          const Pushed& one = on_its_way.front();
          if (f.table.HashOf(one.ref) != one.hash) kept = false;
          on_its_way.pop_front();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(kept);
  CHECK(f.table.size() == 0);
  CHECK(f.epochs.held() == 0);
}

}  // namespace narthex::cluster::internal
