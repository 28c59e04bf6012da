#include "libs/tmpl/alertmanager_data.h"

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace narthex::tmpl {
namespace {

using Args = absl::Span<const Value>;

Value PairsOf(const Value& kv);

// The elements of a list of pairs: names or values.
Function PairColumn(absl::string_view field) {
  return {"l", [field](Args args) {
            Value::List column;
            for (const Value& pair : args[0].list()) {
              column.push_back(*pair.Field(field));
            }
            return Value::OfList(std::move(column));
          }};
}

absl::StatusOr<Value> PairsText(Args args) {
  std::string out;
  const char* separator = "";
  for (const Value& pair : args[0].list()) {
    absl::StrAppend(&out, separator, pair.Field("Name")->string_value(), "=",
                    pair.Field("Value")->string_value());
    separator = ", ";
  }
  return Value::String(std::move(out));
}

const Type& PairType() {
  static const Type type = {"template.Pair", {}, {}};
  return type;
}

const Type& PairsType() {
  static const Type type = {"template.Pairs",
                            {{"Names", PairColumn("Name")},
                             {"Values", PairColumn("Value")},
                             {"String", {"l", PairsText}}},
                            {}};
  return type;
}

Function OfPairs(absl::string_view method) {
  return {"a", [method](Args args) {
            return PairsType().methods.find(method)->second.call(
                {PairsOf(args[0])});
          }};
}

absl::StatusOr<Value> RemoveKeys(Args args);

const Type& KvType() {
  static const Type type = {
      "template.KV",
      {{"SortedPairs", {"a", [](Args args) { return PairsOf(args[0]); }}},
       {"Names", OfPairs("Names")},
       {"Values", OfPairs("Values")},
       {"String", OfPairs("String")},
       {"Remove", {"al", RemoveKeys}}},
      {}};
  return type;
}

absl::StatusOr<Value> RemoveKeys(Args args) {
  Value::Map kept = args[0].map();
  for (const Value& key : args[1].list()) {
    if (key.is_string()) kept.erase(key.string_value());
  }
  return Value::StringMap(std::move(kept), &KvType());
}

// The alert's name comes first, then all in order.
Value PairsOf(const Value& kv) {
  Value::List pairs;
  const auto add = [&pairs](const std::string& name, const Value& value) {
    pairs.push_back(Value::Struct(
        {{"Name", Value::String(name)}, {"Value", value}}, &PairType()));
  };
  const auto alert_name = kv.map().find("alertname");
  if (alert_name != kv.map().end()) add("alertname", alert_name->second);
  for (const auto& [name, value] : kv.map()) {
    if (name != "alertname") add(name, value);
  }
  return Value::OfList(std::move(pairs), &PairsType());
}

const Type& AlertType() {
  static const Type type = {"template.Alert",
                            {},
                            {"status", "labels", "annotations", "startsAt",
                             "endsAt", "generatorURL", "fingerprint"}};
  return type;
}

Function WithStatus(absl::string_view status) {
  return {"l", [status](Args args) {
            std::vector<Value> alerts;
            for (const Value& alert : args[0].list()) {
              const Value* own = alert.Field("Status");
              if (own != nullptr && status == own->string_value()) {
                alerts.push_back(alert);
              }
            }
            return Value::OfList(std::move(alerts));
          }};
}

const Type& AlertsType() {
  static const Type type = {
      "template.Alerts",
      {{"Firing", WithStatus("firing")}, {"Resolved", WithStatus("resolved")}},
      {}};
  return type;
}

const Type& DataType() {
  static const Type type = {"*template.Data",
                            {},
                            {"receiver", "status", "alerts", "groupLabels",
                             "commonLabels", "commonAnnotations", "routeLabels",
                             "externalURL", "notificationReason"}};
  return type;
}

}  // namespace

Value KvValue(const std::optional<Kv>& kv) {
  if (!kv) return Value::NilStringMap(&KvType());
  Value::Map map;
  for (const auto& [name, value] : *kv) {
    map.emplace_hint(map.end(), name, Value::String(value));
  }
  return Value::StringMap(std::move(map), &KvType());
}

Value AlertValue(const AlertData& alert) {
  return Value::Struct({{"Status", Value::String(alert.status)},
                        {"Labels", KvValue(alert.labels)},
                        {"Annotations", KvValue(alert.annotations)},
                        {"StartsAt", Value::OfTime({alert.starts_at})},
                        {"EndsAt", Value::OfTime({alert.ends_at})},
                        {"GeneratorURL", Value::String(alert.generator_url)},
                        {"Fingerprint", Value::String(alert.fingerprint)}},
                       &AlertType());
}

Value AlertsValue(std::vector<Value> alerts) {
  return Value::OfList(std::move(alerts), &AlertsType());
}

Value NotificationValue(const NotificationData& data) {
  std::vector<Value> alerts;
  alerts.reserve(data.alerts.size());
  for (const AlertData& alert : data.alerts) {
    alerts.push_back(AlertValue(alert));
  }
  return Value::Struct(
      {{"Receiver", Value::String(data.receiver)},
       {"Status", Value::String(data.status)},
       {"Alerts", AlertsValue(std::move(alerts))},
       {"GroupLabels", KvValue(data.group_labels)},
       {"CommonLabels", KvValue(data.common_labels)},
       {"CommonAnnotations", KvValue(data.common_annotations)},
       {"RouteLabels", KvValue(data.route_labels)},
       {"ExternalURL", Value::String(data.external_url)},
       {"NotificationReason", Value::String(data.notification_reason)}},
      &DataType());
}

}  // namespace narthex::tmpl
