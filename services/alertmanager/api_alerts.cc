#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/alertmanager/alert_parser.h"
#include "services/alertmanager/api.h"
#include "services/alertmanager/api_answer.h"
#include "services/alertmanager/json.h"

namespace narthex::alertmanager {
namespace {

using Matchers = std::vector<model::Matcher>;

void AppendTexts(absl::string_view name, const std::vector<std::string>& texts,
                 std::string* out) {
  absl::StrAppend(out, "\"", name, "\":[");
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (i > 0) *out += ',';
    AppendJsonString(texts[i], out);
  }
  *out += ']';
}

template <typename Pairs>
void AppendPairs(const Pairs& pairs, std::string* out) {
  *out += '{';
  bool first = true;
  for (const auto& [name, value] : pairs) {
    if (!first) *out += ',';
    first = false;
    AppendJsonString(name, out);
    *out += ':';
    AppendJsonString(value, out);
  }
  *out += '}';
}

void AppendReceivers(const std::vector<std::string>& names, std::string* out) {
  *out += "\"receivers\":[";
  for (std::size_t i = 0; i < names.size(); ++i) {
    *out += i > 0 ? ",{\"name\":" : "{\"name\":";
    AppendJsonString(names[i], out);
    *out += '}';
  }
  *out += ']';
}

void AppendAlert(const Alert& alert, const AlertStatus& status,
                 const std::vector<std::string>& receivers,
                 const std::vector<std::string>& muted_by, std::string* out) {
  *out += "{\"annotations\":";
  AppendPairs(alert.content->annotations.pairs(), out);
  absl::StrAppend(out, ",\"endsAt\":\"", FormatApiTime(alert.ends_at_ms),
                  "\",\"fingerprint\":\"",
                  FormatFingerprint(alert.fingerprint()), "\",");
  AppendReceivers(receivers, out);
  absl::StrAppend(out, ",\"startsAt\":\"", FormatApiTime(alert.starts_at_ms),
                  "\",\"status\":{");
  AppendTexts("inhibitedBy", status.inhibited_by, out);
  *out += ',';
  AppendTexts("mutedBy", muted_by, out);
  *out += ',';
  AppendTexts("silencedBy", status.silenced_by, out);
  absl::StrAppend(
      out, ",\"state\":\"",
      status.suppressed() || !muted_by.empty() ? "suppressed" : "active",
      "\"},\"updatedAt\":\"", FormatApiTime(alert.updated_at_ms), "\"");
  if (!alert.content->generator_url.empty()) {
    *out += ",\"generatorURL\":";
    AppendJsonString(alert.content->generator_url, out);
  }
  *out += ",\"labels\":";
  AppendPairs(alert.labels(), out);
  *out += '}';
}

/// What a request wants to see of alerts and receivers.
class Selection {
 public:
  static absl::StatusOr<Selection> Read(const http::Request& request,
                                        const Generation& generation,
                                        MatcherSyntax syntax) {
    Selection selection;
    auto matchers = MatcherParams(request, "filter", syntax);
    if (!matchers.ok()) return matchers.status();
    selection.matchers_ = *std::move(matchers);
    auto receivers = MatcherParams(request, "receiver_matchers", syntax);
    if (!receivers.ok()) return receivers.status();
    if (request.params.Has("receiver")) {
      auto regex = model::AnchoredRegex::Create(request.params.Get("receiver"));
      if (!regex.ok()) {
        return absl::InvalidArgumentError(absl::StrCat(
            "failed to parse receiver param: ", regex.status().message()));
      }
      selection.receiver_ = *std::move(regex);
    }
    if (!receivers->empty()) {
      selection.FindReceivers(generation.config, *receivers);
    }
    selection.active_ = BoolParam(request, "active", true);
    selection.silenced_ = BoolParam(request, "silenced", true);
    selection.inhibited_ = BoolParam(request, "inhibited", true);
    return selection;
  }

  bool WantsReceiver(const std::string& name) const {
    return (!receiver_.has_value() || receiver_->Matches(name)) &&
           (!receiver_names_.has_value() ||
            std::find(receiver_names_->begin(), receiver_names_->end(), name) !=
                receiver_names_->end());
  }

  /// The cheap half: without looking at what mutes the alert.
  bool WantsAlert(const Alert& alert, std::int64_t now_ms) const {
    return !(alert.ends_at_ms != kNoTime && alert.ends_at_ms < now_ms) &&
           model::MatchesAll(matchers_, alert.labels());
  }

  bool WantsStatus(const AlertStatus& status) const {
    return (active_ || status.suppressed()) &&
           (silenced_ || status.silenced_by.empty()) &&
           (inhibited_ || status.inhibited_by.empty());
  }

 private:
  void FindReceivers(const Config& config, const Matchers& matchers) {
    receiver_names_.emplace();
    for (const ReceiverConfig& receiver : config.receivers) {
      model::LabelsBuilder labels;
      labels.Set("name", receiver.name);
      for (const auto& [name, value] : receiver.labels) {
        labels.Set(name, value);
      }
      if (model::MatchesAll(matchers, labels.Build())) {
        receiver_names_->push_back(receiver.name);
      }
    }
  }

  Matchers matchers_;
  std::optional<model::AnchoredRegex> receiver_;
  std::optional<std::vector<std::string>> receiver_names_;
  bool active_ = true;
  bool silenced_ = true;
  bool inhibited_ = true;
};

}  // namespace

void Api::GetAlerts(const http::Request& request, http::Response& response) {
  const auto generation = alertmanager_.generation();
  const auto selection = Selection::Read(
      request, *generation, alertmanager_.options().matcher_syntax);
  if (!selection.ok()) {
    return SendError(response, 400, selection.status().message());
  }
  std::vector<Alert> alerts = alertmanager_.alerts().All();
  std::sort(alerts.begin(), alerts.end(), [](const Alert& a, const Alert& b) {
    return a.fingerprint() < b.fingerprint();
  });
  const std::int64_t now = alertmanager_.clock().NowMs();
  AnswerWriter answer(response);
  answer.buffer() += '[';
  bool first = true;
  std::vector<const Route*> routes;
  for (const Alert& alert : alerts) {
    if (!selection->WantsAlert(alert, now)) continue;
    routes.clear();
    generation->route->Match(alert.labels(), &routes);
    std::vector<std::string> receivers;
    receivers.reserve(routes.size());
    for (const Route* route : routes) receivers.push_back(route->receiver());
    if (std::none_of(receivers.begin(), receivers.end(),
                     [&](const std::string& name) {
                       return selection->WantsReceiver(name);
                     })) {
      continue;
    }
    const AlertStatus status = alertmanager_.StatusOf(*generation, alert);
    if (!selection->WantsStatus(status)) continue;
    if (!first) answer.buffer() += ',';
    first = false;
    AppendAlert(alert, status, receivers, {}, &answer.buffer());
    if (!answer.Continue()) return;
  }
  answer.buffer() += ']';
  answer.Finish();
}

void Api::GetGroups(const http::Request& request, http::Response& response) {
  const auto generation = alertmanager_.generation();
  const auto selection = Selection::Read(
      request, *generation, alertmanager_.options().matcher_syntax);
  if (!selection.ok()) {
    return SendError(response, 400, selection.status().message());
  }
  const bool muted = BoolParam(request, "muted", true);
  const std::int64_t now = alertmanager_.clock().NowMs();
  std::vector<GroupView> groups = generation->dispatcher->Groups();
  std::sort(groups.begin(), groups.end(),
            [](const GroupView& a, const GroupView& b) {
              const int order = model::Labels::Compare(a.labels, b.labels);
              return order != 0 ? order < 0
                                : a.route->receiver() < b.route->receiver();
            });
  // An alert names the receivers of all groups that it is shown in.
  absl::flat_hash_map<Fingerprint, std::vector<std::string>> receivers;
  for (GroupView& group : groups) {
    const bool wanted = selection->WantsReceiver(group.route->receiver()) &&
                        (muted || group.muted_by.empty());
    auto& alerts = group.alerts;
    alerts.erase(std::remove_if(alerts.begin(), alerts.end(),
                                [&](const Alert& alert) {
                                  return !wanted ||
                                         !selection->WantsAlert(alert, now);
                                }),
                 alerts.end());
    SortAlerts(&alerts);
    for (const Alert& alert : alerts) {
      receivers[alert.fingerprint()].push_back(group.route->receiver());
    }
  }
  AnswerWriter answer(response);
  std::string& out = answer.buffer();
  out += '[';
  bool first_group = true;
  for (const GroupView& group : groups) {
    bool first = true;
    for (const Alert& alert : group.alerts) {
      const AlertStatus status = alertmanager_.StatusOf(*generation, alert);
      if (!selection->WantsStatus(status)) continue;
      if (first) out += first_group ? "{\"alerts\":[" : ",{\"alerts\":[";
      if (!first) out += ',';
      first = false;
      auto& names = receivers[alert.fingerprint()];
      std::sort(names.begin(), names.end());
      AppendAlert(alert, status, names, group.muted_by, &out);
      if (!answer.Continue()) return;
    }
    if (first) continue;
    first_group = false;
    out += "],\"labels\":";
    AppendPairs(group.labels, &out);
    out += ",\"receiver\":{\"name\":";
    AppendJsonString(group.route->receiver(), &out);
    out += '}';
    if (!group.route->labels().empty()) {
      out += ",\"routeLabels\":";
      AppendPairs(group.route->labels(), &out);
    }
    out += '}';
  }
  out += ']';
  answer.Finish();
}

void Api::PostAlerts(const http::Request& request, http::Response& response) {
  if (!CheckJsonBody(request, response)) return;
  std::vector<Alert> alerts;
  if (const absl::Status status = ParseAlerts(request.body, &alerts);
      !status.ok()) {
    return SendFormError(response, status, "alerts");
  }
  const auto generation = alertmanager_.generation();
  const std::int64_t now = alertmanager_.clock().NowMs();
  std::vector<std::string> errors;
  std::vector<Alert> valid;
  valid.reserve(alerts.size());
  for (Alert& alert : alerts) {
    CompleteTimes(now, generation->config.global.resolve_timeout_ms, &alert);
    alertmanager_.metrics().AlertReceived(!alert.ResolvedAt(now));
    const absl::Status status = ValidateAlert(alert);
    if (status.ok()) {
      valid.push_back(std::move(alert));
    } else {
      alertmanager_.metrics().AlertInvalid();
      errors.emplace_back(status.message());
    }
  }
  alertmanager_.alerts().Put(std::move(valid));
  response.headers().Set("Cache-Control", "no-store");
  if (!errors.empty()) {
    alertmanager_.log().Error("alerts refused",
                              {{"err", absl::StrJoin(errors, "; ")}});
    SendError(response, 400, absl::StrJoin(errors, "\n"));
  }
}

}  // namespace narthex::alertmanager
