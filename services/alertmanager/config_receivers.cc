#include "services/alertmanager/config_receivers.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "libs/base/duration.h"
#include "services/alertmanager/receiver_kinds.h"

namespace narthex::alertmanager {
namespace {

constexpr char kSlackPostMessage[] = "https://slack.com/api/chat.postMessage";

absl::Status CheckGlobalSecrets(const yaml::Node& node,
                                const GlobalConfig& global) {
  const auto& given = global.receiver_defaults;
  for (const auto& names : GlobalAlternatives()) {
    if (std::count_if(names.begin(), names.end(), [&](absl::string_view name) {
          return given.count(std::string(name)) > 0;
        }) > 1) {
      return node.Error(absl::StrCat("at most one of ",
                                     absl::StrJoin(names, " & "),
                                     " must be configured"));
    }
  }
  // A token in place of an incoming webhook goes to Slack's one API address.
  const auto url = given.find("slack_api_url");
  const bool has_token = given.count("slack_app_token") > 0 ||
                         given.count("slack_app_token_file") > 0;
  if (url != given.end() && url->second != kSlackPostMessage && has_token) {
    return node.Error(
        "at most one of slack_app_token & slack_api_url must be configured");
  }
  return absl::OkStatus();
}

void TakeReceiverDefault(absl::string_view field, yaml::Decoder& decoder,
                         GlobalConfig* out) {
  const bool is_map = absl::ConsumeSuffix(&field, "{}");
  const yaml::Node* value = decoder.Take(field);
  if (value == nullptr || value->is_null()) return;
  if (is_map ? !value->is_map() : !value->is_scalar()) {
    return decoder.Fail(
        value->Error(is_map ? "expected a map" : "expected a text"));
  }
  if (!value->scalar().empty()) {
    out->receiver_defaults[std::string(field)] = value->scalar();
  }
}

/// YAML as values of a template: the texts in it are templates themselves.
tmpl::Value PayloadOf(const yaml::Node& node) {
  if (node.is_map()) {
    tmpl::Value::Map map;
    for (const yaml::Node::Entry& entry : node.entries()) {
      map.emplace(entry.key, PayloadOf(*entry.value));
    }
    return tmpl::Value::OfMap(std::move(map));
  }
  if (node.is_sequence()) {
    tmpl::Value::List list;
    for (const auto& item : node.items()) list.push_back(PayloadOf(*item));
    return tmpl::Value::OfList(std::move(list));
  }
  if (node.is_null()) return tmpl::Value();
  std::int64_t integer = 0;
  double number = 0;
  bool truth = false;
  if (!node.quoted() && yaml::Decode(node, &integer).ok()) {
    return tmpl::Value::Int(integer);
  }
  if (!node.quoted() && yaml::Decode(node, &number).ok()) {
    return tmpl::Value::Float(number);
  }
  if (!node.quoted() && yaml::Decode(node, &truth).ok()) {
    return tmpl::Value::Bool(truth);
  }
  return tmpl::Value::String(node.scalar());
}

absl::Status CheckUrl(const yaml::Decoder& decoder, absl::string_view url) {
  if (absl::StrContains(url, "{{")) return absl::OkStatus();
  absl::string_view rest = url;
  if (!absl::ConsumePrefix(&rest, "http://") &&
      !absl::ConsumePrefix(&rest, "https://")) {
    return decoder.node().Error("unsupported scheme for URL in field url");
  }
  if (rest.empty() || rest[0] == '/') {
    return decoder.node().Error("missing host for URL in field url");
  }
  return absl::OkStatus();
}

absl::Status DecodeWebhook(const yaml::Node& node, const GlobalConfig& global,
                           WebhookConfig* out) {
  yaml::Decoder decoder(node);
  out->http = global.http;
  decoder.Field("send_resolved", &out->send_resolved);
  if (const yaml::Node* http = decoder.Take("http_config");
      http != nullptr && !http->is_null()) {
    out->http = http::ClientConfig();
    decoder.Fail(DecodeHttpConfig(*http, &out->http));
  }
  decoder.Field("url", &out->url);
  decoder.Field("url_file", &out->url_file);
  decoder.Field("max_alerts", &out->max_alerts);
  decoder.Duration("timeout", &out->timeout_ms);
  if (const yaml::Node* payload = decoder.Take("payload");
      payload != nullptr && !payload->is_null()) {
    out->payload = PayloadOf(*payload);
  }
  if (!out->url.empty() && !out->url_file.empty()) {
    decoder.Fail("at most one of url & url_file must be configured");
  } else if (out->url.empty() && out->url_file.empty()) {
    decoder.Fail("one of url or url_file must be configured");
  } else if (!out->url.empty()) {
    decoder.Fail(CheckUrl(decoder, out->url));
  }
  return decoder.Done();
}

/// Calls `each` for the entries of the list `field`.
template <typename Each>
void ForEachEntry(yaml::Decoder& decoder, const std::string& field, Each each) {
  const yaml::Node* list = decoder.Take(field);
  if (list == nullptr || list->is_null()) return;
  if (!list->is_sequence()) return decoder.Fail(list->Error("expected a list"));
  for (const auto& item : list->items()) {
    if (item->is_null()) {
      return decoder.Fail(item->Error("empty or null entry in a list"));
    }
    decoder.Fail(each(*item));
  }
}

}  // namespace

absl::Status DecodeHttpConfig(const yaml::Node& node, http::ClientConfig* out) {
  yaml::Decoder decoder(node);
  http::DecodeClientConfig(decoder, out);
  return decoder.Done();
}

absl::Status DecodeGlobal(const yaml::Node& node, GlobalConfig* out) {
  yaml::Decoder decoder(node);
  decoder.Duration("resolve_timeout", &out->resolve_timeout_ms);
  if (const yaml::Node* http = decoder.Take("http_config");
      http != nullptr && !http->is_null()) {
    decoder.Fail(DecodeHttpConfig(*http, &out->http));
  }
  for (const absl::string_view field : GlobalReceiverFields()) {
    TakeReceiverDefault(field, decoder, out);
  }
  if (decoder.ok()) decoder.Fail(CheckGlobalSecrets(node, *out));
  return decoder.Done();
}

absl::Status DecodeReceiver(const yaml::Node& node, const GlobalConfig& global,
                            ReceiverConfig* out,
                            std::vector<absl::Status>* unsupported) {
  yaml::Decoder decoder(node);
  decoder.Field("name", &out->name);
  decoder.Field("labels", &out->labels);
  ForEachEntry(decoder, "webhook_configs", [&](const yaml::Node& item) {
    return DecodeWebhook(item, global, &out->webhooks.emplace_back());
  });
  for (const ReceiverKind& kind : ReceiverKinds()) {
    ForEachEntry(decoder, absl::StrCat(kind.name, "_configs"),
                 [&](const yaml::Node& item) {
                   unsupported->push_back(absl::UnimplementedError(
                       item.Error(absl::StrCat(kind.name,
                                               " is known to Alertmanager, not "
                                               "supported yet"))
                           .message()));
                   return CheckReceiverKind(kind, item, global);
                 });
  }
  if (decoder.ok() && out->name.empty())
    decoder.Fail("missing name in receiver");
  return decoder.Done();
}

}  // namespace narthex::alertmanager
