#include "libs/cluster/internal/stream_call.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace narthex::cluster::internal {

CallLimits CallLimits::Of(std::chrono::milliseconds timeout,
                          std::int64_t deadline_ns,
                          const std::atomic<bool>* cancelled) {
  CallLimits limits;
  std::chrono::nanoseconds left = timeout;
  if (deadline_ns != 0) {
    const std::int64_t now_ns = base::Clock::System().MonotonicNs();
    const std::chrono::nanoseconds query_left(
        std::max<std::int64_t>(deadline_ns - now_ns, 0));
    limits.of_query = query_left < left;
    left = std::min(left, query_left);
  }
  limits.deadline =
      std::chrono::system_clock::now() +
      std::chrono::duration_cast<std::chrono::system_clock::duration>(left);
  limits.cancelled = cancelled;
  return limits;
}

absl::Status WithPeer(const absl::Status& status, const std::string& peer) {
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat(peer, ": ", status.message()));
}

absl::Status AsUnavailable(const absl::Status& status) {
  if (!absl::IsDeadlineExceeded(status)) return status;
  return absl::UnavailableError(status.message());
}

absl::Status OutcomeOf(const absl::Status& status, const std::string& peer,
                       const CallLimits& limits) {
  if (limits.cancelled != nullptr && limits.cancelled->load()) {
    return absl::CancelledError("query was canceled");
  }
  if (!absl::IsDeadlineExceeded(status)) return status;
  if (!limits.of_query) return AsUnavailable(status);
  return absl::DeadlineExceededError(
      absl::StrCat("query timed out waiting for ingester ", peer));
}

}  // namespace narthex::cluster::internal
