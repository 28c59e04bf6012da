#include "libs/discovery/kuma.h"

#include <netdb.h>
#include <unistd.h>

#include <array>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/clock.h"
#include "libs/base/duration.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/base/url_query.h"
#include "libs/discovery/json.h"
#include "libs/discovery/meta_labels.h"
#include "libs/discovery/refresh_provider.h"
#include "libs/http/url.h"
#include "libs/yaml/optional_fields.h"

namespace narthex::discovery {
namespace {

constexpr char kTypeUrl[] =
    "type.googleapis.com/kuma.observability.v1.MonitoringAssignment";
constexpr char kSource[] = "kuma";
/// For the connection, on top of the time that the server may wait.
constexpr std::int64_t kMarginMs = 15'000;

/// The full name of this machine, as far as it is known.
std::string MachineName() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "prometheus";
  addrinfo hints{};
  hints.ai_flags = AI_CANONNAME;
  addrinfo* found = nullptr;
  if (getaddrinfo(name.data(), nullptr, &hints, &found) != 0) {
    return name.data();
  }
  std::string out =
      found->ai_canonname == nullptr ? name.data() : found->ai_canonname;
  freeaddrinfo(found);
  return out;
}

/// Protobuf's JSON has two spellings of a field.
std::string EitherText(const Json& map, const char* name, const char* other) {
  std::string text = Text(map, name);
  return text.empty() ? Text(map, other) : text;
}

void AddUserLabels(const Json& object, MetaLabels* labels) {
  ForEachText(Child(object, "labels"),
              [&](const std::string& key, const std::string& value) {
                labels->AddKey("label_", key, value);
              });
}

void AddAssignment(const Json& assignment, TargetGroup* group) {
  for (const Json& target : Child(assignment, "targets")) {
    const std::string name = Text(target, "name");
    MetaLabels labels("__meta_kuma_");
    AddUserLabels(target, &labels);
    AddUserLabels(assignment, &labels);
    group->targets.push_back(
        labels.Address(Text(target, "address"))
            .Add("mesh", Text(assignment, "mesh"))
            .Add("service", Text(assignment, "service"))
            .Add("dataplane", name)
            .Set("instance", name)
            .Set("__scheme__", Text(target, "scheme"))
            .Set("__metrics_path__",
                 EitherText(target, "metricsPath", "metrics_path"))
            .Build());
  }
}

struct KumaMetrics {
  explicit KumaMetrics(metrics::Registry& registry)
      : failures(registry.NewCounter(
            "prometheus_sd_kuma_fetch_failures_total",
            "The number of Kuma MADS fetch call failures.")),
        skipped(registry.NewCounter(
            "prometheus_sd_kuma_fetch_skipped_updates_total",
            "The number of Kuma MADS fetch calls that result in no updates to "
            "the targets.")),
        duration(registry.NewSummary(
            "prometheus_sd_kuma_fetch_duration_seconds",
            "The duration of a Kuma MADS fetch call.", {0.5, 0.9, 0.99})) {}
  metrics::Counter& failures;
  metrics::Counter& skipped;
  metrics::Summary& duration;
};

class Kuma {
 public:
  Kuma(const KumaConfig& config, metrics::Registry& registry)
      : config_(config), metrics_(registry) {
    known_.group.source = kSource;
  }

  absl::StatusOr<std::vector<TargetGroup>> Refresh(Fetcher& fetcher) {
    const std::int64_t start = base::Clock::System().MonotonicNs();
    auto status = Fetch(fetcher);
    metrics_.duration.Observe(
        static_cast<double>(base::Clock::System().MonotonicNs() - start) / 1e9);
    if (!status.ok()) {
      metrics_.failures.Inc();
      return status;
    }
    return std::vector<TargetGroup>{known_.group};
  }

 private:
  /// Brings `known_` up to date.
  absl::Status Fetch(Fetcher& fetcher) {
    if (client_id_.empty()) {
      client_id_ =
          config_.client_id.empty() ? MachineName() : config_.client_id;
    }
    http::FetchRequest request;
    request.url = absl::StrCat(
        absl::StripSuffix(config_.server, "/"),
        "/v3/discovery:monitoringassignments?fetch-timeout=",
        base::EscapeUrlQuery(base::FormatDuration(config_.fetch_timeout_ms)));
    request.method = "POST";
    request.timeout_ms = config_.fetch_timeout_ms + kMarginMs;
    request.headers.Set("Content-Type", "application/json");
    request.headers.Set("Accept", "application/json");
    std::vector<Json::Member> body = {{"node", Json::Map({{"id", client_id_}})},
                                      {"type_url", kTypeUrl}};
    if (!known_.version.empty()) {
      body.push_back({"version_info", known_.version});
    }
    if (!known_.nonce.empty()) body.push_back({"response_nonce", known_.nonce});
    request.body = Json::Map(std::move(body)).Dump();
    NARTHEX_ASSIGN_OR_RETURN(const Fetcher::Answer answer,
                             fetcher.Fetch(std::move(request)));
    if (answer.code == 304) {
      metrics_.skipped.Inc();
      return absl::OkStatus();
    }
    if (answer.code != 200) {
      return absl::UnavailableError(absl::StrCat(
          "non 200 status '", answer.code, "' response during xDS fetch"));
    }
    NARTHEX_ASSIGN_OR_RETURN(known_, ParseKumaResponse(answer.body));
    return absl::OkStatus();
  }

  const KumaConfig config_;
  const KumaMetrics metrics_;
  std::string client_id_;
  KumaResponse known_;
};

}  // namespace

absl::StatusOr<KumaResponse> ParseKumaResponse(const std::string& body) {
  NARTHEX_ASSIGN_OR_RETURN(const Json json, ParseJson(body));
  const std::string type = EitherText(json, "typeUrl", "type_url");
  if (type != kTypeUrl) {
    return absl::InvalidArgumentError(absl::StrCat(
        "received invalid typeURL for Kuma MADS v1 Resource: ", type));
  }
  KumaResponse out;
  out.version = EitherText(json, "versionInfo", "version_info");
  out.nonce = Text(json, "nonce");
  out.group.source = kSource;
  for (const Json& resource : Child(json, "resources")) {
    if (Text(resource, "@type") != kTypeUrl) {
      return absl::InvalidArgumentError(absl::StrCat(
          "unexpected resource ", base::Quote(Text(resource, "@type"))));
    }
    AddAssignment(resource, &out.group);
  }
  return out;
}

absl::Status Decode(const yaml::Node& node, KumaConfig* config) {
  yaml::Decoder d(node);
  http::DecodeClientConfig(d, &config->client);
  d.Duration("refresh_interval", &config->refresh_interval_ms);
  d.Duration("fetch_timeout", &config->fetch_timeout_ms);
  d.Field("server", &config->server);
  d.Field("client_id", &config->client_id);
  if (config->server.find("://") == std::string::npos ||
      http::UrlHost(config->server).empty()) {
    d.Fail(absl::StrCat("kuma SD server must not be empty and have a scheme: ",
                        config->server));
  }
  return d.Done();
}

void Emit(const KumaConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  http::EmitClientConfig(config.client, out);
  yaml::EmitDuration("refresh_interval", config.refresh_interval_ms, out);
  yaml::EmitDuration("fetch_timeout", config.fetch_timeout_ms, out);
  out->Field("server", config.server);
  yaml::EmitText("client_id", config.client_id, out);
  out->EndMap();
}

void SetDirectory(const std::string& directory, KumaConfig* config) {
  http::SetDirectory(directory, &config->client);
}

std::unique_ptr<Provider> MakeProvider(const KumaConfig& config,
                                       const ProviderContext& context) {
  auto kuma = std::make_shared<Kuma>(config, context.metrics.registry);
  return std::make_unique<RefreshProvider>(
      RefreshProvider::Options{
          .mechanism = "kuma",
          .interval_ms = config.refresh_interval_ms,
          .client = std::make_shared<http::ClientConfig>(config.client)},
      context, [kuma](Fetcher& fetcher) { return kuma->Refresh(fetcher); });
}

}  // namespace narthex::discovery
