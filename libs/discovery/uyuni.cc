#include "libs/discovery/uyuni.h"

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "libs/base/clock.h"
#include "libs/base/status.h"
#include "libs/discovery/meta_labels.h"
#include "libs/discovery/refresh_provider.h"
#include "libs/discovery/xml_rpc.h"
#include "libs/yaml/optional_fields.h"

namespace narthex::discovery {
namespace {

constexpr char kApiPath[] = "/rpc/api";
constexpr std::int64_t kTokenSeconds = 600;
constexpr std::int64_t kNsPerSecond = 1'000'000'000;

std::int64_t IntegerOf(const pugi::xml_node& value) {
  std::int64_t out = 0;
  return absl::SimpleAtoi(XmlRpcScalar(value), &out) ? out : 0;
}

std::string TextOf(const pugi::xml_node& object, const char* name) {
  return XmlRpcScalar(XmlRpcMember(object, name));
}

/// A system with what is said about it in three lists.
struct System {
  std::vector<std::string> groups;
  std::string hostname;
  std::string primary_fqdn;
};

class Uyuni {
 public:
  explicit Uyuni(const UyuniConfig& config)
      : config_(config),
        url_(absl::StrCat(absl::StripSuffix(config.server, "/"), kApiPath)) {}

  absl::StatusOr<std::vector<TargetGroup>> Refresh(Fetcher& fetcher) {
    const std::int64_t now = base::Clock::System().MonotonicNs();
    if (token_.empty() || now > renew_ns_) {
      NARTHEX_RETURN_IF_ERROR(
          base::Annotate(Login(fetcher), "unable to login to Uyuni API"));
      renew_ns_ = now + kTokenSeconds / 2 * kNsPerSecond;
    }
    TargetGroup group;
    group.source = url_;
    const absl::Status status = Find(fetcher, &group);
    if (!status.ok()) {
      token_.clear();
      return status;
    }
    return std::vector<TargetGroup>{std::move(group)};
  }

 private:
  /// Calls a method; `xml` keeps the result.
  absl::StatusOr<pugi::xml_node> Call(Fetcher& fetcher,
                                      const std::string& method,
                                      const std::vector<std::string>& values,
                                      pugi::xml_document* xml) const {
    http::FetchRequest request;
    request.url = url_;
    request.method = "POST";
    request.headers.Set("Content-Type", "text/xml");
    request.body = XmlRpcCall(method, values);
    NARTHEX_ASSIGN_OR_RETURN(const Fetcher::Answer answer,
                             fetcher.Fetch(std::move(request)));
    if (answer.code / 100 != 2) {
      return absl::UnavailableError(
          absl::StrCat("request error: bad status code - ", answer.code));
    }
    return XmlRpcResult(answer.body, xml);
  }

  absl::Status Login(Fetcher& fetcher) {
    pugi::xml_document xml;
    NARTHEX_ASSIGN_OR_RETURN(
        const pugi::xml_node token,
        Call(fetcher, "auth.login",
             {XmlRpcText(config_.username), XmlRpcText(config_.password),
              XmlRpcInteger(kTokenSeconds)},
             &xml));
    token_ = XmlRpcScalar(token);
    return absl::OkStatus();
  }

  absl::Status Find(Fetcher& fetcher, TargetGroup* group) const {
    std::map<std::int64_t, System> systems;
    NARTHEX_RETURN_IF_ERROR(base::Annotate(
        ReadGroups(fetcher, &systems),
        "unable to get the managed system groups information of monitored "
        "clients"));
    std::vector<std::int64_t> ids;
    for (const auto& [id, system] : systems) ids.push_back(id);
    NARTHEX_RETURN_IF_ERROR(
        base::Annotate(ReadNetworks(fetcher, ids, &systems),
                       "unable to get the systems network information"));
    pugi::xml_document xml;
    const auto endpoints =
        Call(fetcher, "system.monitoring.listEndpoints",
             {XmlRpcText(token_), XmlRpcIntegers(ids)}, &xml);
    if (!endpoints.ok()) {
      return base::Annotate(endpoints.status(),
                            "unable to get endpoints information");
    }
    for (const pugi::xml_node& endpoint : XmlRpcItems(*endpoints)) {
      const std::int64_t id = IntegerOf(XmlRpcMember(endpoint, "system_id"));
      group->targets.push_back(LabelsOf(endpoint, id, systems[id]));
    }
    return absl::OkStatus();
  }

  absl::Status ReadGroups(Fetcher& fetcher,
                          std::map<std::int64_t, System>* systems) const {
    pugi::xml_document xml;
    NARTHEX_ASSIGN_OR_RETURN(
        const pugi::xml_node list,
        Call(fetcher, "system.listSystemGroupsForSystemsWithEntitlement",
             {XmlRpcText(token_), XmlRpcText(config_.entitlement)}, &xml));
    for (const pugi::xml_node& item : XmlRpcItems(list)) {
      System& system = (*systems)[IntegerOf(XmlRpcMember(item, "id"))];
      for (const pugi::xml_node& group :
           XmlRpcItems(XmlRpcMember(item, "system_groups"))) {
        system.groups.push_back(TextOf(group, "name"));
      }
    }
    return absl::OkStatus();
  }

  absl::Status ReadNetworks(Fetcher& fetcher,
                            const std::vector<std::int64_t>& ids,
                            std::map<std::int64_t, System>* systems) const {
    pugi::xml_document xml;
    NARTHEX_ASSIGN_OR_RETURN(
        const pugi::xml_node list,
        Call(fetcher, "system.getNetworkForSystems",
             {XmlRpcText(token_), XmlRpcIntegers(ids)}, &xml));
    for (const pugi::xml_node& item : XmlRpcItems(list)) {
      System& system = (*systems)[IntegerOf(XmlRpcMember(item, "system_id"))];
      system.hostname = TextOf(item, "hostname");
      system.primary_fqdn = TextOf(item, "primary_fqdn");
    }
    return absl::OkStatus();
  }

  model::Labels LabelsOf(const pugi::xml_node& endpoint, std::int64_t id,
                         const System& system) const {
    const bool tls = TextOf(endpoint, "tls_enabled") == "1";
    return MetaLabels("__meta_uyuni_")
        .Address(absl::StrCat(system.hostname, ":", TextOf(endpoint, "port")))
        .Add("minion_hostname", system.hostname)
        .Add("primary_fqdn", system.primary_fqdn)
        .Add("system_id", id)
        .Add("groups", absl::StrJoin(system.groups, config_.separator))
        .Add("endpoint_name", TextOf(endpoint, "endpoint_name"))
        .Add("exporter", TextOf(endpoint, "exporter_name"))
        .Add("proxy_module", TextOf(endpoint, "module"))
        .Add("metrics_path", TextOf(endpoint, "path"))
        .Add("scheme", tls ? "https" : "http")
        .Build();
  }

  const UyuniConfig config_;
  const std::string url_;
  std::string token_;
  std::int64_t renew_ns_ = 0;
};

}  // namespace

absl::Status Decode(const yaml::Node& node, UyuniConfig* config) {
  yaml::Decoder d(node);
  d.Field("server", &config->server);
  d.Field("username", &config->username);
  d.Field("password", &config->password);
  http::DecodeClientConfig(d, &config->client);
  d.Field("entitlement", &config->entitlement);
  d.Field("separator", &config->separator);
  d.Duration("refresh_interval", &config->refresh_interval_ms);
  if (config->server.empty()) {
    d.Fail("Uyuni SD configuration requires server host");
  } else if (config->username.empty()) {
    d.Fail("Uyuni SD configuration requires a username");
  } else if (config->password.empty()) {
    d.Fail("Uyuni SD configuration requires a password");
  }
  return d.Done();
}

void Emit(const UyuniConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  out->Field("server", config.server);
  out->Field("username", config.username);
  out->Field("password", yaml::kHiddenSecret);
  http::EmitClientConfig(config.client, out);
  yaml::EmitText("entitlement", config.entitlement, out);
  yaml::EmitText("separator", config.separator, out);
  yaml::EmitDuration("refresh_interval", config.refresh_interval_ms, out);
  out->EndMap();
}

void SetDirectory(const std::string& directory, UyuniConfig* config) {
  http::SetDirectory(directory, &config->client);
}

std::unique_ptr<Provider> MakeProvider(const UyuniConfig& config,
                                       const ProviderContext& context) {
  auto uyuni = std::make_shared<Uyuni>(config);
  return std::make_unique<RefreshProvider>(
      RefreshProvider::Options{
          .mechanism = "uyuni",
          .interval_ms = config.refresh_interval_ms,
          .client = std::make_shared<http::ClientConfig>(config.client)},
      context, [uyuni](Fetcher& fetcher) { return uyuni->Refresh(fetcher); });
}

}  // namespace narthex::discovery
