#include "services/alertmanager/receiver_kinds.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/alertmanager/config_receivers.h"

namespace narthex::alertmanager {
namespace {

std::vector<absl::string_view> Words(absl::string_view text) {
  return absl::StrSplit(text, ' ', absl::SkipEmpty());
}

absl::Status CheckShape(const yaml::Node& value, absl::string_view field) {
  if (value.is_null()) return absl::OkStatus();
  if (absl::EndsWith(field, "[]")) {
    if (!value.is_sequence()) return value.Error("expected a list");
    for (const auto& item : value.items()) {
      if (item->is_null()) return item->Error("empty or null entry in a list");
    }
    return absl::OkStatus();
  }
  if (absl::EndsWith(field, "{}")) {
    return value.is_map() ? absl::OkStatus() : value.Error("expected a map");
  }
  return value.is_scalar() ? absl::OkStatus() : value.Error("expected a text");
}

absl::string_view BareName(absl::string_view field) {
  if (!absl::ConsumeSuffix(&field, "[]")) absl::ConsumeSuffix(&field, "{}");
  return field;
}

bool IsGiven(const yaml::Node& node, absl::string_view name) {
  const yaml::Node* value = node.Find(name);
  if (value == nullptr || value->is_null()) return false;
  return !value->is_scalar() || !value->scalar().empty();
}

absl::Status CheckRequired(absl::string_view rule, const yaml::Node& node,
                           const GlobalConfig& global) {
  const std::vector<std::string> places = absl::StrSplit(rule, '|');
  const std::vector<std::string> names = absl::StrSplit(places[0], '/');
  const auto given = std::count_if(
      names.begin(), names.end(),
      [&node](const std::string& name) { return IsGiven(node, name); });
  if (given > 1) {
    return node.Error(absl::StrCat(
        "at most one of ", absl::StrJoin(names, " & "), " must be configured"));
  }
  if (given == 1) return absl::OkStatus();
  if (places.size() > 1) {
    const std::vector<std::string> defaults = absl::StrSplit(places[1], '/');
    for (const std::string& name : defaults) {
      if (global.receiver_defaults.count(name) > 0) return absl::OkStatus();
    }
  }
  return node.Error(absl::StrCat(
      "missing ", absl::StrJoin(names, " or "),
      places.size() > 1 ? ", and no default for it in global" : ""));
}

/// A Slack bot token given as a bearer token in place of an address.
bool HasAuthorization(const yaml::Node& node) {
  const yaml::Node* http = node.Find("http_config");
  return http != nullptr && http->Find("authorization") != nullptr;
}

absl::Status CheckSlackUpdate(const yaml::Node& node) {
  const yaml::Node* update = node.Find("update_message");
  const yaml::Node* url = node.Find("api_url");
  if (update != nullptr && update->scalar() == "true" && url != nullptr &&
      url->scalar() != "https://slack.com/api/chat.postMessage") {
    return url->Error(
        "update_message needs a bot token and the address "
        "https://slack.com/api/chat.postMessage");
  }
  return absl::OkStatus();
}

}  // namespace

const std::vector<ReceiverKind>& ReceiverKinds() {
  static const auto* const kinds = new std::vector<ReceiverKind>{
      {"discord",
       Words("webhook_url webhook_url_file title message content username "
             "avatar_url"),
       Words("webhook_url/webhook_url_file")},
      {"email",
       Words("to from smarthost hello auth_username auth_password "
             "auth_password_file auth_secret auth_secret_file auth_identity "
             "require_tls force_implicit_tls tls_config{} html text headers{} "
             "threading{}"),
       Words("to from|smtp_from smarthost|smtp_smarthost")},
      {"incidentio",
       Words("url url_file alert_source_token alert_source_token_file "
             "max_alerts timeout metadata{}"),
       Words("url/url_file")},
      {"jira",
       Words("api_url api_type project issue_type summary* description* "
             "labels[] priority fields{} resolve_transition reopen_transition "
             "wont_fix_resolution reopen_duration custom_fields{}"),
       Words("api_url|jira_api_url project issue_type")},
      {"mattermost",
       Words("webhook_url webhook_url_file channel username icon_url "
             "icon_emoji color fallback pretext text author_name author_link "
             "author_icon title title_link fields[] thumb_url image_url "
             "footer footer_icon attachments[] props{} priority{} type"),
       Words("webhook_url/webhook_url_file|mattermost_webhook_url/"
             "mattermost_webhook_url_file")},
      {"msteams", Words("webhook_url webhook_url_file title text summary"),
       Words("webhook_url/webhook_url_file")},
      {"msteamsv2", Words("webhook_url webhook_url_file title text"),
       Words("webhook_url/webhook_url_file")},
      {"opsgenie",
       Words("api_key api_key_file api_url message description source "
             "details{} entity responders[] actions tags note priority "
             "update_alerts"),
       Words("api_key/api_key_file|opsgenie_api_key/opsgenie_api_key_file")},
      {"pagerduty",
       Words("service_key service_key_file routing_key routing_key_file url "
             "client client_url description details{} images[] links[] source "
             "severity class component group timeout"),
       Words("routing_key/routing_key_file/service_key/service_key_file")},
      {"pushover",
       Words("user_key user_key_file token token_file title message url "
             "url_title device sound priority retry expire ttl html "
             "monospace"),
       Words("user_key/user_key_file token/token_file")},
      {"rocketchat",
       Words("api_url token_id token_id_file token token_file channel color "
             "title title_link text fields[] short_fields emoji icon_url "
             "image_url thumb_url link_names actions[]"),
       Words("token/token_file|rocketchat_token/rocketchat_token_file "
             "token_id/token_id_file|rocketchat_token_id/"
             "rocketchat_token_id_file")},
      {"slack",
       Words("api_url api_url_file app_token app_token_file app_url channel "
             "username color title title_link pretext text message_text "
             "fields[] short_fields footer fallback callback_id icon_emoji "
             "icon_url image_url thumb_url link_names mrkdwn_in[] actions[] "
             "timeout update_message"),
       Words("api_url/api_url_file/app_token/app_token_file|slack_api_url/"
             "slack_api_url_file/slack_app_token/slack_app_token_file")},
      {"sns",
       Words("api_url sigv4{} topic_arn phone_number target_arn subject "
             "message attributes{}"),
       Words("topic_arn/phone_number/target_arn")},
      {"telegram",
       Words("api_url bot_token bot_token_file chat_id chat_id_file "
             "message_thread_id message disable_notifications parse_mode"),
       Words("bot_token/bot_token_file|telegram_bot_token/"
             "telegram_bot_token_file chat_id/chat_id_file")},
      {"victorops",
       Words("api_key api_key_file api_url routing_key message_type "
             "state_message entity_display_name monitoring_tool "
             "custom_fields{}"),
       Words("api_key/api_key_file|victorops_api_key/victorops_api_key_file "
             "routing_key")},
      {"webex", Words("api_url message room_id"), Words("room_id")},
      {"wechat",
       Words("api_secret api_secret_file corp_id message api_url to_user "
             "to_party to_tag agent_id message_type"),
       Words("api_secret/api_secret_file|wechat_api_secret/"
             "wechat_api_secret_file corp_id|wechat_api_corp_id")},
  };
  return *kinds;
}

absl::Status CheckReceiverKind(const ReceiverKind& kind, const yaml::Node& node,
                               const GlobalConfig& global) {
  if (!node.is_map() && !node.is_null()) return node.Error("expected a map");
  for (const yaml::Node::Entry& entry : node.entries()) {
    if (entry.key == "send_resolved") continue;
    if (entry.key == "http_config") {
      http::ClientConfig ignored;
      absl::Status status = DecodeHttpConfig(*entry.value, &ignored);
      if (!status.ok()) return status;
      continue;
    }
    const auto field = std::find_if(
        kind.fields.begin(), kind.fields.end(), [&](absl::string_view name) {
          return BareName(absl::StripSuffix(name, "*")) == entry.key;
        });
    if (field == kind.fields.end()) {
      return node.ErrorAt(entry.line,
                          absl::StrCat("field ", entry.key, " not found"));
    }
    if (absl::EndsWith(*field, "*")) continue;
    if (absl::Status status = CheckShape(*entry.value, *field); !status.ok()) {
      return status;
    }
  }
  for (const absl::string_view rule : kind.required) {
    if (kind.name == "slack" && HasAuthorization(node)) break;
    if (absl::Status status = CheckRequired(rule, node, global); !status.ok()) {
      return status;
    }
  }
  return kind.name == "slack" ? CheckSlackUpdate(node) : absl::OkStatus();
}

const std::vector<absl::string_view>& GlobalReceiverFields() {
  static const auto* const fields = new std::vector<absl::string_view>(Words(
      "jira_api_url mattermost_webhook_url mattermost_webhook_url_file "
      "opsgenie_api_key opsgenie_api_key_file opsgenie_api_url pagerduty_url "
      "rocketchat_api_url rocketchat_token rocketchat_token_file "
      "rocketchat_token_id rocketchat_token_id_file slack_api_url "
      "slack_api_url_file slack_app_token slack_app_token_file slack_app_url "
      "smtp_auth_identity smtp_auth_password smtp_auth_password_file "
      "smtp_auth_secret smtp_auth_secret_file smtp_auth_username smtp_from "
      "smtp_hello smtp_require_tls smtp_smarthost smtp_tls_config{} "
      "smtp_force_implicit_tls telegram_api_url telegram_bot_token "
      "telegram_bot_token_file victorops_api_key victorops_api_key_file "
      "victorops_api_url webex_api_url wechat_api_corp_id wechat_api_secret "
      "wechat_api_secret_file wechat_api_url"));
  return *fields;
}

const std::vector<std::vector<absl::string_view>>& GlobalAlternatives() {
  static const auto* const sets =
      new std::vector<std::vector<absl::string_view>>{
          {"mattermost_webhook_url", "mattermost_webhook_url_file"},
          {"opsgenie_api_key", "opsgenie_api_key_file"},
          {"rocketchat_token", "rocketchat_token_file"},
          {"rocketchat_token_id", "rocketchat_token_id_file"},
          {"slack_api_url", "slack_api_url_file"},
          {"slack_app_token", "slack_app_token_file"},
          {"smtp_auth_password", "smtp_auth_password_file"},
          {"smtp_auth_secret", "smtp_auth_secret_file"},
          {"telegram_bot_token", "telegram_bot_token_file"},
          {"victorops_api_key", "victorops_api_key_file"},
          {"wechat_api_secret", "wechat_api_secret_file"},
      };
  return *sets;
}

}  // namespace narthex::alertmanager
