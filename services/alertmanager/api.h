#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/http/router.h"
#include "libs/metrics/metrics.h"
#include "services/alertmanager/alertmanager.h"

namespace narthex::alertmanager {

struct ApiOptions {
  /// GET requests at one time; 0: as many as cores, at least 8.
  std::int64_t get_concurrency = 0;
  /// Shown by /api/v2/status.
  std::string version;
  std::string revision;
  std::string build_date;
};

/// The HTTP API v2 and the landing page, in the shapes of Alertmanager.
/// Thread-safe.
class Api {
 public:
  /// `alertmanager` and `registry` must outlive the object.
  Api(Alertmanager& alertmanager, ApiOptions options,
      metrics::Registry& registry);

  /// Adds all routes; `router` must not outlive the object.
  void Register(http::Router& router);

 private:
  using Method = void (Api::*)(const http::Request&, http::Response&);
  void Handle(http::Router& router, absl::string_view method,
              absl::string_view pattern, Method handler);
  /// Counts, times and bounds what runs at one time.
  void Serve(const std::string& pattern, Method handler,
             const http::Request& request, http::Response& response);

  void GetStatus(const http::Request& request, http::Response& response);
  void GetReceivers(const http::Request& request, http::Response& response);
  void GetAlerts(const http::Request& request, http::Response& response);
  void PostAlerts(const http::Request& request, http::Response& response);
  void GetGroups(const http::Request& request, http::Response& response);
  void GetSilences(const http::Request& request, http::Response& response);
  void PostSilences(const http::Request& request, http::Response& response);
  void GetSilence(const http::Request& request, http::Response& response);
  void DeleteSilence(const http::Request& request, http::Response& response);
  void NotFound(const http::Request& request, http::Response& response);
  void Gone(const http::Request& request, http::Response& response);
  void Landing(const http::Request& request, http::Response& response);

  Alertmanager& alertmanager_;
  const ApiOptions options_;
  const int max_gets_;
  std::atomic<int> gets_{0};
  metrics::HistogramFamily& durations_;
  metrics::GaugeFamily& in_flight_;
  metrics::CounterFamily& limited_;
};

}  // namespace narthex::alertmanager
