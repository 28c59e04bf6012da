#include "libs/tsdb/time_tracks.h"

#include <catch2/catch.hpp>
#include <limits>
#include <random>
#include <vector>

namespace narthex::tsdb {
namespace {

constexpr ChunkRules kRules{2 * 60 * 60 * 1000, 120};
constexpr std::int64_t kStart = 1700006400000;
using Times = std::vector<std::int64_t>;

struct Follower {
  TimeTracks::Handle track = TimeTracks::kNone;
  Times times;
};

struct Tracks {
  base::BlockArena arena;
  TimeTracks tracks{arena};

  // False when the time belongs into the next chunk.
  bool Add(Follower* follower, std::int64_t ms) {
    if (follower->times.empty()) {
      follower->track = tracks.Begin(ms, kRules);
    } else {
      const auto step =
          tracks.Follow(follower->track,
                        static_cast<int>(follower->times.size()), ms, kRules);
      if (step.track == TimeTracks::kNone) return false;
      follower->track = step.track;
    }
    follower->times.push_back(ms);
    return true;
  }
  Times TimesOf(const Follower& follower) const {
    Times times(follower.times.size());
    tracks.Decode(follower.track, static_cast<int>(times.size()), times.data());
    return times;
  }
  void Check(const Follower& follower) const {
    const int count = static_cast<int>(follower.times.size());
    REQUIRE(TimesOf(follower) == follower.times);
    REQUIRE(tracks.first_ms(follower.track) == follower.times.front());
    REQUIRE(tracks.LastMs(follower.track, count) == follower.times.back());
  }
};

TEST_CASE("series with the same times follow one track") {
  Tracks t;
  std::vector<Follower> series(10);
  for (int i = 0; i < 100; ++i) {
    for (Follower& one : series) CHECK(t.Add(&one, kStart + i * 15000 + i % 3));
  }
  for (const Follower& one : series) {
    CHECK(one.track == series[0].track);
    t.Check(one);
  }
  for (const Follower& one : series) t.tracks.Leave(one.track);
  CHECK(t.arena.used_bytes() == 0);
}

TEST_CASE("series that miss a time together share a track from then on") {
  Tracks t;
  std::vector<Follower> series(9);
  for (int i = 0; i < 50; ++i) {
    for (std::size_t s = 0; s < series.size(); ++s) {
      if (i == 20 && s % 3 == 1) continue;
      t.Add(&series[s], kStart + i * 15000);
    }
  }
  for (std::size_t s = 0; s < series.size(); ++s) {
    CHECK(series[s].track == series[s % 3 == 1 ? 1 : 0].track);
    t.Check(series[s]);
  }
  CHECK(series[0].track != series[1].track);
}

TEST_CASE("a series may follow its track from far behind") {
  Tracks t;
  Follower first;
  Follower second;
  for (int i = 0; i < 100; ++i) t.Add(&first, kStart + i * 1000 + i % 7);
  for (int i = 0; i < 100; ++i) {
    t.Add(&second, kStart + i * 1000 + i % 7);
    t.Check(second);
  }
  CHECK(second.track == first.track);
  t.tracks.Leave(first.track);
  t.Check(second);
}

TEST_CASE("times of all kinds come back") {
  std::mt19937_64 random(5);
  for (int round = 0; round < 200; ++round) {
    Tracks t;
    std::vector<Follower> series(1 + random() % 8);
    const auto jitter =
        std::vector<std::uint64_t>{1, 5, 70'000, 3'000'000}[random() % 4];
    const auto misses = 2 + random() % 50;
    auto time = static_cast<std::int64_t>(random() % 4'000'000'000'000) -
                2'000'000'000'000;
    for (int i = 0; i < 150; ++i) {
      for (Follower& one : series) {
        if (random() % misses == 0) continue;
        // Some have times of their own.
        const auto own = static_cast<std::int64_t>(random() % misses == 1);
        if (!one.times.empty() && time + own <= one.times.back()) continue;
        if (t.Add(&one, time + own)) continue;
        t.Check(one);
        t.tracks.Leave(one.track);
        one = Follower();
        REQUIRE(t.Add(&one, time + own));
      }
      time += 2 + static_cast<std::int64_t>(random() % jitter);
    }
    for (const Follower& one : series) {
      if (one.times.empty()) continue;
      t.Check(one);
      t.tracks.Leave(one.track);
    }
    REQUIRE(t.arena.used_bytes() == 0);
  }
}

TEST_CASE("a chunk ends at the edges of blocks and before a delta of 32 bits") {
  Tracks t;
  Follower one;
  CHECK(t.Add(&one, kStart - 1));
  CHECK(!t.Add(&one, kStart));
  Follower early;
  CHECK(t.Add(&early, std::numeric_limits<std::int64_t>::min()));
  CHECK(!t.Add(&early, 0));
  Follower late;
  CHECK(t.Add(&late, std::numeric_limits<std::int64_t>::max() - 1));
  CHECK(!t.Add(&late, std::numeric_limits<std::int64_t>::max()));
}

}  // namespace
}  // namespace narthex::tsdb
