#include "services/alertmanager/webhook_payload.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/tmpl/alertmanager_data.h"
#include "services/alertmanager/json.h"

namespace narthex::alertmanager {
namespace {

using Pairs = std::vector<std::pair<absl::string_view, absl::string_view>>;

Pairs PairsOf(const model::Labels& labels) {
  Pairs pairs;
  for (const model::Label& label : labels) {
    pairs.emplace_back(label.name, label.value);
  }
  return pairs;
}

/// What is in both; both sorted.
void KeepCommon(const Pairs& other, Pairs* common) {
  Pairs kept;
  std::set_intersection(common->begin(), common->end(), other.begin(),
                        other.end(), std::back_inserter(kept));
  *common = std::move(kept);
}

/// A notification cut to the alerts that are sent, and what they share.
struct Message {
  std::size_t count = 0;
  std::size_t truncated = 0;
  bool firing = false;
  Pairs common_labels;
  Pairs common_annotations;
};

Message Digest(const Notification& notification, std::uint64_t max_alerts) {
  const std::vector<Alert>& alerts = notification.alerts;
  Message message;
  message.count = alerts.size();
  if (max_alerts != 0 && alerts.size() > max_alerts) {
    message.count = max_alerts;
    message.truncated = alerts.size() - max_alerts;
  }
  for (std::size_t i = 0; i < message.count; ++i) {
    const Alert& alert = alerts[i];
    message.firing |= !alert.ResolvedAt(notification.now_ms);
    if (i == 0) {
      message.common_labels = PairsOf(alert.labels());
      message.common_annotations = alert.content->annotations.pairs();
    } else {
      KeepCommon(PairsOf(alert.labels()), &message.common_labels);
      if (!message.common_annotations.empty()) {
        KeepCommon(alert.content->annotations.pairs(),
                   &message.common_annotations);
      }
    }
  }
  return message;
}

absl::string_view StatusName(bool firing) {
  return firing ? "firing" : "resolved";
}

void AppendField(absl::string_view name, absl::string_view value,
                 std::string* out) {
  absl::StrAppend(out, "\"", name, "\":");
  AppendJsonString(value, out);
}

void AppendMap(absl::string_view name, const Pairs& pairs, std::string* out) {
  absl::StrAppend(out, "\"", name, "\":{");
  bool first = true;
  for (const auto& [key, value] : pairs) {
    if (!first) *out += ',';
    first = false;
    AppendJsonString(key, out);
    *out += ':';
    AppendJsonString(value, out);
  }
  *out += '}';
}

void AppendAlert(const Alert& alert, std::int64_t now_ms, std::string* out) {
  *out += '{';
  AppendField("status", StatusName(!alert.ResolvedAt(now_ms)), out);
  *out += ',';
  AppendMap("labels", PairsOf(alert.labels()), out);
  *out += ',';
  AppendMap("annotations", alert.content->annotations.pairs(), out);
  absl::StrAppend(out, ",\"startsAt\":\"", FormatTime(alert.starts_at_ms),
                  "\",\"endsAt\":\"", FormatTime(alert.ends_at_ms), "\",");
  AppendField("generatorURL", alert.content->generator_url, out);
  absl::StrAppend(out, ",\"fingerprint\":\"",
                  FormatFingerprint(alert.fingerprint()), "\"}");
}

tmpl::Kv KvOf(const Pairs& pairs) {
  tmpl::Kv kv;
  for (const auto& [name, value] : pairs) {
    kv.emplace(std::string(name), std::string(value));
  }
  return kv;
}

absl::Time TimeOf(std::int64_t ms) {
  return ms == kNoTime ? tmpl::ZeroTime().at : absl::FromUnixMillis(ms);
}

}  // namespace

std::string WebhookPayload(const Notification& notification,
                           std::uint64_t max_alerts,
                           absl::string_view external_url) {
  const Message message = Digest(notification, max_alerts);
  std::string out = "{";
  AppendField("receiver", notification.receiver, &out);
  out += ',';
  AppendField("status", StatusName(message.firing), &out);
  out += ",\"alerts\":[";
  for (std::size_t i = 0; i < message.count; ++i) {
    if (i > 0) out += ',';
    AppendAlert(notification.alerts[i], notification.now_ms, &out);
  }
  out += "],";
  AppendField("notification_reason", notification.reason, &out);
  out += ',';
  AppendMap("groupLabels", PairsOf(notification.group_labels), &out);
  out += ',';
  AppendMap("commonLabels", message.common_labels, &out);
  out += ',';
  AppendMap("commonAnnotations", message.common_annotations, &out);
  out += ',';
  AppendField("externalURL", external_url, &out);
  out += ",\"version\":\"4\",";
  AppendField("groupKey", notification.group_key, &out);
  absl::StrAppend(&out, ",\"truncatedAlerts\":", message.truncated, "}\n");
  return out;
}

tmpl::Value TemplateData(const Notification& notification,
                         std::uint64_t max_alerts,
                         absl::string_view external_url) {
  const Message message = Digest(notification, max_alerts);
  tmpl::NotificationData data;
  data.receiver = notification.receiver;
  data.status = std::string(StatusName(message.firing));
  for (std::size_t i = 0; i < message.count; ++i) {
    const Alert& alert = notification.alerts[i];
    tmpl::AlertData& out = data.alerts.emplace_back();
    out.status =
        std::string(StatusName(!alert.ResolvedAt(notification.now_ms)));
    out.labels = KvOf(PairsOf(alert.labels()));
    out.annotations = KvOf(alert.content->annotations.pairs());
    out.starts_at = TimeOf(alert.starts_at_ms);
    out.ends_at = TimeOf(alert.ends_at_ms);
    out.generator_url = alert.content->generator_url;
    out.fingerprint = FormatFingerprint(alert.fingerprint());
  }
  data.group_labels = KvOf(PairsOf(notification.group_labels));
  data.common_labels = KvOf(message.common_labels);
  data.common_annotations = KvOf(message.common_annotations);
  data.route_labels = notification.route_labels;
  data.external_url = std::string(external_url);
  data.notification_reason = notification.reason;
  return tmpl::NotificationValue(data);
}

}  // namespace narthex::alertmanager
