#include "libs/discovery/kubernetes_provider.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/clock.h"
#include "libs/base/status.h"

namespace narthex::discovery {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;

struct Collection {
  KubernetesResource resource;
  const char* api;
  const char* name;
  /// The role whose selectors apply and under which events are counted.
  const char* role;
  bool in_namespace;
};

constexpr Collection kCollections[] = {
    {KubernetesResource::kPod, "/api/v1", "pods", "pod", true},
    {KubernetesResource::kService, "/api/v1", "services", "service", true},
    {KubernetesResource::kEndpoints, "/api/v1", "endpoints", "endpoints", true},
    {KubernetesResource::kEndpointSlice, "/apis/discovery.k8s.io/v1",
     "endpointslices", "endpointslice", true},
    {KubernetesResource::kIngress, "/apis/networking.k8s.io/v1", "ingresses",
     "ingress", true},
    {KubernetesResource::kNode, "/api/v1", "nodes", "node", false},
    {KubernetesResource::kNamespace, "/api/v1", "namespaces", "", false},
    {KubernetesResource::kReplicaSet, "/apis/apps/v1", "replicasets", "", true},
    {KubernetesResource::kJob, "/apis/batch/v1", "jobs", "", true},
};

const Collection& CollectionOf(KubernetesResource resource) {
  const auto* it = std::find_if(
      std::begin(kCollections), std::end(kCollections),
      [resource](const Collection& c) { return c.resource == resource; });
  return *it;
}

/// All that targets of the role may be made of.
std::vector<KubernetesResource> ResourcesOf(KubernetesResource role,
                                            const KubernetesMetadata& attach) {
  std::vector<KubernetesResource> out{role};
  const bool has_endpoints = role == KubernetesResource::kEndpoints ||
                             role == KubernetesResource::kEndpointSlice;
  const bool has_pods = has_endpoints || role == KubernetesResource::kPod;
  if (has_endpoints) {
    out.push_back(KubernetesResource::kService);
    out.push_back(KubernetesResource::kPod);
  }
  if (has_pods && attach.node) out.push_back(KubernetesResource::kNode);
  if (has_pods && attach.deployment) {
    out.push_back(KubernetesResource::kReplicaSet);
  }
  if (has_pods && attach.cronjob) out.push_back(KubernetesResource::kJob);
  if (role != KubernetesResource::kNode && attach.space) {
    out.push_back(KubernetesResource::kNamespace);
  }
  return out;
}

}  // namespace

KubernetesProvider::KubernetesProvider(KubernetesConfig config,
                                       const ProviderContext& context,
                                       Options options)
    : config_(std::move(config)),
      options_(std::move(options)),
      role_(KubernetesRole(config_.role)),
      client_(context.client),
      logger_(context.logger.With({{"discovery", "kubernetes"},
                                   {"config", context.job},
                                   {"role", config_.role}})),
      failures_(context.metrics.registry.NewCounter(
          "prometheus_sd_kubernetes_failures_total",
          "The number of failed WATCH/LIST requests.")),
      events_(context.metrics.registry.NewCounterFamily(
          "prometheus_sd_kubernetes_events_total",
          "The number of Kubernetes events handled.", {"role", "event"})),
      requests_(context.metrics.registry.NewCounterFamily(
          "prometheus_sd_kubernetes_http_request_total",
          "Total number of HTTP requests to the Kubernetes API by status code.",
          {"status_code"})) {
  for (const char* role :
       {"endpoints", "endpointslice", "ingress", "node", "pod", "service"}) {
    for (const char* event : {"add", "update", "delete"}) {
      events_.With({role, event});
    }
  }
}

KubernetesProvider::~KubernetesProvider() { Stop(); }

void KubernetesProvider::Start(Update update) {
  update_ = std::move(update);
  thread_ = std::thread([this] { Run(); });
}

void KubernetesProvider::Stop() {
  if (!thread_.joinable()) return;
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  thread_.join();
}

void KubernetesProvider::Run() {
  pthread_setname_np(pthread_self(), "sd-kubernetes");
  for (;;) {
    const std::int64_t now = base::Clock::System().MonotonicNs();
    std::int64_t due = access_due_ns_;
    if (!watches_.empty() || MakeWatches(now)) {
      due = std::numeric_limits<std::int64_t>::max();
      for (const auto& watch : watches_) {
        watch->Step(now);
        due = std::min(due, watch->due_ns());
      }
    } else {
      due = access_due_ns_;
    }
    Wait(due);
    {
      base::MutexLock lock(mutex_);
      if (stopping_) break;
    }
    TakeMessages(base::Clock::System().MonotonicNs());
    Publish();
  }
  EndWatches();
}

void KubernetesProvider::Wait(std::int64_t until_ns) {
  base::MutexLock lock(mutex_);
  while (!stopping_ && inbox_.empty()) {
    const std::int64_t left = until_ns - base::Clock::System().MonotonicNs();
    if (left <= 0) return;
    changed_.WaitFor(mutex_, std::chrono::milliseconds(std::min<std::int64_t>(
                                 left / kNsPerMs + 1, 60'000)));
  }
}

void KubernetesProvider::TakeMessages(std::int64_t now_ns) {
  std::vector<KubernetesWatch::Message> messages;
  {
    base::MutexLock lock(mutex_);
    messages.swap(inbox_);
  }
  for (KubernetesWatch::Message& message : messages) {
    KubernetesWatch* watch = message.watch;
    // One that we ended ourselves did not fail.
    if (message.end.has_value() && !absl::IsCancelled(message.end->status)) {
      CountRequest(*message.end);
    }
    watch->Take(std::move(message), now_ns);
  }
}

void KubernetesProvider::EndWatches() {
  for (const auto& watch : watches_) watch->Cancel();
  const auto busy = [this] {
    return std::any_of(watches_.begin(), watches_.end(),
                       [](const auto& watch) { return watch->is_busy(); });
  };
  // Each says good-bye: the client refers to it until then.
  while (busy()) {
    {
      base::MutexLock lock(mutex_);
      while (inbox_.empty()) changed_.Wait(mutex_);
    }
    TakeMessages(0);
  }
  watches_.clear();
}

absl::StatusOr<KubernetesAccess> KubernetesProvider::FindAccess() const {
  if (!config_.kubeconfig_file.empty()) {
    return KubeconfigAccess(config_.kubeconfig_file);
  }
  if (config_.api_server.empty()) {
    NARTHEX_ASSIGN_OR_RETURN(
        KubernetesAccess access,
        InClusterAccess(options_.service_account_directory));
    if (config_.own_namespace && access.own_namespace.empty()) {
      return absl::FailedPreconditionError(
          "could not determine the pod's namespace");
    }
    return access;
  }
  KubernetesAccess access;
  absl::string_view url = config_.api_server;
  while (absl::ConsumeSuffix(&url, "/")) {
  }
  access.url = std::string(url);
  access.client = std::make_shared<http::ClientConfig>(config_.client);
  return access;
}

bool KubernetesProvider::MakeWatches(std::int64_t now_ns) {
  if (now_ns < access_due_ns_) return false;
  const auto access = FindAccess();
  if (!access.ok()) {
    failures_.Inc();
    logger_.Error("cannot find the API server, trying again",
                  {{"err", access.status().message()}});
    access_due_ns_ = now_ns + options_.max_pause_ms * kNsPerMs;
    return false;
  }
  std::vector<std::string> spaces = config_.namespaces;
  if (config_.own_namespace) spaces.push_back(access->own_namespace);
  if (spaces.empty()) spaces.emplace_back();
  for (const KubernetesResource resource : ResourcesOf(role_, config_.attach)) {
    if (!CollectionOf(resource).in_namespace) {
      AddWatch(*access, resource, "");
      continue;
    }
    for (const std::string& space : spaces) AddWatch(*access, resource, space);
  }
  return true;
}

void KubernetesProvider::AddWatch(const KubernetesAccess& access,
                                  KubernetesResource resource,
                                  const std::string& space) {
  const Collection& collection = CollectionOf(resource);
  KubernetesWatch::Options options;
  options.resource = resource;
  options.space = space;
  options.url =
      absl::StrCat(access.url, collection.api,
                   space.empty() ? "" : absl::StrCat("/namespaces/", space),
                   "/", collection.name);
  options.min_pause_ms = options_.min_pause_ms;
  options.max_pause_ms = options_.max_pause_ms;
  for (const auto& selector : config_.selectors) {
    if (selector.role != collection.role) continue;
    options.label_selector = selector.label;
    options.field_selector = selector.field;
  }
  KubernetesWatch::Consumer& consumer = *this;
  watches_.push_back(std::make_unique<KubernetesWatch>(
      std::move(options), client_, access.client,
      [this](KubernetesWatch::Message message) {
        base::MutexLock lock(mutex_);
        inbox_.push_back(std::move(message));
        changed_.NotifyAll();
      },
      consumer));
}

void KubernetesProvider::Replace(const KubernetesWatch& watch,
                                 std::vector<KubernetesObject> objects) {
  const KubernetesResource resource = watch.options().resource;
  const std::string& space = watch.options().space;
  std::set<std::string> gone;
  for (const auto& [key, object] : stores_[resource]) {
    if (space.empty() || object.space == space) gone.insert(key);
  }
  for (KubernetesObject& object : objects) {
    const bool is_new = gone.erase(object.key()) == 0;
    CountEvent(resource, is_new ? "add" : "update");
    Put(resource, std::move(object));
  }
  for (const std::string& key : gone) {
    CountEvent(resource, "delete");
    Drop(resource, key);
  }
}

void KubernetesProvider::Change(const KubernetesWatch& watch,
                                KubernetesEvent event) {
  const KubernetesResource resource = watch.options().resource;
  if (event.type == KubernetesEvent::Type::kDeleted) {
    CountEvent(resource, "delete");
    Drop(resource, event.object.key());
    return;
  }
  CountEvent(resource,
             event.type == KubernetesEvent::Type::kAdded ? "add" : "update");
  Put(resource, std::move(event.object));
}

void KubernetesProvider::Fail(const KubernetesWatch& watch,
                              const absl::Status& status) {
  failures_.Inc();
  logger_.Warn("cannot follow a collection, keeping what is known",
               {{"collection", CollectionOf(watch.options().resource).name},
                {"err", status.message()}});
}

void KubernetesProvider::CountRequest(const http::FetchResult& result) {
  const bool answered = result.code != 0;
  requests_.With({answered ? absl::StrCat(result.code) : "<error>"}).Inc();
}

void KubernetesProvider::CountEvent(KubernetesResource resource,
                                    const char* event) {
  const char* role = CollectionOf(resource).role;
  if (*role != '\0') events_.With({role, event}).Inc();
}

void KubernetesProvider::Put(KubernetesResource resource,
                             KubernetesObject object) {
  std::string key = object.key();
  Touch({resource, key});
  stores_[resource][std::move(key)] = std::move(object);
}

void KubernetesProvider::Drop(KubernetesResource resource,
                              const std::string& key) {
  Touch({resource, key});
  stores_[resource].erase(key);
}

void KubernetesProvider::Touch(const Reference& changed) {
  if (changed.first == role_) dirty_.insert(changed.second);
  const auto it = users_.find(changed);
  if (it != users_.end()) dirty_.insert(it->second.begin(), it->second.end());
}

void KubernetesProvider::Publish() {
  const bool synced =
      !watches_.empty() &&
      std::all_of(watches_.begin(), watches_.end(),
                  [](const auto& watch) { return watch->is_synced(); });
  if (!synced || dirty_.empty()) return;
  std::vector<TargetGroup> groups;
  for (const std::string& key : std::exchange(dirty_, {})) {
    TargetGroup group = MakeGroup(key);
    // A node that has lost its address keeps it, as upstream.
    const bool lost = role_ == KubernetesResource::kNode &&
                      group.targets.empty() && stores_[role_].contains(key);
    if (!lost) groups.push_back(std::move(group));
  }
  update_(std::move(groups));
}

TargetGroup KubernetesProvider::MakeGroup(const std::string& key) {
  std::set<Reference> uses;
  TargetGroup group;
  const auto object = stores_[role_].find(key);
  if (object == stores_[role_].end()) {
    group.source = KubernetesSource(role_, key);
  } else {
    group = MakeKubernetesGroup(
        role_, object->second, config_.attach,
        [this, &uses](KubernetesResource resource,
                      const std::string& other) -> const KubernetesObject* {
          uses.emplace(resource, other);
          const Store& store = stores_[resource];
          const auto found = store.find(other);
          return found == store.end() ? nullptr : &found->second;
        });
  }
  for (const Reference& old : uses_[key]) {
    if (uses.contains(old)) continue;
    auto& users = users_[old];
    users.erase(key);
    if (users.empty()) users_.erase(old);
  }
  for (const Reference& use : uses) users_[use].insert(key);
  if (uses.empty()) {
    uses_.erase(key);
  } else {
    uses_[key] = std::move(uses);
  }
  return group;
}

}  // namespace narthex::discovery
