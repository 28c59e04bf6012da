#include "services/scraper/scrape_loop.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <optional>

#include "libs/http/router.h"
#include "libs/http/server.h"
#include "services/scraper/test_storage.h"

namespace narthex::scraper {
namespace {

// A target that answers with `body` and `status`, and a loop that scrapes it
// tick by tick.
struct Rig {
  Rig() {
    router.Handle("GET", "/metrics",
                  [this](const http::Request&, http::Response& response) {
                    while (hold) std::this_thread::yield();
                    response.Send(status, "text/plain", body);
                  });
    server = http::Server::Start({}, router, base::Logger::Discard()).value();
    Configure();
    Target target;
    target.labels = model::Labels{{"job", "j"}};
    target.url = "http://" + server->address() + "/metrics";
    target.interval_ms = 1000;
    target.timeout_ms = 900;
    loop = std::make_shared<ScrapeLoop>(
        target, settings, std::make_shared<SeriesBudget>(), context);
  }

  void Configure() {
    auto changed = std::make_shared<ScrapeSettings>();
    changed->config = config;
    changed->client = std::make_shared<http::ClientConfig>();
    settings = changed;
  }

  // Ends what is under way while all that it needs is there, as the app does.
  ~Rig() {
    client.reset();
    workers.reset();
  }

  // Ticks and waits until the scrape is over.
  std::optional<std::int64_t> Tick() {
    clock.Advance(1000);
    const auto next = loop->Tick(clock.NowMs());
    while (!loop->idle()) std::this_thread::yield();
    return next;
  }

  double Last(const std::string& series) {
    const model::SampleColumns samples = storage.Read(series);
    REQUIRE_FALSE(samples.empty());
    return samples.values.back();
  }

  std::atomic<bool> hold{false};
  int status = 200;
  std::string body = "a 1\n";
  http::Router router;
  std::unique_ptr<http::Server> server;
  base::FakeClock clock{1'000'000};
  metrics::Registry registry;
  Metrics metrics{registry};
  TestStorage storage;
  MetadataPool pool;
  config::ScrapeConfig config;
  std::shared_ptr<const ScrapeSettings> settings;
  std::optional<WorkerPool> workers{std::in_place, 2};
  std::unique_ptr<http::Client> client = std::make_unique<http::Client>();
  LoopContext context{*client, storage.writer(),       *workers, pool, metrics,
                      clock,   base::Logger::Discard()};
  std::shared_ptr<ScrapeLoop> loop;
};

}  // namespace

TEST_CASE("a scrape stores the samples and reports on itself") {
  Rig rig;
  rig.body = "a 1\nb 2\n";
  CHECK(rig.Tick() == 1'002'000);
  CHECK(rig.Last("a{job=\"j\"}") == 1);
  CHECK(rig.Last("up{job=\"j\"}") == 1);
  CHECK(rig.Last("scrape_samples_scraped{job=\"j\"}") == 2);
  CHECK(rig.Last("scrape_samples_post_metric_relabeling{job=\"j\"}") == 2);
  CHECK(rig.Last("scrape_series_added{job=\"j\"}") == 2);
  CHECK(rig.storage.Read("a{job=\"j\"}").timestamps_ms ==
        std::vector<std::int64_t>{1'001'000});
  CHECK(rig.loop->state().health == ScrapeState::Health::kUp);
}

TEST_CASE("a target that fails is down, with the reason, until it returns") {
  Rig rig;
  rig.Tick();
  rig.status = 404;
  rig.Tick();
  CHECK(rig.Last("up{job=\"j\"}") == 0);
  CHECK(model::IsStaleNan(rig.Last("a{job=\"j\"}")));
  CHECK(rig.loop->state().last_error ==
        "server returned HTTP status 404 Not Found");
  rig.status = 200;
  rig.body = "a{ 1\n";
  rig.Tick();
  CHECK(rig.loop->state().last_error.find("line 1") != std::string::npos);
  rig.body = "a 3\n";
  rig.Tick();
  CHECK(rig.Last("up{job=\"j\"}") == 1);
  CHECK(rig.Last("a{job=\"j\"}") == 3);
  CHECK(rig.loop->state().last_error.empty());
}

TEST_CASE("a retired target's series end as of its first missed tick") {
  Rig rig;
  rig.Tick();
  rig.loop->Retire();
  CHECK(rig.loop->Tick(1'002'000) == 1'003'100);
  CHECK(rig.loop->Tick(1'003'100) == std::nullopt);
  const std::weak_ptr<ScrapeLoop> ended = rig.loop;
  rig.loop.reset();
  while (!ended.expired()) std::this_thread::yield();
  for (const char* series :
       {"a{job=\"j\"}", "up{job=\"j\"}", "scrape_series_added{job=\"j\"}"}) {
    const model::SampleColumns samples = rig.storage.Read(series);
    REQUIRE(samples.size() == 2);
    CHECK(samples.timestamps_ms.back() == 1'002'000);
    CHECK(model::IsStaleNan(samples.values.back()));
  }
}

TEST_CASE("a tick during a scrape is made up for right after it") {
  Rig rig;
  rig.hold = true;
  rig.clock.Advance(1000);
  CHECK(rig.loop->Tick(1'001'000) == 1'002'000);
  CHECK(rig.loop->Tick(1'002'000) == 1'002'010);
  CHECK(rig.loop->Tick(1'002'010) == 1'002'020);
  CHECK(rig.metrics.scrapes_late.value() == 1);
  rig.hold = false;
  while (!rig.loop->idle()) std::this_thread::yield();
  rig.clock.Advance(1020);
  CHECK(rig.loop->Tick(1'002'020) == 1'003'000);
  while (!rig.loop->idle()) std::this_thread::yield();
  CHECK(rig.storage.Read("a{job=\"j\"}").timestamps_ms ==
        std::vector<std::int64_t>{1'001'000, 1'002'020});
}

TEST_CASE("a scrape that the end of the process interrupts leaves no trace") {
  Rig rig;
  rig.hold = true;
  rig.clock.Advance(1000);
  rig.loop->Tick(1'001'000);
  rig.client.reset();
  while (!rig.loop->idle()) std::this_thread::yield();
  rig.hold = false;
  CHECK(rig.storage.Series().empty());
}

TEST_CASE("another interval calls for another plan, other settings do not") {
  Rig rig;
  Target target = rig.loop->target();
  target.timeout_ms = 800;
  CHECK_FALSE(rig.loop->Update(target, rig.settings));
  const std::uint32_t plan = rig.loop->plan();
  target.interval_ms = 60'000;
  CHECK(rig.loop->Update(target, rig.settings));
  CHECK(rig.loop->plan() != plan);
  CHECK(rig.loop->FirstTick(1'000'000) == 1'020'000);
}

TEST_CASE("a large packed body is unpacked by a worker, up to the limit") {
  Rig rig;
  rig.config.extra_scrape_metrics = true;
  rig.body.clear();
  for (int i = 0; i < 30'000; ++i) absl::StrAppend(&rig.body, "a_", i, " 1\n");
  rig.config.limits.body_size_bytes = rig.body.size() + 1;
  rig.Configure();
  rig.loop->Update(rig.loop->target(), rig.settings);
  rig.Tick();
  CHECK(rig.Last("scrape_samples_scraped{job=\"j\"}") == 30'000);
  CHECK(rig.Last("scrape_body_size_bytes{job=\"j\"}") ==
        static_cast<double>(rig.body.size()));
  rig.config.limits.body_size_bytes = rig.body.size();
  rig.Configure();
  rig.loop->Update(rig.loop->target(), rig.settings);
  rig.Tick();
  CHECK(rig.loop->state().last_error == "body size limit exceeded");
}

TEST_CASE("a body without room fails its scrape, packed or not") {
  Rig rig;
  http::BodyBudget bodies(1 << 20);
  rig.context.bodies = &bodies;
  rig.config.enable_compression = GENERATE(false, true);
  rig.Configure();
  rig.loop->Update(rig.loop->target(), rig.settings);
  rig.Tick();
  CHECK(rig.Last("up{job=\"j\"}") == 1);
  while (rig.body.size() < 2 << 20) rig.body += "a 1\n";
  rig.Tick();
  CHECK(rig.Last("up{job=\"j\"}") == 0);
  CHECK_THAT(rig.loop->state().last_error,
             Catch::StartsWith("no room for the body: all bodies under way"));
  CHECK(bodies.refused() == 1);
  CHECK(bodies.used_bytes() == 0);
}

TEST_CASE("limits fail the scrape and are counted") {
  Rig rig;
  rig.config.limits.samples = 1;
  rig.config.extra_scrape_metrics = true;
  rig.Configure();
  rig.loop->Update(rig.loop->target(), rig.settings);
  rig.body = "a 1\nb 2\n";
  rig.Tick();
  CHECK(rig.Last("up{job=\"j\"}") == 0);
  CHECK(rig.metrics.exceeded_sample_limit.value() == 1);
  rig.config.limits.samples = 0;
  rig.config.limits.body_size_bytes = rig.body.size();
  rig.Configure();
  rig.loop->Update(rig.loop->target(), rig.settings);
  rig.Tick();
  CHECK(rig.loop->state().last_error == "body size limit exceeded");
  CHECK(rig.metrics.exceeded_body_size_limit.value() == 1);
  CHECK(rig.Last("scrape_body_size_bytes{job=\"j\"}") == -1);
  CHECK(rig.Last("scrape_timeout_seconds{job=\"j\"}") == 0.9);
  rig.config.limits.body_size_bytes = 0;
  rig.Configure();
  rig.loop->Update(rig.loop->target(), rig.settings);
  rig.body = "a 1\n!\n";
  rig.Tick();
  CHECK(rig.Last("scrape_body_size_bytes{job=\"j\"}") == 6);
  rig.status = 500;
  rig.Tick();
  CHECK(rig.Last("scrape_body_size_bytes{job=\"j\"}") == 0);
}

TEST_CASE("a forced error is reported without a request") {
  Rig rig;
  rig.loop->SetForcedError(absl::FailedPreconditionError("too many targets"));
  rig.Tick();
  CHECK(rig.Last("up{job=\"j\"}") == 0);
  CHECK(rig.loop->state().last_error == "too many targets");
}

}  // namespace narthex::scraper
