#include "services/alertmanager/api.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "services/alertmanager/api_answer.h"
#include "services/alertmanager/json.h"
#include "services/alertmanager/landing_page.h"

namespace narthex::alertmanager {
namespace {

// A body of alerts may be large; an endless one is refused.
constexpr std::size_t kMaxBodyBytes = 64 << 20;

int MaxGets(std::int64_t configured) {
  if (configured > 0) return static_cast<int>(configured);
  return std::max(static_cast<int>(std::thread::hardware_concurrency()), 8);
}

}  // namespace

Api::Api(Alertmanager& alertmanager, ApiOptions options,
         metrics::Registry& registry)
    : alertmanager_(alertmanager),
      options_(std::move(options)),
      max_gets_(MaxGets(options_.get_concurrency)),
      durations_(registry.NewHistogramFamily(
          "alertmanager_http_request_duration_seconds",
          "Histogram of latencies for HTTP requests.",
          {"code", "handler", "method"},
          {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 2, 5, 20, 60})),
      in_flight_(registry.NewGaugeFamily(
          "alertmanager_http_requests_in_flight",
          "Current number of HTTP requests being processed.", {"method"})),
      limited_(registry.NewCounterFamily(
          "alertmanager_http_concurrency_limit_exceeded_total",
          "Total number of times an HTTP request failed because the "
          "concurrency limit was reached.",
          {"method"})) {
  in_flight_.With({"get"});
  limited_.With({"get"});
}

void Api::Serve(const std::string& pattern, Method handler,
                const http::Request& request, http::Response& response) {
  const auto start = std::chrono::steady_clock::now();
  const bool is_get = request.method == "GET" || request.method == "HEAD";
  const int running = is_get ? ++gets_ : 0;
  if (is_get) in_flight_.With({"get"}).Set(running);
  if (running > max_gets_) {
    limited_.With({"get"}).Inc();
    response.Error(503,
                   absl::StrCat("Limit of concurrent GET requests reached (",
                                max_gets_, "), try again later."));
  } else {
    (this->*handler)(request, response);
  }
  if (is_get) in_flight_.With({"get"}).Set(--gets_);
  const std::chrono::duration<double> took =
      std::chrono::steady_clock::now() - start;
  durations_
      .With({absl::StrCat(response.status()), pattern,
             absl::AsciiStrToLower(request.method)})
      .Observe(took.count());
}

void Api::Handle(http::Router& router, absl::string_view method,
                 absl::string_view pattern, Method handler) {
  router.Handle(method, pattern,
                [this, handler, name = std::string(pattern)](
                    const http::Request& request, http::Response& response) {
                  Serve(name, handler, request, response);
                },
                {.max_body_bytes = kMaxBodyBytes});
}

void Api::Register(http::Router& router) {
  Handle(router, "GET", "/api/v2/status", &Api::GetStatus);
  Handle(router, "GET", "/api/v2/receivers", &Api::GetReceivers);
  Handle(router, "GET", "/api/v2/alerts", &Api::GetAlerts);
  Handle(router, "POST", "/api/v2/alerts", &Api::PostAlerts);
  Handle(router, "GET", "/api/v2/alerts/groups", &Api::GetGroups);
  Handle(router, "GET", "/api/v2/silences", &Api::GetSilences);
  Handle(router, "POST", "/api/v2/silences", &Api::PostSilences);
  Handle(router, "GET", "/api/v2/silence/{silenceID}", &Api::GetSilence);
  Handle(router, "DELETE", "/api/v2/silence/{silenceID}", &Api::DeleteSilence);
  Handle(router, "GET POST PUT DELETE", "/api/v2/{path...}", &Api::NotFound);
  Handle(router, "GET POST", "/api/v1/{path...}", &Api::Gone);
  Handle(router, "GET", "/", &Api::Landing);
}

void Api::NotFound(const http::Request& request, http::Response& response) {
  SendFormError(response, 404, 404,
                absl::StrCat("path ", request.path, " was not found"));
}

void Api::Gone(const http::Request& /*request*/, http::Response& response) {
  response.Send(410, "application/json",
                "{\"status\":\"deprecated\",\"error\":\"The API v1 was "
                "removed - please use the equivalent route in the v2 API\"}");
}

void Api::GetReceivers(const http::Request& /*request*/,
                       http::Response& response) {
  const auto generation = alertmanager_.generation();
  std::string json = "[";
  for (const ReceiverConfig& receiver : generation->config.receivers) {
    if (json.size() > 1) json += ',';
    json += "{\"labels\":{";
    // The name is a label of the receiver as well, unless it has its own.
    std::map<std::string, std::string> labels = receiver.labels;
    labels.emplace("name", receiver.name);
    bool first = true;
    for (const auto& [name, value] : labels) {
      if (!first) json += ',';
      first = false;
      AppendJsonString(name, &json);
      json += ':';
      AppendJsonString(value, &json);
    }
    json += "},\"name\":";
    AppendJsonString(receiver.name, &json);
    json += '}';
  }
  json += ']';
  SendJson(response, std::move(json));
}

void Api::GetStatus(const http::Request& /*request*/,
                    http::Response& response) {
  const auto generation = alertmanager_.generation();
  std::string json =
      "{\"cluster\":{\"peers\":[],\"status\":\"disabled\"},"
      "\"config\":{\"original\":";
  AppendJsonString(PrintConfig(generation->config), &json);
  absl::StrAppend(&json, "},\"uptime\":\"",
                  FormatApiTime(alertmanager_.start_time_ms()),
                  "\",\"versionInfo\":{\"branch\":\"main\",\"buildDate\":");
  AppendJsonString(options_.build_date, &json);
  json += ",\"buildUser\":\"narthex\",\"goVersion\":\"\",\"revision\":";
  AppendJsonString(options_.revision, &json);
  json += ",\"version\":";
  AppendJsonString(options_.version, &json);
  json += "}}";
  SendJson(response, std::move(json));
}

void Api::Landing(const http::Request& /*request*/, http::Response& response) {
  response.Send(200, "text/html; charset=utf-8", std::string(LandingPage()));
}

}  // namespace narthex::alertmanager
