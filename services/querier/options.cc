#include "services/querier/options.h"

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/promql/features.h"
#include "libs/service/auto_reload.h"

namespace narthex::querier {
namespace {

std::vector<absl::string_view> Features() {
  std::vector<absl::string_view> names = promql::FeatureNames();
  names.push_back(service::kAutoReloadFeature);
  names.push_back(kPerStepStats);
  return names;
}

}  // namespace

Options::Options() : features(Features()) {}

void Options::AddTo(service::FlagSet& flags) {
  flags.String("config.file", &config_file,
               "Prometheus configuration file; read for its external labels, "
               "its evaluation interval, and to be shown.");
  flags.String("grpc.listen-address", &grpc_address,
               "Address to serve gRPC on, for rulers.");
  flags.String("ingester.addresses", &ingesters,
               "gRPC addresses of the ingesters: host:port,... or "
               "dns://name:port.");
  flags.Int("ingester.replication-factor", &replication_factor,
            "In how many ingesters each series is, at most as many as there "
            "are. The same for all services.");
  flags.String("scraper.addresses", &scrapers,
               "gRPC addresses of the scrapers, likewise.");
  flags.String("ruler.addresses", &rulers,
               "gRPC addresses of the rulers, likewise.");
  flags.Duration("query.timeout", &query_timeout_ms,
                 "Maximum time a query may take before being aborted.");
  flags.Duration("query.lookback-delta", &lookback_delta_ms,
                 "The maximum lookback duration for retrieving metrics during "
                 "expression evaluations and federation.");
  flags.Int("query.max-samples", &max_samples,
            "Maximum number of samples a single query can load into memory.");
  flags.Int("query.max-concurrency", &max_concurrency,
            "Maximum number of queries executed concurrently.");
  flags.Size("query.max-memory", &max_query_bytes,
             "Memory that a single query may take, in the querier and in each "
             "ingester, estimated, B to EB. 0: no limit.");
  flags.Duration("query.log-slower-than", &slow_query_ms,
                 "Log a warning for each query that takes longer. 0: none.");
  flags.String("query.active-queries-file", &active_queries_file,
               "File that says at any time which queries are evaluated; those "
               "that a crash left in it are logged at the start. Empty: none.");
  flags.Int("storage.remote.read-sample-limit", &read_sample_limit,
            "Maximum overall number of samples to return via the remote read "
            "interface, in a single query. 0: no limit.");
  flags.Int("storage.remote.read-max-bytes-in-frame", &read_frame_bytes,
            "Maximum number of bytes in a single frame for streaming remote "
            "read response types before marshalling.");
  flags.Int("storage.remote.read-concurrent-limit", &read_concurrent_limit,
            "Maximum number of concurrent remote read calls. 0: no limit.");
  flags.Bool("web.enable-remote-write-receiver", &remote_write_receiver,
             "Accept remote write requests at /api/v1/write.");
  flags.Bool("web.enable-admin-api", &admin_api,
             "Enable API endpoints for admin control actions.");
  flags.String("web.cors.origin", &cors_origin,
               "Regex for CORS origin. It is fully anchored.");
  flags.String("web.page-title", &page_title,
               "Document title of the user interface.");
  flags.Strings("web.remote-write-receiver.accepted-protobuf-messages",
                &accepted_messages,
                absl::StrCat("Protobuf message of remote write to accept. Can "
                             "be repeated. Supported: ",
                             kProtoV1, ", ", kProtoV2, "."));
  flags.WithoutEffect("web.console.templates", "consoles",
                      "there are no console templates");
  flags.WithoutEffect("web.console.libraries", "console_libraries",
                      "there are no console templates");
  flags.WithoutEffect("web.local-assets", "",
                      "the user interface is in the program");
  flags.WithoutEffect("web.user-assets", "", "no files are served below /user");
  flags.WithoutEffect("web.max-notifications-subscribers", "16",
                      "no notifications are sent");
  flags.WithoutEffect("storage.remote.flush-deadline", "1m",
                      "remote_write is not supported");
  features.AddFlag(flags);
}

absl::StatusOr<promql::EngineOptions> Options::ForEngine() const {
  promql::EngineOptions engine;
  engine.timeout_ms = query_timeout_ms;
  engine.lookback_delta_ms = lookback_delta_ms;
  engine.max_samples = max_samples;
  engine.max_concurrency = static_cast<int>(max_concurrency);
  engine.max_bytes = max_query_bytes;
  for (const std::string& feature : features.Names()) {
    promql::EnableFeature(feature, &engine);
  }
  if (max_concurrency < 1 || max_samples < 1 || query_timeout_ms < 1 ||
      lookback_delta_ms < 1) {
    return absl::InvalidArgumentError(
        "--query.timeout, --query.lookback-delta, --query.max-samples and "
        "--query.max-concurrency must be positive");
  }
  return engine;
}

}  // namespace narthex::querier
