#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/tmpl/json.h"
#include "libs/yaml/emitter.h"
#include "services/alertmanager/config.h"

namespace narthex::alertmanager {
namespace {

constexpr char kSecret[] = "<secret>";

bool IsSecret(absl::string_view field) {
  for (const absl::string_view end :
       {"_key", "_token", "_secret", "_password", "_webhook_url",
        "slack_api_url", "_token_id"}) {
    if (field.size() >= end.size() &&
        field.substr(field.size() - end.size()) == end) {
      return true;
    }
  }
  return false;
}

void PrintTextField(yaml::Emitter& out, absl::string_view name,
                    const std::string& value) {
  if (!value.empty()) out.Field(name, value);
}

void PrintHttp(yaml::Emitter& out, const http::ClientConfig& http) {
  out.Key("http_config").BeginMap();
  http::EmitClientConfig(http, &out);
  out.EndMap();
}

void PrintMap(yaml::Emitter& out, absl::string_view name,
              const std::map<std::string, std::string>& map) {
  if (map.empty()) return;
  out.Key(name).BeginMap();
  for (const auto& [key, value] : map) out.Field(key, value);
  out.EndMap();
}

void PrintMatchers(yaml::Emitter& out, absl::string_view name,
                   const std::vector<model::Matcher>& matchers) {
  if (matchers.empty()) return;
  std::vector<std::string> texts;
  texts.reserve(matchers.size());
  for (const model::Matcher& matcher : matchers) {
    texts.push_back(FormatMatcher(matcher));
  }
  out.Field(name, texts);
}

void PrintList(yaml::Emitter& out, absl::string_view name,
               const std::vector<std::string>& list) {
  if (!list.empty()) out.Field(name, list);
}

void PrintRoute(yaml::Emitter& out, const RouteConfig& route) {
  out.BeginMap();
  PrintTextField(out, "receiver", route.receiver);
  if (route.group_by.has_value()) PrintList(out, "group_by", *route.group_by);
  PrintMatchers(out, "matchers", route.matchers);
  PrintList(out, "mute_time_intervals", route.mute_time_intervals);
  PrintList(out, "active_time_intervals", route.active_time_intervals);
  out.Field("continue", route.continue_matching);
  PrintMap(out, "labels", route.labels);
  if (!route.routes.empty()) {
    out.Key("routes").BeginSequence();
    for (const RouteConfig& child : route.routes) PrintRoute(out, child);
    out.EndSequence();
  }
  const auto duration = [&out](absl::string_view name,
                               const std::optional<std::int64_t>& value) {
    if (value.has_value()) out.Key(name).Duration(*value);
  };
  duration("group_wait", route.group_wait_ms);
  duration("group_interval", route.group_interval_ms);
  duration("repeat_interval", route.repeat_interval_ms);
  out.EndMap();
}

void PrintInhibitRule(yaml::Emitter& out, const InhibitRuleConfig& rule) {
  out.BeginMap();
  PrintTextField(out, "name", rule.name);
  PrintMatchers(out, "source_matchers", rule.source);
  PrintMatchers(out, "target_matchers", rule.target);
  PrintList(out, "equal", rule.equal);
  out.EndMap();
}

void PrintWebhook(yaml::Emitter& out, const WebhookConfig& webhook) {
  out.BeginMap();
  out.Field("send_resolved", webhook.send_resolved);
  PrintHttp(out, webhook.http);
  out.Field("url", webhook.url.empty() ? "" : kSecret);
  out.Field("url_file", webhook.url_file);
  out.Field("max_alerts", static_cast<std::int64_t>(webhook.max_alerts));
  out.Key("timeout").Duration(webhook.timeout_ms);
  if (!webhook.payload.is_nil()) {
    const auto json = tmpl::ToJson(webhook.payload);
    if (json.ok()) out.Field("payload", *json);
  }
  out.EndMap();
}

void PrintReceiver(yaml::Emitter& out, const ReceiverConfig& receiver) {
  out.BeginMap();
  out.Field("name", receiver.name);
  std::map<std::string, std::string> labels = receiver.labels;
  labels.emplace("name", receiver.name);
  PrintMap(out, "labels", labels);
  if (!receiver.webhooks.empty()) {
    out.Key("webhook_configs").BeginSequence();
    for (const WebhookConfig& webhook : receiver.webhooks) {
      PrintWebhook(out, webhook);
    }
    out.EndSequence();
  }
  out.EndMap();
}

/// A range with the names of its ends, one name when both are the same.
template <typename Name>
void PrintRanges(yaml::Emitter& out, absl::string_view field,
                 const std::vector<IntRange>& ranges, Name name) {
  if (ranges.empty()) return;
  std::vector<std::string> texts;
  texts.reserve(ranges.size());
  for (const IntRange range : ranges) {
    texts.push_back(
        range.begin == range.end
            ? name(range.begin)
            : absl::StrCat(name(range.begin), ":", name(range.end)));
  }
  out.Field(field, texts);
}

std::string MinuteName(int minute) {
  return absl::StrFormat("%02d:%02d", minute / 60, minute % 60);
}

std::string WeekdayName(int day) {
  constexpr const char* kNames[] = {"sunday",    "monday",   "tuesday",
                                    "wednesday", "thursday", "friday",
                                    "saturday"};
  return kNames[day];
}

std::string NumberName(int number) { return absl::StrCat(number); }

void PrintInterval(yaml::Emitter& out, const TimeInterval& interval) {
  out.BeginMap();
  if (!interval.minutes.empty()) {
    out.Key("times").BeginSequence();
    for (const IntRange range : interval.minutes) {
      out.BeginMap();
      out.Field("start_time", MinuteName(range.begin));
      out.Field("end_time", MinuteName(range.end));
      out.EndMap();
    }
    out.EndSequence();
  }
  PrintRanges(out, "weekdays", interval.weekdays, WeekdayName);
  PrintRanges(out, "days_of_month", interval.days_of_month, NumberName);
  PrintRanges(out, "months", interval.months, NumberName);
  PrintRanges(out, "years", interval.years, NumberName);
  PrintTextField(out, "location", interval.location);
  out.EndMap();
}

void PrintTimeIntervals(yaml::Emitter& out, const Config& config) {
  if (config.time_intervals.empty()) return;
  out.Key("time_intervals").BeginSequence();
  for (const NamedTimeIntervals& named : config.time_intervals) {
    out.BeginMap();
    out.Field("name", named.name);
    out.Key("time_intervals").BeginSequence();
    for (const TimeInterval& interval : named.intervals) {
      PrintInterval(out, interval);
    }
    out.EndSequence();
    out.EndMap();
  }
  out.EndSequence();
}

/// Fields for receivers, with Alertmanager's defaults, in its order.
void PrintReceiverDefaults(yaml::Emitter& out, const GlobalConfig& global) {
  struct Default {
    const char* name;
    const char* value;
  };
  constexpr Default kDefaults[] = {
      {"smtp_hello", "localhost"},
      {"slack_app_url", "https://slack.com/api/chat.postMessage"},
      {"pagerduty_url", "https://events.pagerduty.com/v2/enqueue"},
      {"opsgenie_api_url", "https://api.opsgenie.com/"},
      {"wechat_api_url", "https://qyapi.weixin.qq.com/cgi-bin/"},
      {"victorops_api_url",
       "https://alert.victorops.com/integrations/generic/20131114/alert/"},
      {"telegram_api_url", "https://api.telegram.org"},
      {"webex_api_url", "https://webexapis.com/v1/messages"},
      {"rocketchat_api_url", "https://open.rocket.chat/"},
  };
  for (const Default& field : kDefaults) {
    const auto given = global.receiver_defaults.find(field.name);
    out.Field(field.name, given == global.receiver_defaults.end()
                              ? std::string(field.value)
                              : given->second);
    if (absl::string_view(field.name) != "smtp_hello") continue;
    out.Field("smtp_require_tls",
              global.receiver_defaults.count("smtp_require_tls") == 0 ||
                  global.receiver_defaults.at("smtp_require_tls") == "true");
    out.Key("smtp_tls_config").BeginMap();
    out.Field("insecure_skip_verify", false);
    out.EndMap();
  }
  for (const auto& entry : global.receiver_defaults) {
    const auto& name = entry.first;
    const auto& value = entry.second;
    const bool printed =
        name == "smtp_require_tls" ||
        std::any_of(std::begin(kDefaults), std::end(kDefaults),
                    [&](const Default& field) { return name == field.name; });
    if (!printed) out.Field(name, IsSecret(name) ? kSecret : value);
  }
}

}  // namespace

std::string PrintConfig(const Config& config) {
  yaml::Emitter out;
  out.BeginMap();
  out.Key("global").BeginMap();
  out.Key("resolve_timeout").Duration(config.global.resolve_timeout_ms);
  PrintHttp(out, config.global.http);
  PrintReceiverDefaults(out, config.global);
  out.EndMap();
  out.Key("route");
  PrintRoute(out, config.route);
  if (!config.inhibit_rules.empty()) {
    out.Key("inhibit_rules").BeginSequence();
    for (const InhibitRuleConfig& rule : config.inhibit_rules) {
      PrintInhibitRule(out, rule);
    }
    out.EndSequence();
  }
  out.Key("receivers").BeginSequence();
  for (const ReceiverConfig& receiver : config.receivers) {
    PrintReceiver(out, receiver);
  }
  out.EndSequence();
  PrintTimeIntervals(out, config);
  out.Field("templates", config.templates);
  out.EndMap();
  return out.text();
}

}  // namespace narthex::alertmanager
