#include "services/alertmanager/webhook.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/tmpl/alertmanager_functions.h"
#include "libs/tmpl/json.h"
#include "services/alertmanager/webhook_payload.h"

namespace narthex::alertmanager {
namespace {

// An answer's body says nothing we use; nobody shall fill our memory with it.
constexpr std::int64_t kMaxAnswerBytes = 1 << 20;

/// Runs every text in `value` as a template.
absl::StatusOr<tmpl::Value> Expand(const tmpl::Value& value,
                                   const tmpl::TemplateSet& templates,
                                   const tmpl::Value& data) {
  switch (value.kind()) {
    case tmpl::Value::Kind::kString: {
      NARTHEX_ASSIGN_OR_RETURN(
          std::string text,
          tmpl::ExpandAlertmanager(templates, value.string_value(), data,
                                   /*html=*/false));
      return tmpl::Value::String(std::move(text));
    }
    case tmpl::Value::Kind::kList: {
      tmpl::Value::List list;
      for (const tmpl::Value& item : value.list()) {
        NARTHEX_ASSIGN_OR_RETURN(tmpl::Value expanded,
                                 Expand(item, templates, data));
        list.push_back(std::move(expanded));
      }
      return tmpl::Value::OfList(std::move(list));
    }
    case tmpl::Value::Kind::kMap: {
      tmpl::Value::Map map;
      for (const auto& [name, item] : value.map()) {
        NARTHEX_ASSIGN_OR_RETURN(tmpl::Value expanded,
                                 Expand(item, templates, data));
        map.emplace(name, std::move(expanded));
      }
      return tmpl::Value::OfMap(std::move(map));
    }
    default:
      return value;
  }
}

NotifyResult ResultOf(const http::FetchResult& result) {
  // An answer with an endless body is an answer all the same.
  if (!result.status.ok() && !absl::IsResourceExhausted(result.status)) {
    NotifyResult failure{result.status, /*retry=*/true, FailureReason::kOther};
    if (absl::IsDeadlineExceeded(result.status)) {
      failure.reason = FailureReason::kDeadlineExceeded;
    } else if (absl::IsCancelled(result.status)) {
      failure.reason = FailureReason::kCanceled;
    }
    return failure;
  }
  return ResultOfStatus(result.code);
}

}  // namespace

absl::string_view FailureReasonName(FailureReason reason) {
  switch (reason) {
    case FailureReason::kClientError:
      return "clientError";
    case FailureReason::kServerError:
      return "serverError";
    case FailureReason::kAuthError:
      return "authError";
    case FailureReason::kRateLimited:
      return "rateLimited";
    case FailureReason::kCanceled:
      return "contextCanceled";
    case FailureReason::kDeadlineExceeded:
      return "contextDeadlineExceeded";
    case FailureReason::kOther:
      return "other";
  }
  return "other";
}

NotifyResult ResultOfStatus(int code) {
  if (code / 100 == 2) return {absl::OkStatus(), false, FailureReason::kOther};
  NotifyResult result;
  result.status =
      absl::UnavailableError(absl::StrCat("unexpected status code ", code));
  result.retry = code / 100 == 5;
  if (code == 401 || code == 403) {
    result.reason = FailureReason::kAuthError;
  } else if (code == 429) {
    result.reason = FailureReason::kRateLimited;
  } else if (code / 100 == 4) {
    result.reason = FailureReason::kClientError;
  } else if (code / 100 == 5) {
    result.reason = FailureReason::kServerError;
  }
  return result;
}

WebhookNotifier::WebhookNotifier(
    WebhookConfig config, std::shared_ptr<const http::ClientConfig> http,
    std::shared_ptr<const tmpl::TemplateSet> templates,
    std::string external_url, HttpSender& sender, base::Clock& clock)
    : config_(std::move(config)),
      http_(std::move(http)),
      templates_(std::move(templates)),
      external_url_(std::move(external_url)),
      sender_(sender),
      clock_(clock) {}

absl::StatusOr<std::string> WebhookNotifier::Url(
    const tmpl::Value& data) const {
  std::string url = config_.url;
  if (!config_.url_file.empty()) {
    NARTHEX_ASSIGN_OR_RETURN(url, base::ReadFile(config_.url_file));
    absl::StripAsciiWhitespace(&url);
  }
  if (!absl::StrContains(url, "{{")) return url;
  return tmpl::ExpandAlertmanager(*templates_, url, data, /*html=*/false);
}

absl::StatusOr<http::FetchRequest> WebhookNotifier::MakeRequest(
    const Notification& notification) const {
  const bool plain = config_.payload.is_nil() && config_.url_file.empty() &&
                     !absl::StrContains(config_.url, "{{");
  const tmpl::Value data =
      plain ? tmpl::Value()
            : TemplateData(notification, config_.max_alerts, external_url_);
  http::FetchRequest request;
  request.method = "POST";
  NARTHEX_ASSIGN_OR_RETURN(request.url, Url(data));
  request.headers.Set("Content-Type", "application/json");
  request.config = http_;
  request.max_body_bytes = kMaxAnswerBytes;
  if (config_.payload.is_nil()) {
    request.body =
        WebhookPayload(notification, config_.max_alerts, external_url_);
  } else {
    NARTHEX_ASSIGN_OR_RETURN(const tmpl::Value payload,
                             Expand(config_.payload, *templates_, data));
    NARTHEX_ASSIGN_OR_RETURN(request.body, tmpl::ToJson(payload));
  }
  return request;
}

void WebhookNotifier::Notify(std::shared_ptr<const Notification> notification,
                             std::int64_t deadline_ms, Done done) {
  absl::StatusOr<http::FetchRequest> request = MakeRequest(*notification);
  if (!request.ok()) {
    return done({request.status(), /*retry=*/false, FailureReason::kOther});
  }
  const std::int64_t left = deadline_ms - clock_.NowMs();
  request->timeout_ms = std::max<std::int64_t>(
      config_.timeout_ms > 0 ? std::min(config_.timeout_ms, left) : left, 1);
  sender_.Send(*std::move(request),
               [done = std::move(done)](const http::FetchResult& result) {
                 done(ResultOf(result));
               });
}

}  // namespace narthex::alertmanager
