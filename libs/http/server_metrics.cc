#include "libs/http/server_metrics.h"

#include "absl/strings/str_cat.h"

namespace narthex::http {

ServerMetrics::ServerMetrics(metrics::Registry& registry)
    : requests_(registry.NewCounterFamily("prometheus_http_requests_total",
                                          "Counter of HTTP requests.",
                                          {"handler", "code"})),
      seconds_(registry.NewHistogramFamily(
          "prometheus_http_request_duration_seconds",
          "Histogram of latencies for HTTP requests.", {"handler"},
          {.1, .2, .4, 1, 3, 8, 20, 60, 120})),
      bytes_(registry.NewHistogramFamily(
          "prometheus_http_response_size_bytes",
          "Histogram of response size for HTTP requests.", {"handler"},
          metrics::ExponentialBuckets(100, 10, 8))),
      aborted_(registry.NewCounter(
          "narthex_http_aborted_responses_total",
          "Answers that were broken off by an error after their beginning.")),
      accepted_(registry.NewCounter(
          "net_conntrack_listener_conn_accepted_total",
          "Total number of connections opened to the listener of a given name.",
          {{"listener_name", "http"}})),
      closed_(registry.NewCounter(
          "net_conntrack_listener_conn_closed_total",
          "Total number of connections closed that were made to the listener "
          "of a given name.",
          {{"listener_name", "http"}})) {}

void ServerMetrics::Observe(const Exchange& exchange) {
  const Handler& handler = Of(exchange.handler);
  if (exchange.status == 200) {
    handler.ok->Inc();
  } else {
    requests_.With({exchange.handler, absl::StrCat(exchange.status)}).Inc();
  }
  if (exchange.aborted) aborted_.Inc();
  handler.seconds->Observe(exchange.seconds);
  handler.bytes->Observe(static_cast<double>(exchange.response_bytes));
}

const ServerMetrics::Handler& ServerMetrics::Of(const std::string& name) {
  {
    base::ReaderMutexLock lock(mutex_);
    if (auto it = handlers_.find(name); it != handlers_.end()) {
      return *it->second;
    }
  }
  base::MutexLock lock(mutex_);
  auto& handler = handlers_[name];
  if (handler == nullptr) {
    handler = std::make_unique<Handler>(Handler{&requests_.With({name, "200"}),
                                                &seconds_.With({name}),
                                                &bytes_.With({name})});
  }
  return *handler;
}

}  // namespace narthex::http
