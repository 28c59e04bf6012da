#include "services/ruler/service.h"

#include <string>

namespace narthex::ruler {
namespace {

google::protobuf::Duration ToDuration(std::int64_t ns) {
  google::protobuf::Duration duration;
  duration.set_seconds(ns / 1'000'000'000);
  duration.set_nanos(static_cast<std::int32_t>(ns % 1'000'000'000));
  return duration;
}

google::protobuf::Duration MsToDuration(std::int64_t ms) {
  google::protobuf::Duration duration;
  duration.set_seconds(ms / 1000);
  duration.set_nanos(static_cast<std::int32_t>(ms % 1000 * 1'000'000));
  return duration;
}

std::string Encoded(const model::Labels& labels) {
  return std::string(labels.encoded());
}

v1::AlertState ToProto(rules::AlertState state) {
  switch (state) {
    case rules::AlertState::kInactive:
      return v1::ALERT_STATE_INACTIVE;
    case rules::AlertState::kPending:
      return v1::ALERT_STATE_PENDING;
    case rules::AlertState::kFiring:
      return v1::ALERT_STATE_FIRING;
    case rules::AlertState::kUnknown:
      break;
  }
  return v1::ALERT_STATE_UNSPECIFIED;
}

v1::Rule::Health ToProto(rules::Health health) {
  switch (health) {
    case rules::Health::kOk:
      return v1::Rule::HEALTH_OK;
    case rules::Health::kError:
      return v1::Rule::HEALTH_ERROR;
    case rules::Health::kUnknown:
      break;
  }
  return v1::Rule::HEALTH_UNSPECIFIED;
}

void Fill(const rules::AlertStatus& alert, v1::Alert* out) {
  out->set_labels(Encoded(alert.labels));
  out->set_annotations(Encoded(alert.annotations));
  out->set_state(ToProto(alert.state));
  out->set_active_at_ms(alert.active_at_ms);
  out->set_keep_firing_since_ms(alert.keep_firing_since_ms);
  out->set_value(alert.value);
}

void Fill(const rules::RuleStatus& rule, bool with_alerts, v1::Rule* out) {
  out->set_name(rule.name);
  out->set_query(rule.query);
  out->set_labels(Encoded(rule.labels));
  out->set_health(ToProto(rule.health));
  out->set_last_error(rule.last_error);
  *out->mutable_evaluation_time() = ToDuration(rule.evaluation_ns);
  out->set_last_evaluation_ms(rule.last_evaluation_ms);
  if (!rule.alerting) return;
  v1::AlertingRule& alerting = *out->mutable_alerting();
  alerting.set_state(ToProto(rule.state));
  *alerting.mutable_for_() = MsToDuration(rule.for_ms);
  *alerting.mutable_keep_firing_for() = MsToDuration(rule.keep_firing_for_ms);
  alerting.set_annotations(Encoded(rule.annotations));
  if (!with_alerts) return;
  for (const rules::AlertStatus& alert : rule.alerts) {
    Fill(alert, alerting.add_alerts());
  }
}

bool IsWanted(const rules::RuleStatus& rule, v1::RulesRequest::Type type) {
  switch (type) {
    case v1::RulesRequest::TYPE_ALERTING:
      return rule.alerting;
    case v1::RulesRequest::TYPE_RECORDING:
      return !rule.alerting;
    default:
      return true;
  }
}

}  // namespace

v1::RuleGroup ToProto(const rules::GroupStatus& group,
                      const v1::RulesRequest& request) {
  v1::RuleGroup out;
  out.set_name(group.name);
  out.set_file(group.file);
  *out.mutable_interval() = MsToDuration(group.interval_ms);
  out.set_limit(group.limit);
  *out.mutable_evaluation_time() = ToDuration(group.evaluation_ns);
  out.set_last_evaluation_ms(group.last_evaluation_ms);
  for (const rules::RuleStatus& rule : group.rules) {
    if (!IsWanted(rule, request.type())) continue;
    Fill(rule, !request.exclude_alerts(), out.add_rules());
  }
  return out;
}

grpc::Status RulerService::Rules(
    grpc::ServerContext* /*context*/, const v1::RulesRequest* request,
    grpc::ServerWriter<v1::RulesResponse>* writer) {
  for (const rules::GroupStatus& group : manager_.Status()) {
    v1::RulesResponse response;
    *response.add_groups() = ToProto(group, *request);
    if (!writer->Write(response)) return grpc::Status::CANCELLED;
  }
  return grpc::Status::OK;
}

grpc::Status RulerService::Alertmanagers(
    grpc::ServerContext* /*context*/,
    const v1::AlertmanagersRequest* /*request*/,
    v1::AlertmanagersResponse* response) {
  for (std::string& url : notifier_.active_urls()) {
    response->add_active(std::move(url));
  }
  for (std::string& url : notifier_.dropped_urls()) {
    response->add_dropped(std::move(url));
  }
  return grpc::Status::OK;
}

}  // namespace narthex::ruler
