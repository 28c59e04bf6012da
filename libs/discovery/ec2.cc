#include "libs/discovery/ec2.h"

#include <algorithm>
#include <map>
#include <optional>
#include <pugixml.hpp>
#include <utility>

#include "libs/base/status.h"
#include "libs/discovery/meta_labels.h"
#include "libs/yaml/optional_fields.h"

namespace narthex::discovery {
namespace {

using pugi::xml_node;

std::string TextOf(const xml_node& node, const char* name) {
  return node.child(name).text().get();
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
        api_(config, {.service = "ec2",
                      .version = kEc2Version,
                      .sts_endpoint = sts_endpoint,
                      .metadata_endpoint = metadata_endpoint}) {}

  absl::StatusOr<std::vector<TargetGroup>> Refresh(Fetcher& fetcher) {
    NARTHEX_ASSIGN_OR_RETURN(region_, api_.Region(fetcher));
    // Without the permission only the label is missing.
    if (!zones_.has_value()) static_cast<void>(ReadZones(fetcher));
    TargetGroup group;
    group.source = region_;
    std::string token;
    do {
      std::string form;
      AddAwsFilters(config_.filters, "Filter", "Value", &form);
      if (!token.empty()) AddAwsParam("NextToken", token, &form);
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
  absl::Status Ask(Fetcher& fetcher, const std::string& action,
                   const std::string& params, pugi::xml_document* xml) {
    NARTHEX_ASSIGN_OR_RETURN(const std::string body,
                             api_.Query(fetcher, action, params));
    if (xml->load_buffer(body.data(), body.size())) return absl::OkStatus();
    return absl::UnavailableError(action + ": the answer is no XML");
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
  AwsApi api_;
  std::string region_;
  /// Names of availability zones and their ids, once they could be read.
  std::optional<std::map<std::string, std::string>> zones_;
};

}  // namespace

absl::Status Decode(const yaml::Node& node, Ec2Config* config) {
  yaml::Decoder d(node);
  DecodeAwsApi(d, config);
  d.Field("filters", &config->filters);
  for (const AwsFilter& filter : config->filters) {
    if (filter.values.empty()) {
      d.Fail("EC2 SD configuration filter values cannot be empty");
    }
  }
  return d.Done();
}

void Emit(const Ec2Config& config, yaml::Emitter* out) {
  out->BeginMap();
  EmitAwsApi(config, out);
  EmitAwsFilters(config.filters, out);
  http::EmitClientConfig(config.client, out);
  out->EndMap();
}

std::unique_ptr<Provider> MakeProvider(const Ec2Config& config,
                                       const ProviderContext& context) {
  return MakeEc2Provider(config, context, "", "");
}

std::unique_ptr<Provider> MakeEc2Provider(
    const Ec2Config& config, const ProviderContext& context,
    const std::string& sts_endpoint, const std::string& metadata_endpoint) {
  auto ec2 = std::make_shared<Ec2>(config, sts_endpoint, metadata_endpoint);
  return PollApi("ec2", config, context,
                 [ec2](Fetcher& fetcher) { return ec2->Refresh(fetcher); });
}

}  // namespace narthex::discovery
