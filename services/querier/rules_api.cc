#include "services/querier/rules_api.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "narthex/v1/ruler.grpc.pb.h"
#include "services/querier/ask_all.h"
#include "services/querier/params.h"
#include "services/querier/wire_values.h"

namespace narthex::querier {
namespace {

// Always with an exponent, as Prometheus gives the values of alerts.
std::string ScientificText(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  std::array<char, 40> buffer;
  const auto result =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                    std::chars_format::scientific);
  return std::string(buffer.data(), result.ptr);
}

absl::string_view StateName(v1::AlertState state) {
  switch (state) {
    case v1::ALERT_STATE_INACTIVE:
      return "inactive";
    case v1::ALERT_STATE_PENDING:
      return "pending";
    case v1::ALERT_STATE_FIRING:
      return "firing";
    default:
      return "unknown";
  }
}

absl::string_view HealthName(v1::Rule::Health health) {
  switch (health) {
    case v1::Rule::HEALTH_OK:
      return "ok";
    case v1::Rule::HEALTH_ERROR:
      return "err";
    default:
      return "unknown";
  }
}

void WriteAlert(const v1::Alert& alert, JsonWriter* json) {
  json->BeginObject()
      .Key("labels")
      .Labels(LabelsOf(alert.labels()))
      .Key("annotations")
      .Labels(LabelsOf(alert.annotations()))
      .Key("state")
      .String(StateName(alert.state()))
      .Key("activeAt")
      .Time(alert.active_at_ms());
  if (alert.keep_firing_since_ms() != 0) {
    json->Key("keepFiringSince").Time(alert.keep_firing_since_ms());
  }
  json->Key("value").String(ScientificText(alert.value())).EndObject();
}

void WriteAlerting(const v1::Rule& rule, bool with_alerts, JsonWriter* json) {
  const v1::AlertingRule& alerting = rule.alerting();
  json->Key("state")
      .String(StateName(alerting.state()))
      .Key("name")
      .String(rule.name())
      .Key("query")
      .String(rule.query())
      .Key("duration")
      .Double(ToSeconds(alerting.for_()))
      .Key("keepFiringFor")
      .Double(ToSeconds(alerting.keep_firing_for()))
      .Key("labels")
      .Labels(LabelsOf(rule.labels()))
      .Key("annotations")
      .Labels(LabelsOf(alerting.annotations()))
      .Key("alerts");
  if (!with_alerts) {
    json->Null();
    return;
  }
  json->BeginArray();
  for (const v1::Alert& alert : alerting.alerts()) WriteAlert(alert, json);
  json->EndArray();
}

void WriteRule(const v1::Rule& rule, bool with_alerts, JsonWriter* json) {
  json->BeginObject();
  if (rule.has_alerting()) {
    WriteAlerting(rule, with_alerts, json);
  } else {
    json->Key("name").String(rule.name()).Key("query").String(rule.query());
    // Left out when empty, as Prometheus does for these rules alone.
    if (!rule.labels().empty()) {
      json->Key("labels").Labels(LabelsOf(rule.labels()));
    }
  }
  json->Key("health").String(HealthName(rule.health()));
  if (!rule.last_error().empty()) {
    json->Key("lastError").String(rule.last_error());
  }
  json->Key("evaluationTime")
      .Double(ToSeconds(rule.evaluation_time()))
      .Key("lastEvaluation")
      .Time(rule.last_evaluation_ms())
      .Key("type")
      .String(rule.has_alerting() ? "alerting" : "recording")
      .EndObject();
}

/// Which groups and rules a request asks for.
struct RuleFilter {
  std::vector<std::string> rule_names;
  std::vector<std::string> group_names;
  std::vector<std::string> files;
  MatcherSets matchers;
  bool alerting = true;
  bool recording = true;
  bool exclude_alerts = false;
  std::int64_t group_limit = 0;
  std::string next_token;

  bool Wants(const v1::RuleGroup& group) const {
    return OneOf(group_names, group.name()) && OneOf(files, group.file());
  }
  bool Wants(const v1::Rule& rule) const {
    if (rule.has_alerting() ? !alerting : !recording) return false;
    if (!OneOf(rule_names, rule.name())) return false;
    if (matchers.empty()) return true;
    const model::Labels labels = LabelsOf(rule.labels());
    return std::any_of(matchers.begin(), matchers.end(), [&](const auto& set) {
      return model::MatchesAll(set, labels);
    });
  }

 private:
  static bool OneOf(const std::vector<std::string>& wanted,
                    const std::string& name) {
    return wanted.empty() ||
           std::find(wanted.begin(), wanted.end(), name) != wanted.end();
  }
};

absl::Status ReadExcludeAlerts(const http::Params& params, RuleFilter* filter) {
  const std::string text = absl::AsciiStrToLower(params.Get("exclude_alerts"));
  if (text.empty() || text == "0" || text == "f" || text == "false") {
    return absl::OkStatus();
  }
  filter->exclude_alerts = text == "1" || text == "t" || text == "true";
  if (filter->exclude_alerts) return absl::OkStatus();
  return InvalidParam(
      "exclude_alerts",
      absl::StrCat("error converting exclude_alerts: strconv.ParseBool: "
                   "parsing ",
                   base::Quote(text), ": invalid syntax"));
}

absl::Status ReadPaging(const http::Params& params, RuleFilter* filter) {
  const absl::string_view limit = params.Get("group_limit");
  filter->next_token = std::string(params.Get("group_next_token"));
  if (limit.empty()) {
    if (filter->next_token.empty()) return absl::OkStatus();
    return InvalidParam("group_next_token",
                        "group_limit needs to be present in order to paginate "
                        "over the groups");
  }
  if (!absl::SimpleAtoi(limit, &filter->group_limit)) {
    return InvalidParam("group_limit",
                        absl::StrCat("group_limit needs to be a valid number: "
                                     "strconv.ParseInt: parsing ",
                                     base::Quote(limit), ": invalid syntax"));
  }
  if (filter->group_limit <= 0) {
    return InvalidParam("group_limit",
                        "group_limit needs to be greater than 0");
  }
  return absl::OkStatus();
}

absl::StatusOr<RuleFilter> ReadFilter(const http::Params& params) {
  RuleFilter filter;
  filter.rule_names = params.GetAll("rule_name[]");
  filter.group_names = params.GetAll("rule_group[]");
  filter.files = params.GetAll("file[]");
  NARTHEX_ASSIGN_OR_RETURN(filter.matchers, MatchParams(params));
  const std::string type = absl::AsciiStrToLower(params.Get("type"));
  if (!type.empty() && type != "alert" && type != "record") {
    return InvalidParam(
        "type", absl::StrCat("not supported value ", base::Quote(type)));
  }
  filter.alerting = type != "record";
  filter.recording = type != "alert";
  NARTHEX_RETURN_IF_ERROR(ReadExcludeAlerts(params, &filter));
  NARTHEX_RETURN_IF_ERROR(ReadPaging(params, &filter));
  return filter;
}

// Names a group for the next page.
std::string TokenOf(const v1::RuleGroup& group) {
  const std::string text = absl::StrCat(group.file(), ";", group.name());
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         digest.data());
  return absl::BytesToHexString(absl::string_view(
      reinterpret_cast<const char*>(digest.data()), digest.size()));
}

void WriteGroup(const v1::RuleGroup& group, const RuleFilter& filter,
                JsonWriter* json) {
  json->BeginObject()
      .Key("name")
      .String(group.name())
      .Key("file")
      .String(group.file())
      .Key("rules")
      .BeginArray();
  for (const v1::Rule& rule : group.rules()) {
    if (filter.Wants(rule)) WriteRule(rule, !filter.exclude_alerts, json);
  }
  json->EndArray()
      .Key("interval")
      .Double(ToSeconds(group.interval()))
      .Key("limit")
      .Int(group.limit())
      .Key("evaluationTime")
      .Double(ToSeconds(group.evaluation_time()))
      .Key("lastEvaluation")
      .Time(group.last_evaluation_ms())
      .EndObject();
}

absl::Status WriteGroups(const std::vector<v1::RuleGroup>& groups,
                         const RuleFilter& filter, JsonWriter* json) {
  bool found = filter.next_token.empty();
  std::int64_t written = 0;
  std::string next;
  json->BeginObject().Key("groups").BeginArray();
  for (const v1::RuleGroup& group : groups) {
    found = found || TokenOf(group) == filter.next_token;
    if (!found || !filter.Wants(group)) continue;
    const bool any =
        std::any_of(group.rules().begin(), group.rules().end(),
                    [&](const v1::Rule& rule) { return filter.Wants(rule); });
    if (!any) continue;
    if (filter.group_limit > 0 && written == filter.group_limit) {
      next = TokenOf(group);
      break;
    }
    ++written;
    WriteGroup(group, filter, json);
  }
  json->EndArray();
  if (!next.empty()) json->Key("groupNextToken").String(next);
  json->EndObject();
  if (found) return absl::OkStatus();
  return InvalidParam(
      "group_next_token",
      absl::StrCat("invalid group_next_token '", filter.next_token,
                   "'. were rule groups changed?"));
}

// Of all rulers, in one order whatever ruler has which group.
absl::StatusOr<std::vector<v1::RuleGroup>> AllGroups(
    Peers& rulers, const v1::RulesRequest& request, Answer* answer) {
  std::vector<v1::RuleGroup> groups;
  NARTHEX_RETURN_IF_ERROR(
      AskAll<v1::Ruler>(rulers, &v1::Ruler::Stub::Rules, request, answer,
                        [&groups](v1::RulesResponse page) {
                          for (v1::RuleGroup& group : *page.mutable_groups()) {
                            groups.push_back(std::move(group));
                          }
                        }));
  std::stable_sort(groups.begin(), groups.end(),
                   [](const v1::RuleGroup& a, const v1::RuleGroup& b) {
                     return std::tie(a.file(), a.name()) <
                            std::tie(b.file(), b.name());
                   });
  return groups;
}

absl::Status Rules(Peers& rulers, const http::Request& request,
                   Answer* answer) {
  NARTHEX_ASSIGN_OR_RETURN(const RuleFilter filter, ReadFilter(request.params));
  v1::RulesRequest ask;
  ask.set_exclude_alerts(filter.exclude_alerts);
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<v1::RuleGroup> groups,
                           AllGroups(rulers, ask, answer));
  return WriteGroups(groups, filter, &answer->data());
}

absl::Status Alerts(Peers& rulers, Answer* answer) {
  v1::RulesRequest ask;
  ask.set_type(v1::RulesRequest::TYPE_ALERTING);
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<v1::RuleGroup> groups,
                           AllGroups(rulers, ask, answer));
  JsonWriter& json = answer->data().BeginObject().Key("alerts").BeginArray();
  for (const v1::RuleGroup& group : groups) {
    for (const v1::Rule& rule : group.rules()) {
      for (const v1::Alert& alert : rule.alerting().alerts()) {
        WriteAlert(alert, &json);
      }
    }
  }
  json.EndArray().EndObject();
  return absl::OkStatus();
}

void WriteUrls(absl::string_view key, const std::vector<std::string>& urls,
               JsonWriter* json) {
  json->Key(key).BeginArray();
  for (const std::string& url : urls) {
    json->BeginObject().Key("url").String(url).EndObject();
  }
  json->EndArray();
}

absl::Status Alertmanagers(Peers& rulers, Answer* answer) {
  std::vector<std::string> active;
  std::vector<std::string> dropped;
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<Peer> peers, rulers.All());
  absl::Status last_error;
  std::size_t answered = 0;
  for (const Peer& peer : peers) {
    const auto stub = v1::Ruler::NewStub(peer.channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kAskTimeout);
    v1::AlertmanagersResponse response;
    const absl::Status status = rpc::FromGrpc(
        stub->Alertmanagers(&context, v1::AlertmanagersRequest(), &response),
        peer.title);
    if (!status.ok()) {
      last_error = status;
      answer->warnings.push_back(std::string(status.message()));
      continue;
    }
    ++answered;
    active.insert(active.end(), response.active().begin(),
                  response.active().end());
    dropped.insert(dropped.end(), response.dropped().begin(),
                   response.dropped().end());
  }
  if (answered == 0 && !peers.empty()) return last_error;
  // All rulers send to the same ones.
  for (std::vector<std::string>* urls : {&active, &dropped}) {
    std::sort(urls->begin(), urls->end());
    urls->erase(std::unique(urls->begin(), urls->end()), urls->end());
  }
  JsonWriter& json = answer->data().BeginObject();
  WriteUrls("activeAlertmanagers", active, &json);
  WriteUrls("droppedAlertmanagers", dropped, &json);
  json.EndObject();
  return absl::OkStatus();
}

}  // namespace

void AddRuleRoutes(ApiRoutes& routes, Peers& rulers) {
  routes.Add("GET", "/rules",
             [&rulers](const http::Request& request, Answer* answer) {
               return Rules(rulers, request, answer);
             });
  routes.Add("GET", "/alerts", [&rulers](const http::Request&, Answer* answer) {
    return Alerts(rulers, answer);
  });
  routes.Add("GET", "/alertmanagers",
             [&rulers](const http::Request&, Answer* answer) {
               return Alertmanagers(rulers, answer);
             });
}

}  // namespace narthex::querier
