#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/log.h"
#include "services/alertmanager/config.h"
#include "services/alertmanager/dispatcher.h"
#include "services/alertmanager/inhibitor.h"
#include "services/alertmanager/metrics.h"
#include "services/alertmanager/notification_log.h"
#include "services/alertmanager/notifier.h"
#include "services/alertmanager/silences.h"

namespace narthex::alertmanager {

/// Integrations of each receiver by the receiver's name.
using Receivers = std::map<std::string, std::vector<Integration>>;

/// What a pipeline works with; all but the shared ones must outlive it.
struct PipelineParts {
  Receivers receivers;
  std::shared_ptr<const Inhibitor> inhibitor;
  std::vector<NamedTimeIntervals> time_intervals;
  Silences* silences = nullptr;
  NotificationLog* log = nullptr;
  EventLoop* loop = nullptr;
  Metrics* metrics = nullptr;
};

/// The way of a flushed group to its receiver: inhibited alerts are left out,
/// then time intervals may stop the group, silenced alerts are left out, and
/// each integration gets what remains unless the notification log says that
/// it has been told; what was sent is logged. Create with std::make_shared().
class Pipeline : public FlushHandler,
                 public std::enable_shared_from_this<Pipeline> {
 public:
  Pipeline(PipelineParts parts, base::Logger logger)
      : parts_(std::move(parts)), logger_(std::move(logger)) {}

  void OnFlush(std::shared_ptr<const Flush> flush, Done done) override;

 private:
  struct Fanout;
  struct Digest;

  std::vector<std::string> MutedBy(const Flush& flush);
  void RemoveInhibited(std::vector<Alert>* alerts, std::int64_t now_ms);
  void RemoveSilenced(std::vector<Alert>* alerts, std::int64_t now_ms);
  void Send(const Integration& integration,
            const std::shared_ptr<const Flush>& flush,
            const std::shared_ptr<Fanout>& fanout);
  bool Record(const std::string& log_key, const Digest& digest,
              const Flush& flush);

  PipelineParts parts_;
  const base::Logger logger_;
  std::uint32_t seed_ = 1;
};

}  // namespace narthex::alertmanager
