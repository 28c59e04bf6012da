#include "services/scraper/scheduler.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace narthex::scraper {
namespace {
// The longest wait: so soon a jump of the wall clock is noticed.
constexpr std::int64_t kMostWaitMs = 1'000;
// What the clock is slewed by, and what lies between two readings, is less.
constexpr std::int64_t kJumpMs = 500;
}  // namespace

Scheduler::Scheduler(base::Clock& clock)
    : clock_(clock), offset_ms_(OffsetMs()), thread_([this] { Run(); }) {}

Scheduler::~Scheduler() { Stop(); }

void Scheduler::Add(std::shared_ptr<ScrapeLoop> loop) {
  const std::uint32_t plan = loop->plan();
  const std::int64_t first_ms = loop->FirstTick(clock_.NowMs());
  base::MutexLock lock(mutex_);
  due_.push({first_ms, std::move(loop), plan});
  changed_.NotifyAll();
}

std::int64_t Scheduler::OffsetMs() const {
  return clock_.NowMs() - clock_.MonotonicNs() / 1'000'000;
}

void Scheduler::PlanAnewAfterJump() {
  const std::int64_t offset_ms = OffsetMs();
  const std::int64_t jump_ms = offset_ms - offset_ms_;
  if (jump_ms > -kJumpMs && jump_ms < kJumpMs) return;
  offset_ms_ = offset_ms;
  std::priority_queue<Due> planned;
  const std::int64_t now_ms = clock_.NowMs();
  for (; !due_.empty(); due_.pop()) {
    Due due = due_.top();
    due.at_ms = due.loop->FirstTick(now_ms);
    planned.push(std::move(due));
  }
  due_ = std::move(planned);
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
      PlanAnewAfterJump();
      const std::int64_t now_ms = clock_.NowMs();
      if (due_.empty() || due_.top().at_ms > now_ms) {
        std::int64_t until_ms = now_ms + kMostWaitMs;
        if (!due_.empty()) until_ms = std::min(until_ms, due_.top().at_ms);
        clock_.WaitUntil(until_ms, changed_, mutex_);
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
