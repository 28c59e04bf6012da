#include "services/scraper/scheduler.h"

#include <catch2/catch.hpp>
#include <optional>
#include <thread>

#include "services/scraper/test_storage.h"

namespace narthex::scraper {
namespace {

// A wall clock that can be set, beside a monotonic one that cannot.
class SettableClock : public base::Clock {
 public:
  std::int64_t NowMs() const override { return wall_ms_; }
  std::int64_t MonotonicNs() const override {
    return monotonic_ms_ * 1'000'000;
  }
  void WaitUntil(std::int64_t, base::CondVar& cond, base::Mutex& mutex) override
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    ++looks_;
    cond.WaitFor(mutex, std::chrono::milliseconds(1));
  }

  /// Returns when whoever waits for a time has looked at the new one.
  void Advance(std::int64_t ms) {
    wall_ms_ += ms;
    monotonic_ms_ += ms;
    // The first look may have begun before.
    const std::int64_t looked = looks_ + 2;
    const auto give_up =
        std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (looks_ < looked && std::chrono::steady_clock::now() < give_up) {
      std::this_thread::yield();
    }
  }
  void Set(std::int64_t wall_ms) { wall_ms_ = wall_ms; }

 private:
  std::atomic<std::int64_t> wall_ms_{1'000'000'000};
  std::atomic<std::int64_t> monotonic_ms_{5'000};
  std::atomic<std::int64_t> looks_{0};
};

}  // namespace

TEST_CASE("scrapes go on when the wall clock is set back or forward") {
  SettableClock clock;
  metrics::Registry registry;
  Metrics metrics(registry);
  TestStorage storage;
  MetadataPool metadata;
  std::optional<WorkerPool> workers(std::in_place, 1);
  std::optional<http::Client> client(std::in_place);
  LoopContext context{
      *client, storage.writer(),       *workers, metadata, metrics,
      clock,   base::Logger::Discard()};
  Target target;
  target.labels = model::Labels{{"job", "j"}};
  // Nobody listens there: the scrape fails, which is as good as any.
  target.url = "http://127.0.0.1:1/metrics";
  target.interval_ms = 1000;
  target.timeout_ms = 1000;
  auto settings = std::make_shared<ScrapeSettings>();
  settings->client = std::make_shared<http::ClientConfig>();
  const auto loop = std::make_shared<ScrapeLoop>(
      target, settings, std::make_shared<SeriesBudget>(), context);
  {
    Scheduler scheduler(clock);
    scheduler.Add(loop);
    for (const std::int64_t wall_ms :
         {1'000'000'000LL, 900'000'000LL, 2'000'000'000LL}) {
      INFO("wall clock at " << wall_ms);
      clock.Set(wall_ms);
      const double before = metrics.scrapes.value();
      // Two intervals of time.
      for (int i = 0; i < 40; ++i) clock.Advance(50);
      const auto give_up =
          std::chrono::steady_clock::now() + std::chrono::seconds(20);
      while (metrics.scrapes.value() < before + 1 &&
             std::chrono::steady_clock::now() < give_up) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      CHECK(metrics.scrapes.value() >= before + 1);
      CHECK(metrics.scrapes.value() <= before + 3);
    }
  }
  // Ends what is under way while all that it needs is there, as the app does.
  client.reset();
  workers.reset();
}

}  // namespace narthex::scraper
