#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "libs/discovery/zookeeper_session.h"

namespace narthex::discovery {

/// The data of a node and all nodes below it, followed by watches.
class ZookeeperTree {
 public:
  /// Told of new data, or of nothing when the node is gone.
  using Changed = std::function<void(const std::string& path,
                                     const std::optional<std::string>& data)>;

  ZookeeperTree(std::string root, Changed changed);

  /// Reads and watches everything, then tells what differs from before.
  /// kNotFound without a root: then all stays as it was. Other errors are the
  /// session's.
  absl::Status Sync(ZookeeperSession& session);
  /// Reads what an event of any node says has changed, and watches it again.
  /// kNotFound when the root is gone, with all below it.
  absl::Status Apply(ZookeeperSession& session, const ZookeeperEvent& event);

 private:
  using Nodes = std::map<std::string, std::string>;

  /// Adds a node with all below it; nothing when it is gone.
  static absl::Status Read(ZookeeperSession& session, const std::string& path,
                           Nodes* nodes);
  absl::Status ReadAgain(ZookeeperSession& session, const std::string& path);
  absl::Status ReadChildren(ZookeeperSession& session, const std::string& path);
  void Set(const std::string& path, const std::string& data);
  void Remove(const std::string& path);

  const std::string root_;
  const Changed changed_;
  Nodes nodes_;
};

}  // namespace narthex::discovery
