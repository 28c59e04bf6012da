#pragma once

#include <csignal>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/base/log.h"
#include "libs/http/router.h"
#include "libs/http/server.h"
#include "libs/metrics/metrics.h"
#include "libs/service/build_info.h"
#include "libs/service/flags.h"

namespace narthex::service {

/// What a service is called and where it listens unless told otherwise.
struct Identity {
  /// "querier": in file and flag names, logs, `narthex-querier --version`.
  std::string name;
  /// "Narthex Querier": in "<title> is Healthy." and the help text.
  std::string title;
  /// Default of --web.listen-address.
  std::string listen_address;
  /// Whether it does a part of what Prometheus does, and so has the metric
  /// prometheus_build_info, by which dashboards find Prometheis.
  bool prometheus_build_info = false;
};

class Process;

/// The service inside a process. Embedded in tests through Process as well.
class App {
 public:
  virtual ~App() = default;

  /// Declares the flags of this service beside those of the shell.
  virtual void AddFlags(FlagSet& flags) = 0;

  /// Builds and starts everything; the flags are parsed and the HTTP server
  /// answers (503 on all but ops endpoints until this returns OK). Routes go
  /// to process.router(), what must be undone to process.OnStop(), reloads to
  /// process.OnReload(). On an error the process undoes what was started and
  /// exits with 1 and the reason. May take long (replay): give up when
  /// process.stopping().
  virtual absl::Status Start(Process& process) = 0;
};

/// The shell of one service: flags, logger, registry, HTTP server with the
/// ops endpoints (/metrics, /-/healthy, /-/ready, /-/reload, /-/quit), ordered
/// start and stop. Flags of the shell: --web.listen-address,
/// --web.config.file (TLS and basic authentication),
/// --web.external-url, --web.route-prefix, --web.enable-lifecycle,
/// --web.max-connections, --web.read-timeout, --log.level, --log.format.
/// Thread-safe once started.
class Process {
 public:
  Process(Identity identity, App& app);
  /// Stops if that has not been done.
  ~Process();

  /// The whole life, with signals: parses, starts, waits for SIGTERM, SIGINT
  /// or /-/quit (SIGHUP reloads), stops. Returns the exit code.
  int Run(int argc, char** argv);

  /// For tests: parse and start without signals. `arguments` as on the
  /// command line, without the program's name.
  absl::Status Start(const std::vector<std::string>& arguments);
  /// Stops the server, then calls what OnStop() got, last first. Idempotent.
  void Stop();
  /// Makes Run() return as after SIGTERM.
  void RequestStop();
  bool stopping() const;

  const Identity& identity() const { return identity_; }
  FlagSet& flags() { return flags_; }
  const FlagSet& flags() const { return flags_; }
  const base::Logger& log() const { return *log_; }
  metrics::Registry& registry() { return registry_; }
  http::Router& router() { return router_; }
  base::Clock& clock() { return base::Clock::System(); }
  int port() const { return server_->port(); }
  /// "http://host:port/prefix" without a trailing slash: where people reach
  /// this service, from --web.external-url or the host's name and port.
  const std::string& external_url() const { return external_url_; }
  /// Where the routes live: "" or "/prefix". The router adds it by itself.
  const std::string& route_prefix() const { return route_prefix_; }
  bool lifecycle_enabled() const { return enable_lifecycle_; }
  /// Unix ms.
  std::int64_t start_time_ms() const { return start_time_ms_; }

  /// Called at stop, last registered first, each logged with its duration.
  void OnStop(std::string name, std::function<void()> stop);
  /// Called at SIGHUP and POST /-/reload, in order of registration, all of
  /// them even after an error; the first error is the reload's. A reload
  /// drives prometheus_config_last_reload_successful.
  void OnReload(std::string name, std::function<absl::Status()> reload);
  absl::Status Reload();
  /// Says that a configuration was loaded at start: sets the reload metrics.
  void ConfigLoaded();

  /// Readiness after App::Start(): 503 "Service Unavailable" while false.
  void SetReady(bool ready);
  bool ready() const;
  /// Adds to the readiness of /-/ready: the reason why not, or OK.
  void AddReadyCheck(std::function<absl::Status()> check);
  /// Replaces "/-/healthy": the reason why not, or OK.
  void AddHealthCheck(std::function<absl::Status()> check);

 private:
  struct State;

  struct ConfigMetrics {
    metrics::Gauge& successful;
    metrics::Gauge& success_time;
  };
  // Made when they are first needed: a service without a configuration to
  // load has none.
  ConfigMetrics ReloadMetrics();
  /// Reads the flags and makes the logger.
  absl::Status Configure(const std::vector<std::string>& arguments);
  /// Starts the server and the app.
  absl::Status Serve();
  /// Acts on signals, which are blocked, until Run() ends it.
  void ServeSignals(const sigset_t& signals);
  absl::Status StartServer();
  absl::Status SetUpWebConfig(http::ServerOptions* options);
  void AddOpsRoutes();
  void AddShellFlags();

  Identity identity_;
  App& app_;
  FlagSet flags_;
  metrics::Registry registry_;
  http::Router router_;
  std::unique_ptr<State> state_;
  std::unique_ptr<base::Logger> log_;
  std::unique_ptr<http::Server> server_;
  std::string external_url_;
  std::string route_prefix_;
  bool enable_lifecycle_ = false;
  std::int64_t start_time_ms_ = 0;
};

/// `int main` of a service: `return service::Main(identity, app, argc, argv)`.
int Main(Identity identity, App& app, int argc, char** argv);

}  // namespace narthex::service
