#include "libs/discovery/zookeeper_provider.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/status.h"

namespace narthex::discovery {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::int64_t kWatched = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMaxWaitMs = 60 * 1000;

std::int64_t NowNs() { return base::Clock::System().MonotonicNs(); }

}  // namespace

ZookeeperProvider::ZookeeperProvider(Options options, ZookeeperConfig config,
                                     const ProviderContext& context)
    : options_(std::move(options)),
      config_(std::move(config)),
      logger_(context.logger.With(
          {{"discovery", options_.mechanism}, {"config", context.job}})),
      failures_(context.metrics.registry.NewCounter(
          "prometheus_treecache_zookeeper_failures_total",
          "The total number of ZooKeeper failures.")),
      stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  for (const std::string& path : config_.paths) {
    followed_.push_back(
        {ZookeeperTree(path, [this](const std::string& changed,
                                    const std::optional<std::string>& data) {
          Change(changed, data);
        })});
  }
}

ZookeeperProvider::~ZookeeperProvider() { Stop(); }

void ZookeeperProvider::Start(Update update) {
  update_ = std::move(update);
  thread_ = std::thread([this] { Run(); });
}

void ZookeeperProvider::Stop() {
  if (!thread_.joinable()) return;
  const std::uint64_t one = 1;
  // The counter cannot overflow: it is written once.
  [[maybe_unused]] const auto written = write(stop_.get(), &one, sizeof one);
  thread_.join();
}

void ZookeeperProvider::Run() {
  pthread_setname_np(
      pthread_self(),
      absl::StrCat("sd-", options_.mechanism.substr(0, 12)).c_str());
  for (std::size_t i = 0;; ++i) {
    const std::string& server = config_.servers[i % config_.servers.size()];
    const auto session =
        ZookeeperSession::Open(server, config_.timeout_ms, stop_.get());
    const absl::Status status =
        session.ok() ? Follow(**session) : session.status();
    if (absl::IsCancelled(status)) return;
    CountFailure(session.ok() ? "lost connection to ZooKeeper"
                              : "cannot connect to ZooKeeper",
                 status);
    if (!Sleep(options_.connect_interval_ms)) return;
  }
}

absl::Status ZookeeperProvider::Follow(ZookeeperSession& session) {
  for (Followed& followed : followed_) followed.sync_at_ns = 0;
  for (;;) {
    NARTHEX_RETURN_IF_ERROR(SyncDue(session));
    HandOver();
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<ZookeeperEvent> events,
                             session.Wait(MsUntilSync()));
    for (const ZookeeperEvent& event : events) {
      NARTHEX_RETURN_IF_ERROR(Apply(session, event));
    }
    HandOver();
  }
}

absl::Status ZookeeperProvider::SyncDue(ZookeeperSession& session) {
  for (Followed& followed : followed_) {
    if (followed.sync_at_ns > NowNs()) continue;
    followed.sync_at_ns = kWatched;
    NARTHEX_RETURN_IF_ERROR(Settle(followed.tree.Sync(session), &followed));
  }
  return absl::OkStatus();
}

absl::Status ZookeeperProvider::Apply(ZookeeperSession& session,
                                      const ZookeeperEvent& event) {
  for (Followed& followed : followed_) {
    if (followed.sync_at_ns != kWatched) continue;
    NARTHEX_RETURN_IF_ERROR(
        Settle(followed.tree.Apply(session, event), &followed));
  }
  return absl::OkStatus();
}

absl::Status ZookeeperProvider::Settle(const absl::Status& status,
                                       Followed* followed) {
  if (!absl::IsNotFound(status)) return status;
  CountFailure("cannot follow a path in ZooKeeper", status);
  followed->sync_at_ns = NowNs() + options_.missing_interval_ms * kNsPerMs;
  return absl::OkStatus();
}

std::int64_t ZookeeperProvider::MsUntilSync() const {
  std::int64_t next = NowNs() + kMaxWaitMs * kNsPerMs;
  for (const Followed& followed : followed_) {
    next = std::min(next, followed.sync_at_ns);
  }
  return std::max<std::int64_t>((next - NowNs()) / kNsPerMs + 1, 0);
}

void ZookeeperProvider::Change(const std::string& path,
                               const std::optional<std::string>& data) {
  TargetGroup group;
  group.source = path;
  if (data.has_value()) {
    auto labels = options_.parse(*data, path);
    if (labels.ok()) {
      group.targets.push_back(*std::move(labels));
    } else if (!data->empty()) {
      logger_.Debug("node describes no target",
                    {{"path", path}, {"err", labels.status().message()}});
    }
  }
  changes_.push_back(std::move(group));
}

void ZookeeperProvider::HandOver() {
  if (changes_.empty()) return;
  update_(std::move(changes_));
  changes_.clear();
}

void ZookeeperProvider::CountFailure(absl::string_view what,
                                     const absl::Status& status) {
  failures_.Inc();
  logger_.Error(what, {{"err", status.message()}});
}

bool ZookeeperProvider::Sleep(std::int64_t ms) const {
  pollfd fd{stop_.get(), POLLIN, 0};
  return poll(&fd, 1, static_cast<int>(ms)) == 0;
}

}  // namespace narthex::discovery
