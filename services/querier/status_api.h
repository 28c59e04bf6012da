#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/cluster/queryable.h"
#include "libs/service/process.h"
#include "services/querier/answer.h"

namespace narthex::querier {

/// What /status tells. All functions are thread-safe.
struct StatusSource {
  service::Process& process;
  /// The configuration as Prometheus prints it, secrets hidden.
  std::function<std::string()> config_yaml;
  /// Whether the last reload went well, and when one last did (Unix ms).
  std::function<bool()> reload_ok;
  std::function<std::int64_t()> reloaded_ms;
  /// Cardinality of the heads, that many entries per list.
  std::function<absl::StatusOr<cluster::IngesterQueryable::Cardinality>(
      std::uint32_t)>
      cardinality;
  /// How the storage of each ingester is doing.
  std::function<
      absl::StatusOr<std::vector<cluster::IngesterQueryable::StorageStatus>>()>
      storage;
};

/// /status/{config,flags,buildinfo,runtimeinfo,tsdb,tsdb/blocks,walreplay},
/// /features, /notifications and /version.
void AddStatusRoutes(ApiRoutes& routes, http::Router& router,
                     StatusSource source);

}  // namespace narthex::querier
