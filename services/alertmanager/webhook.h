#pragma once

#include <memory>
#include <string>

#include "libs/tmpl/template.h"
#include "services/alertmanager/config.h"
#include "services/alertmanager/http_sender.h"
#include "services/alertmanager/notifier.h"

namespace narthex::alertmanager {

/// Posts notifications as JSON (version 4 of Alertmanager's webhooks).
class WebhookNotifier : public Notifier {
 public:
  /// `http` is the client's configuration in `config`; `templates` are those
  /// of the configuration; `external_url` is where people reach this
  /// Alertmanager. `sender` and `clock` must outlive the notifier.
  WebhookNotifier(WebhookConfig config,
                  std::shared_ptr<const http::ClientConfig> http,
                  std::shared_ptr<const tmpl::TemplateSet> templates,
                  std::string external_url, HttpSender& sender,
                  base::Clock& clock);

  void Notify(std::shared_ptr<const Notification> notification,
              std::int64_t deadline_ms, Done done) override;

 private:
  absl::StatusOr<std::string> Url(const tmpl::Value& data) const;
  absl::StatusOr<http::FetchRequest> MakeRequest(
      const Notification& notification) const;

  const WebhookConfig config_;
  const std::shared_ptr<const http::ClientConfig> http_;
  const std::shared_ptr<const tmpl::TemplateSet> templates_;
  const std::string external_url_;
  HttpSender& sender_;
  base::Clock& clock_;
};

/// What a status code of an answer means. `retry` for 5xx only.
NotifyResult ResultOfStatus(int code);

}  // namespace narthex::alertmanager
