#include "services/alertmanager/route.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "services/alertmanager/matchers.h"

namespace narthex::alertmanager {

std::unique_ptr<const Route> Route::Build(const RouteConfig& config) {
  return Build(config, nullptr);
}

std::unique_ptr<Route> Route::Build(const RouteConfig& config,
                                    const Route* parent) {
  std::unique_ptr<Route> route(new Route);
  if (parent != nullptr) {
    route->receiver_ = parent->receiver_;
    route->group_by_all_ = parent->group_by_all_;
    route->group_by_ = parent->group_by_;
    route->group_wait_ms_ = parent->group_wait_ms_;
    route->group_interval_ms_ = parent->group_interval_ms_;
    route->repeat_interval_ms_ = parent->repeat_interval_ms_;
    route->labels_ = parent->labels_;
    route->key_ = absl::StrCat(parent->key_, "/");
  }
  if (!config.receiver.empty()) route->receiver_ = config.receiver;
  if (config.group_by.has_value()) {
    route->group_by_ = *config.group_by;
    std::sort(route->group_by_.begin(), route->group_by_.end());
    route->group_by_all_ =
        std::find(route->group_by_.begin(), route->group_by_.end(), "...") !=
        route->group_by_.end();
  }
  route->group_wait_ms_ = config.group_wait_ms.value_or(route->group_wait_ms_);
  route->group_interval_ms_ =
      config.group_interval_ms.value_or(route->group_interval_ms_);
  route->repeat_interval_ms_ =
      config.repeat_interval_ms.value_or(route->repeat_interval_ms_);
  route->mute_time_intervals_ = config.mute_time_intervals;
  route->active_time_intervals_ = config.active_time_intervals;
  for (const auto& [name, text] : config.labels) route->labels_[name] = text;
  route->continue_ = config.continue_matching;
  route->matchers_ = config.matchers;
  absl::StrAppend(&route->key_, FormatMatchers(config.matchers));
  for (const RouteConfig& child : config.routes) {
    route->children_.push_back(Build(child, route.get()));
  }
  return route;
}

bool Route::Match(const model::Labels& labels,
                  std::vector<const Route*>* out) const {
  if (!model::MatchesAll(matchers_, labels)) return false;
  bool taken = false;
  for (const auto& child : children_) {
    if (!child->Match(labels, out)) continue;
    taken = true;
    if (!child->continue_) break;
  }
  if (!taken) out->push_back(this);
  return true;
}

std::vector<const Route*> Route::Match(const model::Labels& labels) const {
  std::vector<const Route*> routes;
  Match(labels, &routes);
  return routes;
}

model::Labels Route::GroupLabels(const model::Labels& labels) const {
  return group_by_all_ ? labels : labels.Of(group_by_);
}

}  // namespace narthex::alertmanager
