#include "libs/service/process.h"

#include <malloc.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/mutex.h"
#include "libs/base/status.h"
#include "libs/service/process_metrics.h"
#include "libs/service/web_config.h"

namespace narthex::service {

namespace {

constexpr std::int64_t kDrainTimeoutMs = 10'000;

// Free memory goes back to the system at the end of busy times, or so often
// while they last.
constexpr timespec kLookEvery{1, 0};
constexpr int kLooksPerTrim = 15;
// A process is busy when it takes more CPU time than this between two looks.
constexpr std::int64_t kBusyNs = 20'000'000;

// Wakes the signal thread when the process ends.
constexpr int kEndSignal = SIGUSR2;

// By default glibc's malloc takes eight arenas a core, and what one has freed
// serves no other: the buffers of a busy moment stay in all of them. Measured
// with 500,000 series: a third of the memory of scraper and ingester.
void LimitArenas() {
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  mallopt(M_ARENA_MAX, static_cast<int>((cores + 3) / 4));
  // The buffers of a request stay for the next one: to fetch them anew from the
  // system each time took a tenth of the CPU time of remote write.
  mallopt(M_MMAP_THRESHOLD, 2 << 20);
  mallopt(M_TRIM_THRESHOLD, 2 << 20);
}

/// When to give free memory back: once the process has been idle for two looks
/// in a row after it was busy, so that a burst every second or so keeps its
/// buffers.
class TrimSchedule {
 public:
  bool IsDue() {
    timespec used{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    const std::int64_t used_ns =
        used.tv_sec * std::int64_t{1'000'000'000} + used.tv_nsec;
    idle_looks_ = used_ns - used_ns_ > kBusyNs ? 0 : idle_looks_ + 1;
    used_ns_ = used_ns;
    if (idle_looks_ == 0) was_busy_ = true;
    const bool ended = was_busy_ && idle_looks_ >= 2;
    if (!ended && ++looks_ < kLooksPerTrim) return false;
    looks_ = 0;
    if (ended) was_busy_ = false;
    return true;
  }

 private:
  std::int64_t used_ns_ = 0;
  int idle_looks_ = 0;
  int looks_ = 0;
  bool was_busy_ = true;
};

sigset_t HandledSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, kEndSignal}) {
    sigaddset(&set, signal);
  }
  return set;
}

// The path of a URL without trailing slashes: "" or "/prefix".
std::string UrlPath(absl::string_view url) {
  const auto scheme = url.find("://");
  if (scheme == absl::string_view::npos) return "";
  url.remove_prefix(scheme + 3);
  const auto slash = url.find('/');
  if (slash == absl::string_view::npos) return "";
  url.remove_prefix(slash);
  while (absl::ConsumeSuffix(&url, "/")) {
  }
  return std::string(url);
}

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "localhost";
}

// "/a/" and "a" become "/a", "/" becomes "".
std::string NormalPrefix(absl::string_view prefix) {
  while (absl::ConsumeSuffix(&prefix, "/")) {
  }
  while (absl::ConsumePrefix(&prefix, "/")) {
  }
  return prefix.empty() ? "" : absl::StrCat("/", prefix);
}

bool IsOpsRoute(absl::string_view name) {
  return name == "/metrics" || absl::StartsWith(name, "/-/");
}

}  // namespace

struct Process::State {
  template <typename F>
  struct Named {
    std::string name;
    F call;
  };

  std::vector<std::string> listen_addresses;
  std::int64_t max_connections = 512;
  std::int64_t read_timeout_ms = 5 * 60 * 1000;
  std::string log_level = "info";
  std::string log_format = "logfmt";
  std::string external_url_flag;
  std::string web_config_file;
  WebConfig web_config;
  std::unique_ptr<BasicAuthGate> auth;
  std::string route_prefix_flag;

  std::vector<std::unique_ptr<http::Server>> more_servers;

  std::atomic<bool> started{false};
  std::atomic<bool> ready{false};
  std::atomic<bool> stopping{false};

  // Only one reload at a time.
  base::Mutex reload_mutex;

  base::Mutex mutex;
  base::CondVar stop_requested;
  bool stopped ABSL_GUARDED_BY(mutex) = false;
  std::vector<Named<std::function<void()>>> stops ABSL_GUARDED_BY(mutex);
  std::vector<Named<std::function<absl::Status()>>> reloads
      ABSL_GUARDED_BY(mutex);
  std::vector<std::function<absl::Status()>> ready_checks
      ABSL_GUARDED_BY(mutex);
  std::vector<std::function<absl::Status()>> health_checks
      ABSL_GUARDED_BY(mutex);
};

Process::Process(Identity identity, App& app)
    : identity_(std::move(identity)),
      app_(app),
      flags_(absl::StrCat("narthex-", identity_.name), identity_.title),
      state_(std::make_unique<State>()),
      log_(std::make_unique<base::Logger>(base::Logger::Stderr(
          base::LogLevel::kInfo, base::LogFormat::kLogfmt))) {
  AddShellFlags();
  app_.AddFlags(flags_);
}

Process::~Process() { Stop(); }

void Process::AddShellFlags() {
  State& s = *state_;
  s.listen_addresses = {identity_.listen_address};
  flags_.Strings("web.listen-address", &s.listen_addresses,
                 "Address to listen on for HTTP. Can be repeated.");
  flags_.String("web.external-url", &s.external_url_flag,
                "The URL under which this service is externally reachable.");
  flags_.String("web.route-prefix", &s.route_prefix_flag,
                "Prefix of the routes of all web endpoints. Defaults to the "
                "path of --web.external-url.");
  flags_.String("web.config.file", &s.web_config_file,
                "Path to configuration file that can enable TLS or "
                "authentication.");
  flags_.Bool("web.enable-lifecycle", &enable_lifecycle_,
              "Enable shutdown and reload via HTTP request.");
  flags_.Int("web.max-connections", &s.max_connections,
             "Maximum number of simultaneous connections.");
  flags_.Duration("web.read-timeout", &s.read_timeout_ms,
                  "Maximum duration before timing out the read of a request, "
                  "and closing idle connections.");
  flags_.Choice("log.level", &s.log_level, {"debug", "info", "warn", "error"},
                "Only log messages with the given severity or above.");
  flags_.Choice("log.format", &s.log_format, {"logfmt", "json"},
                "Output format of log messages.");
  constexpr const char* kNoGo = "there is no runtime of Go to be told";
  flags_.WithoutEffect("auto-gomaxprocs", "true", kNoGo);
  flags_.WithoutEffect("auto-gomemlimit", "true", kNoGo);
  flags_.WithoutEffect("auto-gomemlimit.ratio", "0.9", kNoGo);
  flags_.WithoutEffect("auto-gomemlimit.refresh-interval", "0s", kNoGo);
}

int Process::Run(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const sigset_t signals = HandledSignals();
  // Before any thread starts, so that all inherit it.
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  absl::Status status = Configure({argv + 1, argv + argc});
  std::thread signal_thread;
  if (status.ok()) {
    signal_thread = std::thread([this, signals] { ServeSignals(signals); });
    status = Serve();
  }
  int exit_code = 0;
  if (flags_.wants_help()) {
    std::fputs(flags_.Help().c_str(), stdout);
  } else if (flags_.wants_version()) {
    std::printf("%s, version %s (revision: %s)\n  compiler: %s\n",
                flags_.program().c_str(), Build().version.c_str(),
                Build().revision.c_str(), Build().compiler.c_str());
  } else if (!status.ok() && !state_->started) {
    std::fprintf(stderr, "%s: error: %s, try --help\n",
                 flags_.program().c_str(),
                 std::string(status.message()).c_str());
    exit_code = 1;
  } else if (!status.ok()) {
    // Being told to stop during a long start is no error.
    if (!stopping()) {
      log_->Error("start failed", {{"err", status.message()}});
      exit_code = 1;
    }
  } else {
    base::MutexLock lock(state_->mutex);
    while (!stopping()) state_->stop_requested.Wait(state_->mutex);
  }
  Stop();
  if (signal_thread.joinable()) {
    pthread_kill(signal_thread.native_handle(), kEndSignal);
    signal_thread.join();
  }
  return exit_code;
}

void Process::ServeSignals(const sigset_t& signals) {
  TrimSchedule trims;
  while (true) {
    const int signal = sigtimedwait(&signals, nullptr, &kLookEvery);
    if (signal == kEndSignal) return;
    if (signal < 0) {
      // Nothing came for a while. Free memory amid what is in use goes back
      // to the system only when asked for, or a busy start is paid for ever.
      if (trims.IsDue()) malloc_trim(0);
    } else if (signal == SIGHUP) {
      (void)Reload();
    } else if (stopping()) {
      log_->Warn("second signal, exiting at once");
      _exit(1);
    } else {
      log_->Info("stopping", {{"signal", strsignal(signal)}});
      RequestStop();
    }
  }
}

absl::Status Process::Start(const std::vector<std::string>& arguments) {
  NARTHEX_RETURN_IF_ERROR(Configure(arguments));
  return Serve();
}

absl::Status Process::Configure(const std::vector<std::string>& arguments) {
  NARTHEX_RETURN_IF_ERROR(flags_.Parse(arguments));
  State& s = *state_;
  NARTHEX_ASSIGN_OR_RETURN(const auto level, base::ParseLogLevel(s.log_level));
  NARTHEX_ASSIGN_OR_RETURN(const auto format,
                           base::ParseLogFormat(s.log_format));
  log_ = std::make_unique<base::Logger>(base::Logger::Stderr(level, format));
  s.started = true;
  return absl::OkStatus();
}

absl::Status Process::Serve() {
  State& s = *state_;
  start_time_ms_ = clock().NowMs();
  log_->Info("starting", {{"service", identity_.name},
                          {"version", Build().version},
                          {"revision", Build().revision}});
  for (const auto& [name, why] : flags_.GivenWithoutEffect()) {
    log_->Warn("flag without effect", {{"flag", name}, {"why", why}});
  }
  AddProcessMetrics(registry_, start_time_ms_);
  registry_
      .NewGauge("narthex_build_info",
                "A metric with a constant '1' value labelled with what was "
                "built.",
                {{"service", identity_.name},
                 {"version", Build().version},
                 {"revision", Build().revision}})
      .Set(1);
  if (identity_.prometheus_build_info) {
    registry_
        .NewGauge("prometheus_build_info",
                  "A metric with a constant '1' value labelled with what was "
                  "built, as in Prometheus.",
                  {{"branch", "main"},
                   {"goarch", Build().architecture},
                   {"goos", "linux"},
                   {"goversion", Build().compiler},
                   {"revision", Build().revision},
                   {"tags", ""},
                   {"version", Build().prometheus_version}})
        .Set(1);
  }
  AddOpsRoutes();
  NARTHEX_RETURN_IF_ERROR(StartServer());
  NARTHEX_RETURN_IF_ERROR(app_.Start(*this));
  s.ready = true;
  log_->Info("ready to serve", {{"address", server_->address()}});
  return absl::OkStatus();
}

absl::Status Process::StartServer() {
  State& s = *state_;
  route_prefix_ =
      NormalPrefix(s.route_prefix_flag.empty() ? UrlPath(s.external_url_flag)
                                               : s.route_prefix_flag);
  router_.SetPrefix(route_prefix_);
  // An unknown path may be one that the service has not registered yet.
  router_.SetFilter([this](const http::Route* route, const http::Request&,
                           http::Response& response) {
    if (state_->ready) return true;
    if (route != nullptr && IsOpsRoute(route->name())) return true;
    response.Error(503, "Service Unavailable");
    return false;
  });
  http::ServerOptions options{
      .max_connections = static_cast<int>(s.max_connections),
      .read_timeout_ms = s.read_timeout_ms,
      .registry = &registry_};
  NARTHEX_RETURN_IF_ERROR(SetUpWebConfig(&options));
  for (const std::string& address : s.listen_addresses) {
    options.address = address;
    NARTHEX_ASSIGN_OR_RETURN(auto server,
                             http::Server::Start(options, router_, *log_));
    log_->Info("listening", {{"address", server->address()}});
    if (server_ == nullptr) {
      server_ = std::move(server);
    } else {
      s.more_servers.push_back(std::move(server));
    }
  }
  external_url_ = std::string(absl::StripSuffix(
      s.external_url_flag.empty()
          ? absl::StrCat("http://", HostName(), ":", port(), route_prefix_)
          : s.external_url_flag,
      "/"));
  return absl::OkStatus();
}

absl::Status Process::SetUpWebConfig(http::ServerOptions* options) {
  State& s = *state_;
  if (s.web_config_file.empty()) return absl::OkStatus();
  NARTHEX_ASSIGN_OR_RETURN(s.web_config, LoadWebConfig(s.web_config_file));
  s.auth = std::make_unique<BasicAuthGate>(s.web_config.users);
  options->tls = s.web_config.tls;
  options->admit = [&s](const http::Request& request,
                        http::Response& response) {
    for (const auto& [name, value] : s.web_config.headers) {
      response.headers().Set(name, value);
    }
    return s.auth->Admit(request, response);
  };
  // Users may change while we run; certificates and headers stay.
  OnReload("web config", [&s]() -> absl::Status {
    NARTHEX_ASSIGN_OR_RETURN(WebConfig config,
                             LoadWebConfig(s.web_config_file));
    s.auth->SetUsers(std::move(config.users));
    return absl::OkStatus();
  });
  return absl::OkStatus();
}

void Process::AddOpsRoutes() {
  constexpr const char* kText = "text/plain; charset=utf-8";
  router_.Get("/metrics", [this](const auto&, http::Response& response) {
    response.Send(200, "text/plain; version=0.0.4; charset=utf-8",
                  registry_.Expose());
  });
  const auto probe = [this](absl::string_view word, auto check) {
    return [this, word = std::string(word), check](const http::Request&,
                                                   http::Response& response) {
      const absl::Status status = check();
      if (status.ok()) {
        response.Send(200, kText,
                      absl::StrCat(identity_.title, " is ", word, ".\n"));
      } else {
        response.Error(503, status.message());
      }
    };
  };
  const auto all = [this](auto State::*checks) {
    base::MutexLock lock(state_->mutex);
    for (const auto& check : (*state_).*checks) {
      NARTHEX_RETURN_IF_ERROR(check());
    }
    return absl::OkStatus();
  };
  router_.Get("/-/healthy", probe("Healthy", [all]() -> absl::Status {
                return all(&State::health_checks);
              }));
  router_.Get("/-/ready", probe("Ready", [this, all]() -> absl::Status {
                if (!ready()) {
                  return absl::UnavailableError("Service Unavailable");
                }
                return all(&State::ready_checks);
              }));
  const auto lifecycle = [this](auto act) {
    return [this, act](const http::Request&, http::Response& response) {
      if (!enable_lifecycle_) {
        response.Error(403, "Lifecycle API is not enabled.");
      } else {
        act(response);
      }
    };
  };
  const auto only_post = [](const http::Request&, http::Response& response) {
    response.headers().Set("Allow", "POST, PUT");
    response.Error(405, "Only POST or PUT requests allowed");
  };
  router_.Handle(
      "POST PUT", "/-/reload", lifecycle([this](http::Response& response) {
        const absl::Status status = Reload();
        if (!status.ok()) {
          response.Error(
              500, absl::StrCat("failed to reload config: ", status.message()));
        }
      }));
  router_.Get("/-/reload", only_post);
  router_.Handle(
      "POST PUT", "/-/quit", lifecycle([this](http::Response& response) {
        response.Send(200, kText, "Requesting termination... Goodbye!");
        RequestStop();
      }));
  router_.Get("/-/quit", only_post);
}

void Process::RequestStop() {
  base::MutexLock lock(state_->mutex);
  state_->stopping = true;
  state_->stop_requested.NotifyAll();
}

bool Process::stopping() const { return state_->stopping; }

void Process::Stop() {
  RequestStop();
  State& s = *state_;
  {
    base::MutexLock lock(s.mutex);
    if (s.stopped) return;
    s.stopped = true;
  }
  if (!s.started) return;
  {
    // No reload touches what is taken down from here on.
    base::MutexLock lock(s.reload_mutex);
    s.ready = false;
  }
  for (const auto& server : s.more_servers) server->Stop(kDrainTimeoutMs);
  if (server_ != nullptr) server_->Stop(kDrainTimeoutMs);
  while (true) {
    State::Named<std::function<void()>> stop;
    {
      base::MutexLock lock(s.mutex);
      if (s.stops.empty()) break;
      stop = std::move(s.stops.back());
      s.stops.pop_back();
    }
    const std::int64_t begin_ns = clock().MonotonicNs();
    stop.call();
    log_->Debug("stopped", {{"part", stop.name},
                            {"duration_ms",
                             (clock().MonotonicNs() - begin_ns) / 1'000'000}});
  }
  log_->Info("see you next time!");
}

void Process::OnStop(std::string name, std::function<void()> stop) {
  base::MutexLock lock(state_->mutex);
  state_->stops.push_back({std::move(name), std::move(stop)});
}

void Process::OnReload(std::string name, std::function<absl::Status()> reload) {
  base::MutexLock lock(state_->mutex);
  state_->reloads.push_back({std::move(name), std::move(reload)});
}

absl::Status Process::Reload() {
  State& s = *state_;
  base::MutexLock one_at_a_time(s.reload_mutex);
  if (!s.ready) return absl::UnavailableError("not ready");
  decltype(s.reloads) reloads;
  {
    base::MutexLock lock(s.mutex);
    reloads = s.reloads;
  }
  absl::Status first;
  for (const auto& reload : reloads) {
    const absl::Status status = reload.call();
    if (status.ok()) continue;
    log_->Error("reload failed",
                {{"part", reload.name}, {"err", status.message()}});
    first.Update(status);
  }
  if (reloads.empty()) return absl::OkStatus();
  if (first.ok()) {
    ConfigLoaded();
    log_->Info("completed loading of configuration");
  } else {
    ReloadMetrics().successful.Set(0);
  }
  return first;
}

void Process::ConfigLoaded() {
  const ConfigMetrics metrics = ReloadMetrics();
  metrics.successful.Set(1);
  metrics.success_time.Set(static_cast<double>(clock().NowMs()) / 1e3);
}

Process::ConfigMetrics Process::ReloadMetrics() {
  return {registry_.NewGauge(
              "prometheus_config_last_reload_successful",
              "Whether the last configuration reload attempt was successful."),
          registry_.NewGauge(
              "prometheus_config_last_reload_success_timestamp_seconds",
              "Timestamp of the last successful configuration reload.")};
}

void Process::SetReady(bool ready) { state_->ready = ready; }
bool Process::ready() const { return state_->ready; }

void Process::AddReadyCheck(std::function<absl::Status()> check) {
  base::MutexLock lock(state_->mutex);
  state_->ready_checks.push_back(std::move(check));
}

void Process::AddHealthCheck(std::function<absl::Status()> check) {
  base::MutexLock lock(state_->mutex);
  state_->health_checks.push_back(std::move(check));
}

int Main(Identity identity, App& app, int argc, char** argv) {
  LimitArenas();
  return Process(std::move(identity), app).Run(argc, argv);
}

}  // namespace narthex::service
