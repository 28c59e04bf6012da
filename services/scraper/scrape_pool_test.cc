#include "services/scraper/scrape_pool.h"

#include <catch2/catch.hpp>
#include <optional>

#include "services/scraper/test_storage.h"

namespace narthex::scraper {
namespace {

// A pool of one target, where nobody listens.
struct Pool {
  Pool() {
    auto group = std::make_shared<discovery::TargetGroup>();
    group->targets = {model::Labels{{"__address__", "127.0.0.1:1"}}};
    groups.push_back(std::move(group));
  }
  // Ends what is under way while all that it needs is there, as the app does.
  ~Pool() {
    scheduler.Stop();
    client.reset();
    workers.reset();
  }

  std::shared_ptr<const ScrapeSettings> Settings(std::int64_t interval_ms) {
    auto settings = std::make_shared<ScrapeSettings>();
    // Not from a literal: GCC 12 warns of an overlap that cannot be.
    settings->config.job_name = std::string("j");
    settings->config.scrape_interval_ms = interval_ms;
    settings->config.scrape_timeout_ms = 1000;
    settings->client = std::make_shared<http::ClientConfig>();
    return settings;
  }

  base::FakeClock clock{1'000'000};
  metrics::Registry registry;
  Metrics metrics{registry};
  TestStorage storage;
  MetadataPool metadata;
  std::optional<WorkerPool> workers{std::in_place, 2};
  std::optional<http::Client> client{std::in_place};
  LoopContext context{
      *client, storage.writer(),       *workers, metadata, metrics,
      clock,   base::Logger::Discard()};
  Scheduler scheduler{clock};
  discovery::TargetGroups groups;
  ScrapePool pool{Settings(3'600'000), Shard{}, scheduler, context};
};

}  // namespace

TEST_CASE("shards are written i/n") {
  CHECK(ParseShard("1/3")->index() == 1);
  CHECK(ParseShard("1/3")->count() == 3);
  for (const char* bad : {"", "1", "3/3", "-1/2", "a/b", "0/0"}) {
    INFO(bad);
    CHECK_FALSE(ParseShard(bad).ok());
  }
}

namespace {

// Which shard of `count` owns each of many targets.
std::vector<std::uint64_t> Owners(std::uint64_t count) {
  std::vector<Shard> shards;
  for (std::uint64_t s = 0; s < count; ++s) shards.emplace_back(s, count);
  std::vector<std::uint64_t> owners;
  for (std::uint64_t i = 0; i < 3000; ++i) {
    const std::uint64_t hash = i * 0x9e3779b97f4a7c15ULL;
    int owning = 0;
    for (const Shard& shard : shards) {
      if (!shard.Owns(hash)) continue;
      ++owning;
      owners.push_back(shard.index());
    }
    REQUIRE(owning == 1);
  }
  return owners;
}

}  // namespace

TEST_CASE("every target has one shard, and only those of a new one move") {
  // Read the other way round: loss of a shard moves its targets only.
  for (std::uint64_t count = 1; count < 6; ++count) {
    INFO(count << " and one more");
    const auto before = Owners(count);
    const auto after = Owners(count + 1);
    std::size_t moved = 0;
    for (std::size_t i = 0; i < before.size(); ++i) {
      if (before[i] == after[i]) continue;
      ++moved;
      CHECK(after[i] == count);
    }
    const double share = 3000.0 / static_cast<double>(count + 1);
    CHECK(static_cast<double>(moved) > 0.8 * share);
    CHECK(static_cast<double>(moved) < 1.2 * share);
  }
}

TEST_CASE("a shorter interval takes effect without the longer one's end") {
  Pool p;
  p.pool.Sync(p.groups);
  const auto loop = p.pool.loops().at(0);
  p.pool.Update(p.Settings(1000));
  p.pool.Sync(p.groups);
  CHECK(p.pool.loops().at(0) == loop);
  while (loop->state().health == ScrapeState::Health::kUnknown) {
    p.clock.Advance(1);
    std::this_thread::yield();
  }
  // The clock may have run on before the scrape began.
  CHECK(loop->state().last_scrape_ms < 1'600'000);
}

TEST_CASE("shards share what is dropped and one limit of targets") {
  Pool p;
  auto group = std::make_shared<discovery::TargetGroup>();
  for (int port = 1; port <= 40; ++port) {
    group->targets.push_back(
        model::Labels{{"__address__", "127.0.0.1:" + std::to_string(port)},
                      {"drop", port % 2 == 0 ? "yes" : "no"}});
  }
  p.groups = {group};
  auto settings = std::make_shared<ScrapeSettings>(*p.Settings(3'600'000));
  relabel::Config drop;
  drop.source_labels = {"drop"};
  drop.regex = "yes";
  drop.action = "drop";
  settings->config.relabel_configs = {
      relabel::Rule::Create(drop, relabel::NameValidation::kUtf8).value()};
  std::size_t scraped = 0;
  std::uint64_t dropped = 0;
  std::size_t kept = 0;
  settings->config.keep_dropped_targets = 9;
  for (std::uint64_t i = 0; i < 3; ++i) {
    settings->config.limits.targets = 19;
    ScrapePool shard(settings, Shard(i, 3), p.scheduler, p.context);
    shard.Sync(p.groups);
    scraped += shard.loops().size();
    dropped += shard.dropped_count();
    kept += shard.dropped().size();
    CHECK(p.metrics.exceeded_target_limit.value() ==
          static_cast<double>(i + 1));
    shard.Retire();
  }
  CHECK(scraped == 20);
  CHECK(dropped == 20);
  CHECK(kept == 9);
}

TEST_CASE("what a pool counts is there before it happens") {
  Pool p;
  p.pool.Sync(p.groups);
  CHECK_THAT(
      p.registry.Expose(),
      Catch::Contains("prometheus_target_sync_failed_total{scrape_job=") &&
          Catch::Contains("prometheus_target_scrape_pool_sync_total"));
}

TEST_CASE("a retired pool starts no more loops") {
  Pool p;
  p.pool.Sync(p.groups);
  p.pool.Retire();
  p.pool.Sync(p.groups);
  CHECK(p.pool.loops().empty());
}

}  // namespace narthex::scraper
