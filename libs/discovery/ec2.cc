#include "libs/discovery/ec2.h"

#include <algorithm>
#include <map>
#include <optional>
#include <pugixml.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/clock.h"
#include "libs/base/status.h"
#include "libs/base/url_query.h"
#include "libs/discovery/aws_credentials.h"
#include "libs/discovery/meta_labels.h"
#include "libs/discovery/refresh_provider.h"
#include "libs/yaml/optional_fields.h"

namespace narthex::discovery {
namespace {

using pugi::xml_node;

std::string TextOf(const xml_node& node, const char* name) {
  return node.child(name).text().get();
}

void AddParam(const std::string& name, absl::string_view value,
              std::string* form) {
  absl::StrAppend(form, "&", name, "=", base::EscapeUrlQuery(value));
}

/// The addresses of all interfaces, and those that are primary by the number
/// of their interface, with gaps.
struct Ipv6Addresses {
  std::vector<std::string> all;
  std::vector<std::string> primary;

  /// The first primary one, or else the first.
  std::string Default() const {
    for (const auto* list : {&primary, &all}) {
      for (const std::string& address : *list) {
        if (!address.empty()) return address;
      }
    }
    return "";
  }
};

Ipv6Addresses Ipv6Of(const xml_node& instance) {
  Ipv6Addresses out;
  if (TextOf(instance, "vpcId").empty()) return out;
  for (const xml_node& item : instance.child("networkInterfaceSet")) {
    if (TextOf(item, "subnetId").empty()) continue;
    const auto index = item.child("attachment").child("deviceIndex").text();
    for (const xml_node& address : item.child("ipv6AddressesSet")) {
      out.all.push_back(TextOf(address, "ipv6Address"));
      if (TextOf(address, "isPrimaryIpv6") != "true") continue;
      const auto at = static_cast<std::size_t>(index.as_uint());
      // No instance has nearly as many interfaces.
      if (at > 1000) continue;
      if (out.primary.size() <= at) out.primary.resize(at + 1);
      out.primary[at] = out.all.back();
    }
  }
  return out;
}

std::vector<std::string> SubnetsOf(const xml_node& instance) {
  std::vector<std::string> out;
  for (const xml_node& item : instance.child("networkInterfaceSet")) {
    std::string subnet = TextOf(item, "subnetId");
    if (subnet.empty() ||
        std::find(out.begin(), out.end(), subnet) != out.end()) {
      continue;
    }
    out.push_back(std::move(subnet));
  }
  return out;
}

std::string ListOf(const std::vector<std::string>& items) {
  return items.empty() ? "" : SurroundedList(items, ",");
}

class Ec2 {
 public:
  Ec2(const Ec2Config& config, const std::string& sts_endpoint,
      const std::string& metadata_endpoint)
      : config_(config),
        account_({config.region, config.access_key, config.secret_key,
                  config.profile, config.role_arn, config.external_id,
                  sts_endpoint, metadata_endpoint}) {}

  absl::StatusOr<std::vector<TargetGroup>> Refresh(Fetcher& fetcher) {
    NARTHEX_ASSIGN_OR_RETURN(region_, account_.Region(fetcher));
    // Without the permission only the label is missing.
    if (!zones_.has_value()) static_cast<void>(ReadZones(fetcher));
    TargetGroup group;
    group.source = region_;
    std::string token;
    do {
      std::string form;
      for (std::size_t i = 0; i < config_.filters.size(); ++i) {
        const Ec2Filter& filter = config_.filters[i];
        const std::string prefix = absl::StrCat("Filter.", i + 1, ".");
        AddParam(prefix + "Name", filter.name, &form);
        for (std::size_t j = 0; j < filter.values.size(); ++j) {
          AddParam(absl::StrCat(prefix, "Value.", j + 1), filter.values[j],
                   &form);
        }
      }
      if (!token.empty()) AddParam("NextToken", token, &form);
      pugi::xml_document xml;
      NARTHEX_RETURN_IF_ERROR(
          base::Annotate(Ask(fetcher, "DescribeInstances", form, &xml),
                         "could not describe instances"));
      const auto answer = xml.child("DescribeInstancesResponse");
      for (const xml_node& reservation : answer.child("reservationSet")) {
        for (const xml_node& instance : reservation.child("instancesSet")) {
          AddInstance(TextOf(reservation, "ownerId"), instance, &group);
        }
      }
      token = TextOf(answer, "nextToken");
    } while (!token.empty());
    return std::vector<TargetGroup>{std::move(group)};
  }

 private:
  std::string Url() const {
    if (!config_.endpoint.empty()) {
      absl::string_view url = config_.endpoint;
      absl::ConsumeSuffix(&url, "/");
      return absl::StrCat(absl::StrContains(url, "://") ? "" : "https://", url,
                          "/");
    }
    return absl::StrCat("https://ec2.", region_, ".amazonaws.com",
                        absl::StartsWith(region_, "cn-") ? ".cn/" : "/");
  }

  absl::Status Ask(Fetcher& fetcher, const std::string& action,
                   const std::string& params, pugi::xml_document* xml) {
    const std::int64_t now = base::Clock::System().NowMs() / 1000;
    NARTHEX_ASSIGN_OR_RETURN(const AwsCredentials credentials,
                             account_.Credentials(fetcher, now));
    http::FetchRequest request;
    request.url = Url();
    request.method = "POST";
    request.headers.Set("Content-Type",
                        "application/x-www-form-urlencoded; charset=utf-8");
    request.body =
        absl::StrCat("Action=", action, "&Version=2016-11-15", params);
    SignForAws(credentials, region_, "ec2", now, &request);
    NARTHEX_ASSIGN_OR_RETURN(const Fetcher::Answer answer,
                             fetcher.Fetch(std::move(request)));
    const bool is_xml =
        xml->load_buffer(answer.body.data(), answer.body.size());
    if (answer.code == 200 && is_xml) return absl::OkStatus();
    const auto error = xml->child("Response").child("Errors").child("Error");
    const std::string code = TextOf(error, "Code");
    // New ones may be at hand by now.
    if (code == "AuthFailure" || code == "UnauthorizedOperation" ||
        code == "RequestExpired") {
      account_.Forget();
    }
    return absl::UnavailableError(absl::StrCat(
        action, ": ", StatusLine(answer.code), code.empty() ? "" : ": ", code,
        code.empty() ? "" : ": ", TextOf(error, "Message")));
  }

  absl::Status ReadZones(Fetcher& fetcher) {
    pugi::xml_document xml;
    NARTHEX_RETURN_IF_ERROR(
        Ask(fetcher, "DescribeAvailabilityZones", "", &xml));
    zones_.emplace();
    for (const xml_node& item : xml.child("DescribeAvailabilityZonesResponse")
                                    .child("availabilityZoneInfo")) {
      zones_->emplace(TextOf(item, "zoneName"), TextOf(item, "zoneId"));
    }
    return absl::OkStatus();
  }

  void AddInstance(const std::string& owner, const xml_node& instance,
                   TargetGroup* group) const {
    const Ipv6Addresses ipv6 = Ipv6Of(instance);
    const std::string private_ip = TextOf(instance, "privateIpAddress");
    const std::string address =
        private_ip.empty() ? ipv6.Default() : private_ip;
    if (address.empty()) return;
    const std::string public_ip = TextOf(instance, "ipAddress");
    const std::string vpc = TextOf(instance, "vpcId");
    const std::string zone =
        TextOf(instance.child("placement"), "availabilityZone");
    MetaLabels labels("__meta_ec2_");
    labels.Address(JoinHostPort(address, config_.port))
        .Add("instance_id", TextOf(instance, "instanceId"))
        .Add("region", region_)
        .Add("owner_id", owner)
        .Add("default_ipv6_address", ipv6.Default())
        .Add("private_ip", private_ip)
        .Add("private_dns_name", TextOf(instance, "privateDnsName"))
        .Add("platform", TextOf(instance, "platform"))
        .Add("public_ip", public_ip)
        .Add("primary_ipv6_addresses", ListOf(ipv6.primary))
        .Add("ipv6_addresses", ListOf(ipv6.all))
        .Add("ami", TextOf(instance, "imageId"))
        .Add("availability_zone", zone)
        .Add("instance_state", TextOf(instance.child("instanceState"), "name"))
        .Add("instance_type", TextOf(instance, "instanceType"))
        .Add("instance_lifecycle", TextOf(instance, "instanceLifecycle"))
        .Add("architecture", TextOf(instance, "architecture"));
    if (!public_ip.empty()) {
      labels.Add("public_dns_name", TextOf(instance, "dnsName"));
    }
    if (zones_.has_value()) {
      const auto it = zones_->find(zone);
      if (it != zones_->end()) labels.Add("availability_zone_id", it->second);
    }
    if (!vpc.empty()) {
      labels.Add("vpc_id", vpc)
          .Add("primary_subnet_id", TextOf(instance, "subnetId"))
          .Add("subnet_id", SurroundedList(SubnetsOf(instance), ","));
    }
    for (const xml_node& tag : instance.child("tagSet")) {
      labels.AddKey("tag_", TextOf(tag, "key"), TextOf(tag, "value"));
    }
    group->targets.push_back(labels.Build());
  }

  const Ec2Config config_;
  AwsAccount account_;
  std::string region_;
  /// Names of availability zones and their ids, once they could be read.
  std::optional<std::map<std::string, std::string>> zones_;
};

}  // namespace

absl::Status Decode(const yaml::Node& node, Ec2Filter* filter) {
  yaml::Decoder d(node);
  d.Field("name", &filter->name);
  d.Field("values", &filter->values);
  return d.Done();
}

absl::Status Decode(const yaml::Node& node, Ec2Config* config) {
  yaml::Decoder d(node);
  d.Field("endpoint", &config->endpoint);
  d.Field("region", &config->region);
  d.Field("access_key", &config->access_key);
  d.Field("secret_key", &config->secret_key);
  d.Field("profile", &config->profile);
  d.Field("role_arn", &config->role_arn);
  d.Field("external_id", &config->external_id);
  d.Duration("refresh_interval", &config->refresh_interval_ms);
  d.Field("port", &config->port);
  d.Field("filters", &config->filters);
  http::DecodeClientConfig(d, &config->client);
  for (const Ec2Filter& filter : config->filters) {
    if (filter.values.empty()) {
      d.Fail("EC2 SD configuration filter values cannot be empty");
    }
  }
  return d.Done();
}

void Emit(const Ec2Config& config, yaml::Emitter* out) {
  out->BeginMap();
  out->Field("endpoint", config.endpoint);
  out->Field("region", config.region);
  yaml::EmitText("access_key", config.access_key, out);
  yaml::EmitSecret("secret_key", config.secret_key, out);
  yaml::EmitText("profile", config.profile, out);
  yaml::EmitText("role_arn", config.role_arn, out);
  yaml::EmitText("external_id", config.external_id, out);
  yaml::EmitDuration("refresh_interval", config.refresh_interval_ms, out);
  out->Field("port", std::int64_t{config.port});
  out->Key("filters").BeginSequence();
  for (const Ec2Filter& filter : config.filters) {
    out->BeginMap();
    out->Field("name", filter.name);
    out->Field("values", filter.values);
    out->EndMap();
  }
  out->EndSequence();
  http::EmitClientConfig(config.client, out);
  out->EndMap();
}

void SetDirectory(const std::string& directory, Ec2Config* config) {
  http::SetDirectory(directory, &config->client);
}

std::unique_ptr<Provider> MakeProvider(const Ec2Config& config,
                                       const ProviderContext& context) {
  return MakeEc2Provider(config, context, "", "");
}

std::unique_ptr<Provider> MakeEc2Provider(
    const Ec2Config& config, const ProviderContext& context,
    const std::string& sts_endpoint, const std::string& metadata_endpoint) {
  auto ec2 = std::make_shared<Ec2>(config, sts_endpoint, metadata_endpoint);
  return std::make_unique<RefreshProvider>(
      RefreshProvider::Options{
          .mechanism = "ec2",
          .interval_ms = config.refresh_interval_ms,
          .client = std::make_shared<http::ClientConfig>(config.client)},
      context, [ec2](Fetcher& fetcher) { return ec2->Refresh(fetcher); });
}

}  // namespace narthex::discovery
