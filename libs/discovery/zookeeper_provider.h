#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/file.h"
#include "libs/discovery/provider.h"
#include "libs/discovery/zookeeper.h"
#include "libs/discovery/zookeeper_session.h"
#include "libs/discovery/zookeeper_tree.h"

namespace narthex::discovery {

/// Follows all nodes below some paths; each whose data describes a target is
/// a group, its path the source. While no server is there, and while a path
/// is missing when it is read anew, the targets stay.
class ZookeeperProvider : public Provider {
 public:
  struct Options {
    std::string mechanism = {};
    std::function<absl::StatusOr<model::Labels>(const std::string& data,
                                                const std::string& path)>
        parse = {};
    /// Between two tries to reach a server.
    std::int64_t connect_interval_ms = 1000;
    /// Until a path that is missing is looked for again.
    std::int64_t missing_interval_ms = 10 * 1000;
  };

  ZookeeperProvider(Options options, ZookeeperConfig config,
                    const ProviderContext& context);
  ~ZookeeperProvider() override;

  void Start(Update update) override;
  void Stop() override;

 private:
  struct Followed {
    ZookeeperTree tree;
    /// When to read it anew; a tree that is watched has no such time.
    std::int64_t sync_at_ns = 0;
  };

  void Run();
  /// Returns the error that ended the session.
  absl::Status Follow(ZookeeperSession& session);
  absl::Status SyncDue(ZookeeperSession& session);
  absl::Status Apply(ZookeeperSession& session, const ZookeeperEvent& event);
  /// Takes a missing root for a failure that passes; other errors are
  /// returned.
  absl::Status Settle(const absl::Status& status, Followed* followed);
  std::int64_t MsUntilSync() const;
  void Change(const std::string& path, const std::optional<std::string>& data);
  void HandOver();
  void CountFailure(absl::string_view what, const absl::Status& status);
  /// False when stopped.
  bool Sleep(std::int64_t ms) const;

  const Options options_;
  const ZookeeperConfig config_;
  const base::Logger logger_;
  metrics::Counter& failures_;
  const base::UniqueFd stop_;
  Update update_;
  std::vector<Followed> followed_;
  std::vector<TargetGroup> changes_;
  std::thread thread_;
};

}  // namespace narthex::discovery
