#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "services/alertmanager/alert.h"

namespace narthex::alertmanager {

/// A group of alerts as one integration is to be told of it.
struct Notification {
  std::string receiver;
  std::string group_key;
  model::Labels group_labels;
  /// Templates, by name.
  std::map<std::string, std::string> route_labels;
  /// Sorted. Those that have not resolved have no end.
  std::vector<Alert> alerts;
  std::string reason;
  /// The time of the flush: an alert with an end has resolved by then.
  std::int64_t now_ms = 0;
};

enum class FailureReason {
  kClientError,
  kServerError,
  kAuthError,
  kRateLimited,
  kCanceled,
  kDeadlineExceeded,
  kOther,
};
/// The value of the label "reason": "clientError" and so on.
absl::string_view FailureReasonName(FailureReason reason);

/// How one attempt went.
struct NotifyResult {
  absl::Status status;
  /// Whether another attempt may go better.
  bool retry = false;
  FailureReason reason = FailureReason::kOther;
};

/// Sends notifications of one kind to one place.
class Notifier {
 public:
  virtual ~Notifier() = default;

  using Done = std::function<void(NotifyResult)>;
  /// Makes one attempt that ends by `deadline_ms`. `done` runs once, on the
  /// event loop, possibly before this returns.
  virtual void Notify(std::shared_ptr<const Notification> notification,
                      std::int64_t deadline_ms, Done done) = 0;
};

/// A notifier in its place in the configuration.
struct Integration {
  /// "webhook"
  std::string kind;
  /// Counts those of one kind within a receiver.
  std::size_t index = 0;
  bool send_resolved = true;
  std::unique_ptr<Notifier> notifier;
};

}  // namespace narthex::alertmanager
