#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libs/promql/engine.h"
#include "libs/service/features.h"
#include "libs/service/flags.h"
#include "services/querier/remote_write.h"

namespace narthex::querier {

inline constexpr absl::string_view kPerStepStats = "promql-per-step-stats";

/// The command line of a querier.
struct Options {
  std::string config_file = "prometheus.yml";
  std::string grpc_address = "127.0.0.1:9190";
  std::string ingesters = "127.0.0.1:9201";
  std::int64_t replication_factor = 1;
  std::string scrapers = "127.0.0.1:9200";
  std::string rulers = "127.0.0.1:9202";
  std::int64_t query_timeout_ms = 120'000;
  std::int64_t lookback_delta_ms = 300'000;
  std::int64_t max_samples = 50'000'000;
  std::int64_t max_concurrency = 20;
  std::int64_t max_query_bytes = 0;
  std::int64_t slow_query_ms = 0;
  std::string active_queries_file;
  std::int64_t read_sample_limit = 50'000'000;
  std::int64_t read_concurrent_limit = 10;
  std::int64_t read_frame_bytes = 1 << 20;
  bool remote_write_receiver = false;
  bool admin_api = false;
  std::string cors_origin = ".*";
  std::string page_title = "Narthex";
  std::vector<std::string> accepted_messages = {std::string(kProtoV1),
                                                std::string(kProtoV2)};
  service::Features features;

  Options();

  void AddTo(service::FlagSet& flags);

  /// What the flags mean to the engine. kInvalidArgument when one is out of
  /// range.
  absl::StatusOr<promql::EngineOptions> ForEngine() const;
};

}  // namespace narthex::querier
