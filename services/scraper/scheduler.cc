#include "services/scraper/scheduler.h"

#include <optional>
#include <utility>

namespace narthex::scraper {
namespace {
constexpr std::int64_t kIdleMs = 60'000;
}  // namespace

Scheduler::Scheduler(base::Clock& clock)
    : clock_(clock), thread_([this] { Run(); }) {}

Scheduler::~Scheduler() { Stop(); }

void Scheduler::Add(std::shared_ptr<ScrapeLoop> loop) {
  const std::uint32_t plan = loop->plan();
  const std::int64_t first_ms = loop->FirstTick(clock_.NowMs());
  base::MutexLock lock(mutex_);
  due_.push({first_ms, std::move(loop), plan});
  changed_.NotifyAll();
}

void Scheduler::Stop() {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void Scheduler::Run() {
  while (true) {
    Due next;
    {
      base::MutexLock lock(mutex_);
      if (stopping_) return;
      const std::int64_t now_ms = clock_.NowMs();
      if (due_.empty() || due_.top().at_ms > now_ms) {
        clock_.WaitUntil(due_.empty() ? now_ms + kIdleMs : due_.top().at_ms,
                         changed_, mutex_);
        continue;
      }
      next = due_.top();
      due_.pop();
    }
    if (next.plan != next.loop->plan()) continue;
    const std::optional<std::int64_t> again_ms = next.loop->Tick(next.at_ms);
    if (!again_ms.has_value()) continue;
    next.at_ms = *again_ms;
    base::MutexLock lock(mutex_);
    due_.push(std::move(next));
  }
}

}  // namespace narthex::scraper
