#include "libs/discovery/eureka.h"

#include <pugixml.hpp>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/discovery/meta_labels.h"
#include "libs/discovery/refresh_provider.h"
#include "libs/http/url.h"

namespace narthex::discovery {
namespace {

using pugi::xml_node;

/// Where an instance is that names no port.
constexpr std::int64_t kDefaultPort = 80;

/// kInvalidArgument for text that is no integer; nothing is zero.
absl::StatusOr<std::int64_t> ParseInteger(const xml_node& node) {
  const absl::string_view text = absl::StripAsciiWhitespace(node.text().get());
  std::int64_t value = 0;
  if (text.empty() || absl::SimpleAtoi(text, &value)) return value;
  return absl::InvalidArgumentError(absl::StrCat(
      node.name(), ": parsing ", base::Quote(text), ": invalid syntax"));
}

/// All that stands between the tags, markup included.
std::string InnerXml(const xml_node& node) {
  std::ostringstream out;
  for (const xml_node& child : node.children()) {
    child.print(out, "", pugi::format_raw);
  }
  return out.str();
}

absl::string_view LocalName(const xml_node& node) {
  const absl::string_view name = node.name();
  const std::size_t colon = name.find(':');
  return colon == absl::string_view::npos ? name : name.substr(colon + 1);
}

void AddMetadata(const xml_node& metadata, absl::string_view group,
                 MetaLabels* labels) {
  for (const xml_node& item : metadata.children()) {
    if (item.type() != pugi::node_element) continue;
    labels->AddKey(group, LocalName(item), InnerXml(item));
  }
}

/// Adds <name> and <name>_enabled and sets `*port`, when the node is there.
absl::Status AddPort(const xml_node& node, const std::string& name,
                     MetaLabels* labels, std::int64_t* port) {
  if (!node) return absl::OkStatus();
  NARTHEX_ASSIGN_OR_RETURN(*port, ParseInteger(node));
  labels->Add(name, *port)
      .AddFlag(name + "_enabled", node.attribute("enabled").as_bool(false));
  return absl::OkStatus();
}

absl::StatusOr<model::Labels> LabelsOf(const std::string& application,
                                       const xml_node& instance) {
  const auto text = [&](const char* name) {
    return instance.child(name).text().get();
  };
  NARTHEX_ASSIGN_OR_RETURN(const std::int64_t country,
                           ParseInteger(instance.child("countryId")));
  MetaLabels labels("__meta_eureka_");
  labels.Set("instance", text("instanceId"))
      .Add("app_name", application)
      .Add("app_instance_hostname", text("hostName"))
      .Add("app_instance_homepage_url", text("homePageUrl"))
      .Add("app_instance_statuspage_url", text("statusPageUrl"))
      .Add("app_instance_healthcheck_url", text("healthCheckUrl"))
      .Add("app_instance_ip_addr", text("ipAddr"))
      .Add("app_instance_vip_address", text("vipAddress"))
      .Add("app_instance_secure_vip_address", text("secureVipAddress"))
      .Add("app_instance_status", text("status"))
      .Add("app_instance_country_id", country)
      .Add("app_instance_id", text("instanceId"));
  std::int64_t port = kDefaultPort;
  std::int64_t secure_port = 0;
  NARTHEX_RETURN_IF_ERROR(
      AddPort(instance.child("port"), "app_instance_port", &labels, &port));
  NARTHEX_RETURN_IF_ERROR(AddPort(instance.child("securePort"),
                                  "app_instance_secure_port", &labels,
                                  &secure_port));
  if (const xml_node center = instance.child("dataCenterInfo")) {
    labels.Add("app_instance_datacenterinfo_name",
               center.child("name").text().get());
    AddMetadata(center.child("metadata"),
                "app_instance_datacenterinfo_metadata_", &labels);
  }
  AddMetadata(instance.child("metadata"), "app_instance_metadata_", &labels);
  labels.Address(JoinHostPort(text("hostName"), port));
  return labels.Build();
}

absl::StatusOr<std::vector<TargetGroup>> Refresh(const std::string& server,
                                                 Fetcher& fetcher) {
  http::FetchRequest request;
  request.url = server + "/apps";
  NARTHEX_ASSIGN_OR_RETURN(const Fetcher::Answer answer,
                           fetcher.Fetch(request));
  if (answer.code / 100 != 2) {
    return absl::UnavailableError(
        absl::StrCat("non 2xx status '", answer.code,
                     "' response during eureka service discovery"));
  }
  auto group = ParseEurekaApps(answer.body);
  NARTHEX_RETURN_IF_ERROR(
      base::Annotate(group.status(), base::Quote(request.url)));
  return std::vector<TargetGroup>{*std::move(group)};
}

}  // namespace

absl::StatusOr<TargetGroup> ParseEurekaApps(const std::string& xml) {
  pugi::xml_document document;
  const pugi::xml_parse_result parsed =
      document.load_buffer(xml.data(), xml.size());
  if (!parsed) {
    return absl::InvalidArgumentError(
        absl::StrCat("byte ", parsed.offset, ": ", parsed.description()));
  }
  const xml_node root = document.child("applications");
  if (!root) {
    return absl::InvalidArgumentError("expected element type <applications>");
  }
  TargetGroup group;
  group.source = "eureka";
  for (const xml_node& application : root.children("application")) {
    const std::string name = application.child("name").text().get();
    for (const xml_node& instance : application.children("instance")) {
      NARTHEX_ASSIGN_OR_RETURN(model::Labels labels, LabelsOf(name, instance));
      group.targets.push_back(std::move(labels));
    }
  }
  return group;
}

absl::Status Decode(const yaml::Node& node, EurekaConfig* config) {
  yaml::Decoder d(node);
  d.Field("server", &config->server);
  http::DecodeClientConfig(d, &config->client);
  d.Duration("refresh_interval", &config->refresh_interval_ms);
  if (config->server.empty()) {
    d.Fail("eureka_sd: empty or null eureka server");
  } else if (config->server.find("://") == std::string::npos ||
             http::UrlHost(config->server).empty()) {
    d.Fail("eureka_sd: invalid eureka server URL");
  }
  return d.Done();
}

void Emit(const EurekaConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  out->Field("server", config.server);
  http::EmitClientConfig(config.client, out);
  out->Key("refresh_interval").Duration(config.refresh_interval_ms);
  out->EndMap();
}

void SetDirectory(const std::string& directory, EurekaConfig* config) {
  http::SetDirectory(directory, &config->client);
}

std::unique_ptr<Provider> MakeProvider(const EurekaConfig& config,
                                       const ProviderContext& context) {
  return std::make_unique<RefreshProvider>(
      RefreshProvider::Options{
          .mechanism = "eureka",
          .interval_ms = config.refresh_interval_ms,
          .client = std::make_shared<http::ClientConfig>(config.client)},
      context, [server = config.server](Fetcher& fetcher) {
        return Refresh(server, fetcher);
      });
}

}  // namespace narthex::discovery
