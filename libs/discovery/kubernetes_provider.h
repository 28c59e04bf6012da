#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "libs/base/mutex.h"
#include "libs/discovery/kubernetes.h"
#include "libs/discovery/kubernetes_watch.h"
#include "libs/discovery/provider.h"

namespace narthex::discovery {

/// Watches the objects of a role and all that their targets depend on, in a
/// thread of its own. Groups are handed over once everything has been listed,
/// then whenever something they were made of changes. While the API server is
/// away the targets stay.
class KubernetesProvider : public Provider, private KubernetesWatch::Consumer {
 public:
  struct Options {
    /// Pauses after failures.
    std::int64_t min_pause_ms = 800;
    std::int64_t max_pause_ms = 30'000;
    std::string service_account_directory = kServiceAccountDirectory;
  };

  KubernetesProvider(KubernetesConfig config, const ProviderContext& context,
                     Options options);
  ~KubernetesProvider() override;

  void Start(Update update) override;
  void Stop() override ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  /// Names an object of any resource.
  using Reference = std::pair<KubernetesResource, std::string>;
  using Store = absl::flat_hash_map<std::string, KubernetesObject>;

  void Replace(const KubernetesWatch& watch,
               std::vector<KubernetesObject> objects) override;
  void Change(const KubernetesWatch& watch, KubernetesEvent event) override;
  void Fail(const KubernetesWatch& watch, const absl::Status& status) override;

  void Run();
  absl::StatusOr<KubernetesAccess> FindAccess() const;
  bool MakeWatches(std::int64_t now_ns);
  void AddWatch(const KubernetesAccess& access, KubernetesResource resource,
                const std::string& space);
  void Put(KubernetesResource resource, KubernetesObject object);
  void Drop(KubernetesResource resource, const std::string& key);
  void Touch(const Reference& changed);
  void CountRequest(const http::FetchResult& result);
  void CountEvent(KubernetesResource resource, const char* event);
  void Publish();
  TargetGroup MakeGroup(const std::string& key);
  void Wait(std::int64_t until_ns) ABSL_LOCKS_EXCLUDED(mutex_);
  void TakeMessages(std::int64_t now_ns) ABSL_LOCKS_EXCLUDED(mutex_);
  void EndWatches();

  const KubernetesConfig config_;
  const Options options_;
  const KubernetesResource role_;
  http::Client& client_;
  const base::Logger logger_;
  metrics::Counter& failures_;
  metrics::CounterFamily& events_;
  metrics::CounterFamily& requests_;
  Update update_;

  // Of the provider's thread alone.
  std::vector<std::unique_ptr<KubernetesWatch>> watches_;
  std::int64_t access_due_ns_ = 0;
  std::map<KubernetesResource, Store> stores_;
  /// Objects of the role whose groups are out of date.
  std::set<std::string> dirty_;
  /// What each group was made of, and the other way round.
  std::map<std::string, std::set<Reference>> uses_;
  std::map<Reference, std::set<std::string>> users_;

  base::Mutex mutex_;
  base::CondVar changed_;
  std::vector<KubernetesWatch::Message> inbox_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace narthex::discovery
