#include "libs/discovery/consul_provider.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/clock.h"
#include "libs/base/status.h"
#include "libs/discovery/json.h"
#include "libs/discovery/meta_labels.h"

namespace narthex::discovery {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::int64_t kExtraTimeoutMs = 15 * 1000;
constexpr char kPrefix[] = "__meta_consul_";

std::int64_t NowNs() { return base::Clock::System().MonotonicNs(); }

metrics::Summary& RpcDuration(metrics::Registry& registry, const char* endpoint,
                              const char* call) {
  return registry.NewSummary("prometheus_sd_consul_rpc_duration_seconds",
                             "The duration of a Consul RPC call in seconds.",
                             {0.5, 0.9, 0.99},
                             {{"endpoint", endpoint}, {"call", call}});
}

/// The worst of an instance's checks; maintenance beats all.
std::string HealthOf(const Json& checks) {
  bool critical = false;
  bool warning = false;
  if (!checks.is_list()) return "passing";
  for (const Json& check : checks) {
    const std::string id = Text(check, "CheckID");
    if (id == "_node_maintenance" ||
        id.rfind("_service_maintenance:", 0) == 0) {
      return "maintenance";
    }
    const std::string status = Text(check, "Status");
    if (status == "critical") {
      critical = true;
    } else if (status == "warning") {
      warning = true;
    } else if (status != "passing") {
      return "";
    }
  }
  return critical ? "critical" : warning ? "warning" : "passing";
}

model::Labels InstanceLabels(const Json& entry, const std::string& separator) {
  const Json& node = Child(entry, "Node");
  const Json& service = Child(entry, "Service");
  const std::string node_address = Text(node, "Address");
  const std::string own_address = Text(service, "Address");
  const std::int64_t port = Number(service, "Port");
  MetaLabels labels(kPrefix);
  // A service may be registered on a node where it does not run.
  labels
      .Address(
          JoinHostPort(own_address.empty() ? node_address : own_address, port))
      .Add("address", node_address)
      .Add("node", Text(node, "Node"))
      .Add("namespace", Text(service, "Namespace"))
      .Add("partition", Text(service, "Partition"))
      .Add("tags", SurroundedList(Texts(service, "Tags"), separator))
      .Add("service_address", own_address)
      .Add("service_port", port)
      .Add("service_id", Text(service, "ID"))
      .Add("health", HealthOf(Child(entry, "Checks")));
  const auto add_all = [&labels](const Json& map, absl::string_view group) {
    ForEachText(map, [&](const std::string& key, const std::string& value) {
      labels.AddKey(group, key, value);
    });
  };
  add_all(Child(node, "Meta"), "metadata_");
  add_all(Child(service, "Meta"), "service_metadata_");
  add_all(Child(node, "TaggedAddresses"), "tagged_address_");
  return labels.Build();
}

absl::Status CodeError(int code, const std::string& body) {
  return absl::UnavailableError(
      absl::StrCat("unexpected response code: ", code, " (", body, ")"));
}

/// "name=value" added to a URL's query.
void AddParam(absl::string_view name, absl::string_view value,
              std::string* url) {
  absl::StrAppend(url, url->find('?') == std::string::npos ? "?" : "&", name,
                  "=", http::PercentEncode(value));
}

}  // namespace

ConsulProvider::ConsulProvider(Options options, ConsulConfig config,
                               const ProviderContext& context)
    : ThreadProvider("consul", context.client,
                     std::make_shared<http::ClientConfig>(config.client)),
      options_(options),
      config_(std::move(config)),
      logger_(context.logger.With(
          {{"discovery", "consul"}, {"config", context.job}})),
      failures_(context.metrics.registry.NewCounter(
          "prometheus_sd_consul_rpc_failures_total",
          "The number of Consul RPC call failures.")),
      catalog_duration_(
          RpcDuration(context.metrics.registry, "catalog", "services")),
      service_duration_(
          RpcDuration(context.metrics.registry, "health", "service")),
      client_(context.client),
      client_config_(std::make_shared<http::ClientConfig>(config_.client)),
      datacenter_(config_.datacenter) {
  absl::string_view server = config_.server;
  std::string scheme = config_.scheme;
  if (absl::ConsumePrefix(&server, "unix://")) {
    unix_socket_ = std::string(server);
    server = "localhost";
  } else if (absl::ConsumePrefix(&server, "https://")) {
    scheme = "https";
  } else {
    absl::ConsumePrefix(&server, "http://");
  }
  base_url_ = absl::StrCat(scheme, "://", absl::StripSuffix(server, "/"),
                           config_.path_prefix);
}

ConsulProvider::~ConsulProvider() { Stop(); }

void ConsulProvider::Run() {
  if (LearnDatacenter()) RunWatches();
  // The answers of what still runs go into the watches.
  if (catalog_ != nullptr && catalog_->running) client_.Cancel(catalog_->id);
  for (const auto& [name, watch] : services_) {
    if (watch->running) client_.Cancel(watch->id);
  }
  base::MutexLock lock(mutex_);
  while (running_ > 0) changed_.Wait(mutex_);
}

void ConsulProvider::RunWatches() {
  const bool named = !config_.services.empty() && config_.tags.empty() &&
                     config_.filter.empty();
  if (named) {
    for (const std::string& service : config_.services) Add(service);
  } else {
    catalog_ = std::make_shared<Watch>();
  }
  bool stopped = false;
  while (!stopped) {
    StartDue();
    for (const WatchPointer& watch : Wait(&stopped)) Finish(*watch);
  }
}

bool ConsulProvider::LearnDatacenter() {
  while (datacenter_.empty()) {
    auto datacenter = AskDatacenter();
    if (datacenter.ok()) {
      datacenter_ = *std::move(datacenter);
      return true;
    }
    if (fetcher_.cancelled()) return false;
    failures_.Inc();
    logger_.Error("cannot learn the name of the datacenter",
                  {{"err", datacenter.status().message()}});
    const std::int64_t deadline =
        NowNs() + options_.retry_interval_ms * kNsPerMs;
    if (!WaitUntil(deadline)) return false;
  }
  return true;
}

absl::StatusOr<std::string> ConsulProvider::AskDatacenter() {
  NARTHEX_ASSIGN_OR_RETURN(const Fetcher::Answer answer,
                           fetcher_.Fetch(Request("/v1/agent/self")));
  if (answer.code != 200) return CodeError(answer.code, answer.body);
  NARTHEX_ASSIGN_OR_RETURN(const Json agent, ParseJson(answer.body));
  std::string name = Text(Child(agent, "Config"), "Datacenter");
  if (name.empty()) {
    return absl::InvalidArgumentError("invalid value for Config.Datacenter");
  }
  return name;
}

http::FetchRequest ConsulProvider::Request(const std::string& path) const {
  http::FetchRequest request;
  request.url = base_url_ + path;
  request.unix_socket = unix_socket_;
  request.config = client_config_;
  request.timeout_ms = options_.watch_timeout_ms + kExtraTimeoutMs;
  if (!config_.token.empty()) {
    request.headers.Set("X-Consul-Token", config_.token);
  }
  if (!config_.datacenter.empty()) {
    AddParam("dc", config_.datacenter, &request.url);
  }
  if (!config_.consul_namespace.empty()) {
    AddParam("ns", config_.consul_namespace, &request.url);
  }
  if (!config_.partition.empty()) {
    AddParam("partition", config_.partition, &request.url);
  }
  return request;
}

http::FetchRequest ConsulProvider::WatchRequest(const Watch& watch) const {
  const bool catalog = watch.service.empty();
  http::FetchRequest request =
      Request(catalog ? "/v1/catalog/services"
                      : absl::StrCat("/v1/health/service/",
                                     http::PercentEncode(watch.service)));
  std::string& url = request.url;
  if (config_.allow_stale) AddParam("stale", "", &url);
  if (watch.index != 0) AddParam("index", absl::StrCat(watch.index), &url);
  AddParam("wait", absl::StrCat(options_.watch_timeout_ms, "ms"), &url);
  for (const auto& [name, value] : config_.node_meta) {
    AddParam("node-meta", absl::StrCat(name, ":", value), &url);
  }
  const std::string& filter = catalog ? config_.filter : config_.health_filter;
  if (!filter.empty()) AddParam("filter", filter, &url);
  if (!catalog) {
    for (const std::string& tag : config_.tags) AddParam("tag", tag, &url);
  }
  return request;
}

void ConsulProvider::Add(const std::string& service) {
  auto& watch = services_[service];
  if (watch != nullptr) return;
  watch = std::make_shared<Watch>();
  watch->service = service;
}

void ConsulProvider::StartDue() {
  const std::int64_t now = NowNs();
  const auto is_due = [now](const WatchPointer& watch) {
    return !watch->running && watch->due_ns <= now;
  };
  if (catalog_ != nullptr && is_due(catalog_)) Begin(catalog_);
  for (const auto& [name, watch] : services_) {
    if (is_due(watch)) Begin(watch);
  }
}

void ConsulProvider::Begin(const WatchPointer& watch) {
  watch->running = true;
  watch->started_ns = NowNs();
  {
    base::MutexLock lock(mutex_);
    ++running_;
  }
  watch->id = client_.Fetch(WatchRequest(*watch), &watch->body,
                            [this, watch](http::FetchResult result) {
                              watch->result = std::move(result);
                              base::MutexLock lock(mutex_);
                              answered_.push_back(watch);
                              --running_;
                              changed_.NotifyAll();
                            });
}

std::vector<ConsulProvider::WatchPointer> ConsulProvider::Wait(bool* stopped) {
  std::int64_t next = NowNs() + 60'000 * kNsPerMs;
  const auto consider = [&next](const WatchPointer& watch) {
    if (!watch->running) next = std::min(next, watch->due_ns);
  };
  if (catalog_ != nullptr) consider(catalog_);
  for (const auto& [name, watch] : services_) consider(watch);
  base::MutexLock lock(mutex_);
  while (!stopping_ && answered_.empty() && NowNs() < next) {
    changed_.WaitFor(
        mutex_, std::chrono::milliseconds((next - NowNs()) / kNsPerMs + 1));
  }
  *stopped = stopping_;
  std::vector<WatchPointer> answered;
  if (!stopping_) answered.swap(answered_);
  return answered;
}

void ConsulProvider::Finish(Watch& watch) {
  const bool catalog = watch.service.empty();
  const std::int64_t now = NowNs();
  watch.running = false;
  watch.due_ns = watch.started_ns + config_.refresh_interval_ms * kNsPerMs;
  if (watch.removed) return;
  (catalog ? catalog_duration_ : service_duration_)
      .Observe(static_cast<double>(now - watch.started_ns) / 1e9);
  const absl::Status status = TakeAnswer(watch);
  if (status.ok()) return;
  failures_.Inc();
  logger_.Error(
      catalog ? "error refreshing service list" : "error refreshing service",
      {{"service", watch.service}, {"err", status.message()}});
  watch.due_ns =
      std::max(watch.due_ns, now + options_.retry_interval_ms * kNsPerMs);
}

absl::Status ConsulProvider::TakeAnswer(Watch& watch) {
  NARTHEX_RETURN_IF_ERROR(watch.result.status);
  if (watch.result.code != 200) {
    return CodeError(watch.result.code, watch.body);
  }
  std::uint64_t index = 0;
  const absl::string_view header = watch.result.headers.Get("X-Consul-Index");
  if (!header.empty() && !absl::SimpleAtoi(header, &index)) {
    return absl::InvalidArgumentError(absl::StrCat("X-Consul-Index: ", header));
  }
  // The same index: nothing was new in all the time that the agent waited.
  if (watch.answered && index == watch.index) return absl::OkStatus();
  NARTHEX_RETURN_IF_ERROR(watch.service.empty() ? TakeCatalog(watch.body)
                                                : TakeService(watch));
  watch.index = index;
  watch.answered = true;
  return absl::OkStatus();
}

bool ConsulProvider::IsWanted(const std::string& service,
                              const std::vector<std::string>& tags) const {
  const auto has = [](const std::vector<std::string>& list,
                      const std::string& item) {
    return std::find(list.begin(), list.end(), item) != list.end();
  };
  if (!config_.services.empty() && !has(config_.services, service)) {
    return false;
  }
  return std::all_of(
      config_.tags.begin(), config_.tags.end(),
      [&](const std::string& wanted) { return has(tags, wanted); });
}

absl::Status ConsulProvider::TakeCatalog(const std::string& body) {
  NARTHEX_ASSIGN_OR_RETURN(const Json catalog, ParseJson(body));
  if (!catalog.is_map()) {
    return absl::InvalidArgumentError("expected a map of services");
  }
  for (const auto& [name, tags] : catalog.members()) {
    if (IsWanted(name, Texts(catalog, name.c_str()))) Add(name);
  }
  std::vector<TargetGroup> gone;
  for (auto it = services_.begin(); it != services_.end();) {
    const auto& [name, watch] = *it;
    if (catalog.Has(name)) {
      ++it;
      continue;
    }
    watch->removed = true;
    if (watch->running) client_.Cancel(watch->id);
    gone.emplace_back().source = name;
    it = services_.erase(it);
  }
  if (!gone.empty()) update_(std::move(gone));
  return absl::OkStatus();
}

absl::Status ConsulProvider::TakeService(const Watch& watch) {
  NARTHEX_ASSIGN_OR_RETURN(const Json entries, ParseJson(watch.body));
  if (!entries.is_list()) {
    return absl::InvalidArgumentError("expected a list of instances");
  }
  TargetGroup group;
  group.source = watch.service;
  group.labels = MetaLabels(kPrefix)
                     .Add("service", watch.service)
                     .Add("dc", datacenter_)
                     .Build();
  for (const Json& entry : entries) {
    group.targets.push_back(InstanceLabels(entry, config_.tag_separator));
  }
  update_({std::move(group)});
  return absl::OkStatus();
}

}  // namespace narthex::discovery
