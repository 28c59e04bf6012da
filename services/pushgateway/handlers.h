#pragma once

#include <string>

#include "libs/service/process.h"
#include "services/pushgateway/own_metrics.h"
#include "services/pushgateway/store.h"

namespace narthex::pushgateway {

struct HandlerOptions {
  std::string telemetry_path = "/metrics";
  bool check_consistency = true;
  bool utf8_names = false;
  bool enable_admin_api = false;
};

/// Pushgateway's HTTP API over a store. Must outlive the process's server.
class Handlers {
 public:
  Handlers(service::Process& process, Store& store, Metrics& metrics,
           HandlerOptions options);
  /// Adds all routes to the process's router.
  void AddRoutes();

 private:
  void AddPushRoutes(absl::string_view path, bool job_is_base64);
  void Push(const http::Request& request, http::Response& response,
            bool job_is_base64);
  void Delete(const http::Request& request, http::Response& response,
              bool job_is_base64);
  void Expose(http::Response& response);
  void Answer(const absl::Status& status, http::Response& response);
  // Counts the requests of a handler.
  http::Handler Counted(std::string name, http::Handler handler);

  service::Process& process_;
  Store& store_;
  Metrics& metrics_;
  const HandlerOptions options_;
};

}  // namespace narthex::pushgateway
