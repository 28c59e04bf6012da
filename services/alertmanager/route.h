#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libs/model/labels.h"
#include "services/alertmanager/config.h"

namespace narthex::alertmanager {

/// One node of the routing tree with everything inherited filled in.
/// Immutable.
class Route {
 public:
  /// Builds the whole tree.
  static std::unique_ptr<const Route> Build(const RouteConfig& config);

  /// All nodes that take an alert with these labels, in order of the file:
  /// the deepest ones; a node without a matching child takes it itself.
  std::vector<const Route*> Match(const model::Labels& labels) const;
  /// The same, appended to `*out`. False when the node does not match.
  bool Match(const model::Labels& labels, std::vector<const Route*>* out) const;

  /// The labels by which this node groups an alert.
  model::Labels GroupLabels(const model::Labels& labels) const;

  const std::string& receiver() const { return receiver_; }
  std::int64_t group_wait_ms() const { return group_wait_ms_; }
  std::int64_t group_interval_ms() const { return group_interval_ms_; }
  std::int64_t repeat_interval_ms() const { return repeat_interval_ms_; }
  const std::vector<std::string>& mute_time_intervals() const {
    return mute_time_intervals_;
  }
  const std::vector<std::string>& active_time_intervals() const {
    return active_time_intervals_;
  }
  const std::map<std::string, std::string>& labels() const { return labels_; }
  /// The matchers on the way from the root: `{}/{team="a"}`. With the group's
  /// labels it names a group, across restarts too.
  const std::string& key() const { return key_; }

 private:
  Route() = default;
  static std::unique_ptr<Route> Build(const RouteConfig& config,
                                      const Route* parent);

  std::string receiver_;
  bool group_by_all_ = false;
  std::vector<std::string> group_by_;  // Sorted.
  bool continue_ = false;
  std::vector<model::Matcher> matchers_;
  std::int64_t group_wait_ms_ = 30 * 1000;
  std::int64_t group_interval_ms_ = 5 * 60 * 1000;
  std::int64_t repeat_interval_ms_ = 4 * 60 * 60 * 1000;
  std::vector<std::string> mute_time_intervals_;
  std::vector<std::string> active_time_intervals_;
  std::map<std::string, std::string> labels_;
  std::string key_;
  std::vector<std::unique_ptr<Route>> children_;
};

}  // namespace narthex::alertmanager
