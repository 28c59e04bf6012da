#include "services/alertmanager/delivery.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace narthex::alertmanager {
namespace {

constexpr double kGrowth = 1.5;
constexpr double kLongestMs = 60 * 1000;

}  // namespace

std::int64_t Backoff::NextMs() {
  std::uniform_real_distribution<double> factor(0.5, 1.5);
  const double pause = base_ms_ * factor(random_);
  base_ms_ = std::min(base_ms_ * kGrowth, kLongestMs);
  return static_cast<std::int64_t>(pause);
}

Delivery::Delivery(std::shared_ptr<const void> owner,
                   const Integration& integration,
                   std::shared_ptr<const Notification> notification,
                   std::shared_ptr<const Flush> flush, EventLoop& loop,
                   Metrics& metrics, const base::Logger& log,
                   std::uint32_t seed, Done done)
    : owner_(std::move(owner)),
      integration_(integration),
      notification_(std::move(notification)),
      flush_(std::move(flush)),
      loop_(loop),
      metrics_(metrics),
      log_(log),
      backoff_(seed),
      done_(std::move(done)) {}

std::string Delivery::Name() const {
  return absl::StrCat(integration_.kind, "[", integration_.index, "]");
}

void Delivery::Start() {
  metrics_.NotificationStarted(integration_.kind);
  Attempt();
}

void Delivery::Attempt() {
  ++attempts_;
  attempt_ms_ = loop_.clock().NowMs();
  attempt_ns_ = loop_.clock().MonotonicNs();
  integration_.notifier->Notify(
      notification_, flush_->deadline_ms,
      [self = shared_from_this()](NotifyResult result) {
        self->OnResult(std::move(result));
      });
}

void Delivery::OnResult(NotifyResult result) {
  const std::int64_t took_ns = loop_.clock().MonotonicNs() - attempt_ns_;
  metrics_.RequestDone(integration_.kind, !result.status.ok(),
                       static_cast<double>(took_ns) / 1e9);
  if (result.status.ok()) {
    if (attempts_ > 1) {
      log_.Info("notify success", {{"receiver", notification_->receiver},
                                   {"integration", Name()},
                                   {"attempts", attempts_}});
    }
    return done_(true);
  }
  if (!result.retry) return Fail(result);
  if (flush_->cancelled->load()) {
    result.reason = FailureReason::kCanceled;
    return Fail(result);
  }
  // Counted from the attempt's start: a receiver that let it time out has had
  // its pause.
  const std::int64_t next_ms =
      std::max(loop_.clock().NowMs(), attempt_ms_ + backoff_.NextMs());
  if (next_ms >= flush_->deadline_ms) {
    result.reason = FailureReason::kDeadlineExceeded;
    // Not before: the group's next beat would ask the receiver at once.
    loop_.At(flush_->deadline_ms,
             [self = shared_from_this(), result] { self->Fail(result); });
    return;
  }
  if (attempts_ == 1) {
    log_.Warn("notify attempt failed, will retry later",
              {{"receiver", notification_->receiver},
               {"integration", Name()},
               {"aggrGroup", notification_->group_key},
               {"err", result.status.message()}});
  }
  loop_.At(next_ms, [self = shared_from_this(), result] {
    if (self->flush_->cancelled->load()) {
      NotifyResult canceled = result;
      canceled.reason = FailureReason::kCanceled;
      return self->Fail(canceled);
    }
    self->Attempt();
  });
}

void Delivery::Fail(const NotifyResult& result) {
  metrics_.NotificationFailed(integration_.kind, result.reason);
  log_.Error("notify for alerts failed",
             {{"receiver", notification_->receiver},
              {"integration", Name()},
              {"aggrGroup", notification_->group_key},
              {"attempts", attempts_},
              {"num_alerts", notification_->alerts.size()},
              {"reason", FailureReasonName(result.reason)},
              {"err", result.status.message()}});
  done_(false);
}

}  // namespace narthex::alertmanager
