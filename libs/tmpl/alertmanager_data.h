#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/tmpl/value.h"

namespace narthex::tmpl {

/// Labels or annotations of a notification; absent ones are nil in templates.
using Kv = std::map<std::string, std::string>;

/// A map of strings with the methods SortedPairs, Remove, Names and Values
/// (and, on pairs, Names, Values).
Value KvValue(const std::optional<Kv>& kv);

/// One alert of a notification.
struct AlertData {
  std::string status;  ///< "firing" or "resolved".
  std::optional<Kv> labels;
  std::optional<Kv> annotations;
  absl::Time starts_at = ZeroTime().at;
  absl::Time ends_at = ZeroTime().at;
  std::string generator_url;
  std::string fingerprint;
};

/// The dot of a notification template.
struct NotificationData {
  std::string receiver;
  std::string status;  ///< "firing" or "resolved".
  std::vector<AlertData> alerts;
  std::optional<Kv> group_labels;
  std::optional<Kv> common_labels;
  std::optional<Kv> common_annotations;
  std::optional<Kv> route_labels;
  std::string external_url;
  std::string notification_reason;
};

/// .Status, .Labels ... and JSON as webhooks carry it.
Value AlertValue(const AlertData& alert);
/// A list of alerts with the methods Firing and Resolved.
Value AlertsValue(std::vector<Value> alerts);
/// .Receiver, .Status, .Alerts, .GroupLabels ... with JSON names receiver,
/// status, alerts, groupLabels ...
Value NotificationValue(const NotificationData& data);

}  // namespace narthex::tmpl
