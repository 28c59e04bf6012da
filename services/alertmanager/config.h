#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/http/client_config.h"
#include "libs/model/matcher.h"
#include "libs/tmpl/value.h"
#include "services/alertmanager/matchers.h"
#include "services/alertmanager/time_interval.h"

namespace narthex::alertmanager {

/// A node of the routing tree as written; what is absent is inherited.
struct RouteConfig {
  std::string receiver;
  std::optional<std::vector<std::string>> group_by;
  /// Go on with the siblings after a match.
  bool continue_matching = false;
  /// From match, match_re and matchers, sorted.
  std::vector<model::Matcher> matchers;
  std::optional<std::int64_t> group_wait_ms;
  std::optional<std::int64_t> group_interval_ms;
  std::optional<std::int64_t> repeat_interval_ms;
  std::vector<std::string> mute_time_intervals;
  std::vector<std::string> active_time_intervals;
  /// Templates of the labels that notifications of this route carry.
  std::map<std::string, std::string> labels;
  std::vector<RouteConfig> routes;
};

struct WebhookConfig {
  bool send_resolved = true;
  http::ClientConfig http;
  /// A template; or the file that holds the address, read at use.
  std::string url;
  std::string url_file;
  /// Alerts beyond are cut off and counted; 0 is no limit.
  std::uint64_t max_alerts = 0;
  /// Of one attempt; 0 leaves it to the notification's own deadline.
  std::int64_t timeout_ms = 0;
  /// Maps, lists and template texts that replace the usual body; nil: none.
  tmpl::Value payload;
};

struct ReceiverConfig {
  std::string name;
  std::map<std::string, std::string> labels;
  std::vector<WebhookConfig> webhooks;
};

/// Alerts that match `target` are muted while one that matches `source` and
/// has the same values of the labels `equal` fires.
struct InhibitRuleConfig {
  std::string name;
  std::vector<model::Matcher> source;
  std::vector<model::Matcher> target;
  std::vector<std::string> equal;
};

struct GlobalConfig {
  std::int64_t resolve_timeout_ms = 5 * 60 * 1000;
  http::ClientConfig http;
  /// Texts of the fields that only receivers use, under their names.
  std::map<std::string, std::string> receiver_defaults;
};

/// An alertmanager.yml, validated. References between its parts hold.
struct Config {
  GlobalConfig global;
  RouteConfig route;
  std::vector<InhibitRuleConfig> inhibit_rules;
  std::vector<ReceiverConfig> receivers;
  std::vector<NamedTimeIntervals> time_intervals;
  /// Patterns of template files, absolute.
  std::vector<std::string> templates;
  /// The file's own text.
  std::string source;
};

struct ConfigOptions {
  MatcherSyntax matcher_syntax = MatcherSyntax::kFallback;
};

/// Parses the text of a configuration file. `file` is its path: errors name
/// it and relative paths are taken from its folder. kInvalidArgument with
/// file, line and field; kUnimplemented "... known to Alertmanager, not
/// supported yet" for a valid file that asks for what is not there.
absl::StatusOr<Config> ParseConfig(absl::string_view text,
                                   const std::string& file,
                                   const ConfigOptions& options);
absl::StatusOr<Config> LoadConfig(const std::string& file,
                                  const ConfigOptions& options);

/// The configuration with all defaults as Alertmanager prints it, secrets
/// replaced by "<secret>".
std::string PrintConfig(const Config& config);

}  // namespace narthex::alertmanager
