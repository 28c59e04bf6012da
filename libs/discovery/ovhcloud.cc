#include "libs/discovery/ovhcloud.h"

#include <arpa/inet.h>
#include <openssl/sha.h>

#include <array>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/clock.h"
#include "libs/base/status.h"
#include "libs/base/url_query.h"
#include "libs/discovery/json.h"
#include "libs/discovery/meta_labels.h"
#include "libs/discovery/refresh_provider.h"
#include "libs/yaml/optional_fields.h"

namespace narthex::discovery {
namespace {

absl::StatusOr<std::string> UrlOf(const std::string& endpoint) {
  if (absl::StrContains(endpoint, '/')) return endpoint;
  constexpr std::pair<const char*, const char*> kEndpoints[] = {
      {"ovh-eu", "https://eu.api.ovh.com/1.0"},
      {"ovh-ca", "https://ca.api.ovh.com/1.0"},
      {"ovh-us", "https://api.us.ovhcloud.com/1.0"},
      {"kimsufi-eu", "https://eu.api.kimsufi.com/1.0"},
      {"kimsufi-ca", "https://ca.api.kimsufi.com/1.0"},
      {"soyoustart-eu", "https://eu.api.soyoustart.com/1.0"},
      {"soyoustart-ca", "https://ca.api.soyoustart.com/1.0"}};
  for (const auto& [name, url] : kEndpoints) {
    if (endpoint == name) return url;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown endpoint '", endpoint, "'"));
}

std::string Sha1Hex(absl::string_view text) {
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest;
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
       digest.data());
  return absl::BytesToHexString(absl::string_view(
      reinterpret_cast<const char*>(digest.data()), digest.size()));
}

/// The API of one refresh. Requests are signed with the server's time.
class OvhApi {
 public:
  static absl::StatusOr<OvhApi> Open(const OvhCloudConfig& config,
                                     Fetcher& fetcher) {
    NARTHEX_ASSIGN_OR_RETURN(const std::string url, UrlOf(config.endpoint));
    NARTHEX_ASSIGN_OR_RETURN(const std::string time,
                             fetcher.Get(url + "/auth/time"));
    std::int64_t now = 0;
    if (!absl::SimpleAtoi(time, &now)) {
      return absl::UnavailableError(
          absl::StrCat(url, "/auth/time: the answer is no time"));
    }
    return OvhApi(config, fetcher, url, now);
  }

  absl::StatusOr<Json> Get(const std::string& path) const {
    const std::string url = url_ + path;
    const std::string time =
        absl::StrCat(base::Clock::System().NowMs() / 1000 + ahead_seconds_);
    const std::string signature =
        Sha1Hex(absl::StrJoin({config_.application_secret, config_.consumer_key,
                               std::string("GET"), url, std::string(), time},
                              "+"));
    NARTHEX_ASSIGN_OR_RETURN(
        const std::string body,
        fetcher_.Get(url, {{"Accept", "application/json"},
                           {"X-Ovh-Application", config_.application_key},
                           {"X-Ovh-Consumer", config_.consumer_key},
                           {"X-Ovh-Timestamp", time},
                           {"X-Ovh-Signature", "$1$" + signature}}));
    return ParseJson(body);
  }

 private:
  OvhApi(const OvhCloudConfig& config, Fetcher& fetcher, std::string url,
         std::int64_t server_seconds)
      : config_(config),
        fetcher_(fetcher),
        url_(std::move(url)),
        ahead_seconds_(server_seconds - base::Clock::System().NowMs() / 1000) {}

  const OvhCloudConfig& config_;
  Fetcher& fetcher_;
  const std::string url_;
  /// The server's clock against ours.
  const std::int64_t ahead_seconds_;
};

struct Addresses {
  std::string ipv4;
  std::string ipv6;
};

/// `text` in the usual form, empty when it is no address of that family.
std::string Normalized(int family, const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> bytes;
  std::array<char, INET6_ADDRSTRLEN> out;
  if (inet_pton(family, text.c_str(), bytes.data()) != 1) return "";
  return inet_ntop(family, bytes.data(), out.data(), out.size());
}

/// Takes the last one of each family. Of networks only those that are a
/// single address count, and none that is unspecified.
absl::StatusOr<Addresses> ParseAddresses(const Json& list) {
  const absl::Status failed =
      absl::InvalidArgumentError("could not parse IP addresses from list");
  Addresses out;
  for (const Json& item : list) {
    std::string text = item.text();
    const std::size_t slash = text.find('/');
    if (slash != std::string::npos) {
      if (text.substr(slash) != "/32") continue;
      text.resize(slash);
    }
    const std::string ipv4 = Normalized(AF_INET, text);
    const std::string ipv6 = Normalized(AF_INET6, text);
    if (ipv4.empty() && ipv6.empty()) return failed;
    if (!ipv4.empty() && ipv4 != "0.0.0.0") out.ipv4 = ipv4;
    if (!ipv6.empty() && ipv6 != "::") out.ipv6 = ipv6;
  }
  if (out.ipv4.empty() && out.ipv6.empty()) return failed;
  return out;
}

MetaLabels CommonLabels(const std::string& prefix, const Json& server,
                        const Addresses& addresses) {
  MetaLabels labels(prefix);
  labels.Address(addresses.ipv4.empty() ? addresses.ipv6 : addresses.ipv4)
      .Set("instance", Text(server, "name"))
      .Add("name", Text(server, "name"))
      .Add("state", Text(server, "state"))
      .Add("ipv4", addresses.ipv4)
      .Add("ipv6", addresses.ipv6);
  return labels;
}

model::Labels VpsLabels(const Json& server, const Addresses& addresses) {
  const Json& model = Child(server, "model");
  return CommonLabels("__meta_ovhcloud_vps_", server, addresses)
      .Add("offer", Text(model, "offer"))
      // A list as Go prints it.
      .Add("datacenter",
           absl::StrCat("[", absl::StrJoin(Texts(model, "datacenter"), " "),
                        "]"))
      .Add("model_vcore", Number(model, "vcore"))
      .Add("maximum_additional_ip", Number(model, "maximumAdditionnalIp"))
      .Add("version", Text(model, "version"))
      .Add("model_name", Text(model, "name"))
      .Add("disk", Number(model, "disk"))
      .Add("memory", Number(model, "memory"))
      .Add("zone", Text(server, "zone"))
      .Add("display_name", Text(server, "displayName"))
      .Add("cluster", Text(server, "cluster"))
      .Add("netboot_mode", Text(server, "netbootMode"))
      .Add("memory_limit", Number(server, "memoryLimit"))
      .Add("offer_type", Text(server, "offerType"))
      .Add("vcore", Number(server, "vcore"))
      .Build();
}

model::Labels DedicatedLabels(const Json& server, const Addresses& addresses) {
  return CommonLabels("__meta_ovhcloud_dedicated_server_", server, addresses)
      .Add("commercial_range", Text(server, "commercialRange"))
      .Add("link_speed", Number(server, "linkSpeed"))
      .Add("rack", Text(server, "rack"))
      .AddFlag("no_intervention", Flag(server, "noIntervention"))
      .Add("os", Text(server, "os"))
      .Add("support_level", Text(server, "supportLevel"))
      .Add("server_id", Number(server, "serverId"))
      .Add("reverse", Text(server, "reverse"))
      .Add("datacenter", Text(server, "datacenter"))
      .Build();
}

absl::StatusOr<model::Labels> Describe(const OvhApi& api,
                                       const std::string& path, bool is_vps) {
  NARTHEX_ASSIGN_OR_RETURN(const Json server, api.Get(path));
  NARTHEX_ASSIGN_OR_RETURN(const Json ips, api.Get(path + "/ips"));
  NARTHEX_ASSIGN_OR_RETURN(const Addresses addresses, ParseAddresses(ips));
  return (is_vps ? VpsLabels : DedicatedLabels)(server, addresses);
}

absl::StatusOr<std::vector<TargetGroup>> Refresh(const OvhCloudConfig& config,
                                                 const base::Logger& logger,
                                                 Fetcher& fetcher) {
  const bool is_vps = config.service == "vps";
  const std::string path = is_vps ? "/vps" : "/dedicated/server";
  TargetGroup group;
  group.source = "ovhcloud_" + config.service;
  NARTHEX_ASSIGN_OR_RETURN(const OvhApi api, OvhApi::Open(config, fetcher));
  NARTHEX_ASSIGN_OR_RETURN(const Json names, api.Get(path));
  for (const Json& name : names) {
    auto labels = Describe(
        api, absl::StrCat(path, "/", base::EscapeUrlQuery(name.text())),
        is_vps);
    if (labels.ok()) {
      group.targets.push_back(*std::move(labels));
    } else if (absl::IsCancelled(labels.status())) {
      return labels.status();
    } else {
      logger.Warn("leaving out a server without details",
                  {{"discovery", "ovhcloud"},
                   {"server", name.text()},
                   {"err", labels.status().message()}});
    }
  }
  return std::vector<TargetGroup>{std::move(group)};
}

}  // namespace

absl::Status Decode(const yaml::Node& node, OvhCloudConfig* config) {
  yaml::Decoder d(node);
  d.Field("endpoint", &config->endpoint);
  d.Field("application_key", &config->application_key);
  d.Field("application_secret", &config->application_secret);
  d.Field("consumer_key", &config->consumer_key);
  d.Duration("refresh_interval", &config->refresh_interval_ms);
  d.Field("service", &config->service);
  if (config->endpoint.empty()) {
    d.Fail("endpoint can not be empty");
  } else if (config->application_key.empty()) {
    d.Fail("application key can not be empty");
  } else if (config->application_secret.empty()) {
    d.Fail("application secret can not be empty");
  } else if (config->consumer_key.empty()) {
    d.Fail("consumer key can not be empty");
  } else if (config->service != "vps" &&
             config->service != "dedicated_server") {
    d.Fail(absl::StrCat("unknown service: ", config->service));
  }
  return d.Done();
}

void Emit(const OvhCloudConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  out->Field("endpoint", config.endpoint);
  out->Field("application_key", config.application_key);
  out->Field("application_secret", yaml::kHiddenSecret);
  out->Field("consumer_key", yaml::kHiddenSecret);
  out->Key("refresh_interval").Duration(config.refresh_interval_ms);
  out->Field("service", config.service);
  out->EndMap();
}

void SetDirectory(const std::string&, OvhCloudConfig*) {}

std::unique_ptr<Provider> MakeProvider(const OvhCloudConfig& config,
                                       const ProviderContext& context) {
  return std::make_unique<RefreshProvider>(
      RefreshProvider::Options{.mechanism = "ovhcloud",
                               .interval_ms = config.refresh_interval_ms},
      context, [config, logger = context.logger](Fetcher& fetcher) {
        return Refresh(config, logger, fetcher);
      });
}

}  // namespace narthex::discovery
