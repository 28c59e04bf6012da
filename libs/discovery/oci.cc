#include "libs/discovery/oci.h"

#include <algorithm>
#include <deque>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/float_format.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/base/url_query.h"
#include "libs/discovery/json.h"
#include "libs/discovery/meta_labels.h"
#include "libs/discovery/oci_account.h"
#include "libs/yaml/optional_fields.h"

namespace narthex::discovery {
namespace {

constexpr char kVersion[] = "/20160918/";

/// The primary network interface of an instance.
struct Vnic {
  std::string id;
  std::string private_ip;
  std::string public_ip;
  std::string hostname;
  std::vector<std::string> ipv6;  // Sorted: the API has no order.
};

/// A tag's value as text; nothing for lists and maps.
std::string TagText(const Json& value) {
  if (value.is_boolean()) return value.boolean() ? "true" : "false";
  if (value.is_integer()) return absl::StrCat(value.integer());
  if (value.is_number()) return base::FormatFloat(value.number());
  return value.text();
}

class Oci {
 public:
  Oci(const OciConfig& config, base::Logger logger)
      : config_(config), logger_(std::move(logger)), account_(config) {}

  absl::StatusOr<std::vector<TargetGroup>> Refresh(Fetcher& fetcher) {
    NARTHEX_ASSIGN_OR_RETURN(tenancy_, account_.Tenancy(fetcher));
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> compartments,
                             Compartments(fetcher));
    TargetGroup group;
    group.source = "OCI";
    for (const std::string& compartment : compartments) {
      const auto instances = ListAll(
          fetcher, "iaas",
          absl::StrCat("instances/?compartmentId=",
                       base::EscapeUrlQuery(compartment), "&limit=100"));
      if (!instances.ok()) {
        return base::Annotate(
            instances.status(),
            absl::StrCat("listing OCI instances in compartment ", compartment));
      }
      for (const Json& instance : *instances) {
        NARTHEX_RETURN_IF_ERROR(AddInstance(fetcher, instance, &group));
      }
    }
    return std::vector<TargetGroup>{std::move(group)};
  }

 private:
  absl::StatusOr<Fetcher::Answer> Get(Fetcher& fetcher,
                                      const std::string& service,
                                      const std::string& path) {
    http::FetchRequest request;
    request.url = absl::StrCat(OciServiceUrl(config_, service), kVersion, path);
    request.headers.Set("Accept", "application/json");
    NARTHEX_RETURN_IF_ERROR(account_.Sign(fetcher, &request));
    const std::string url = request.url;
    NARTHEX_ASSIGN_OR_RETURN(Fetcher::Answer answer,
                             fetcher.Fetch(std::move(request)));
    if (answer.code == 200) return answer;
    if (answer.code == 401) account_.Forget();
    const auto json = ParseJson(answer.body);
    return absl::UnavailableError(
        absl::StrCat(url, ": ", StatusLine(answer.code), ": ",
                     json.ok() ? Text(*json, "message") : ""));
  }

  /// The items on all pages of a list.
  absl::StatusOr<std::vector<Json>> ListAll(Fetcher& fetcher,
                                            const std::string& service,
                                            const std::string& path) {
    std::vector<Json> out;
    std::string page;
    do {
      NARTHEX_ASSIGN_OR_RETURN(
          const Fetcher::Answer answer,
          Get(fetcher, service,
              page.empty()
                  ? path
                  : absl::StrCat(path, "&page=", base::EscapeUrlQuery(page))));
      NARTHEX_ASSIGN_OR_RETURN(const Json items, ParseJson(answer.body));
      out.insert(out.end(), items.begin(), items.end());
      page = std::string(answer.headers.Get("opc-next-page"));
    } while (!page.empty());
    return out;
  }

  /// Those of the configuration, or the whole tree. A part of the tree that
  /// may not be read is left out.
  absl::StatusOr<std::vector<std::string>> Compartments(Fetcher& fetcher) {
    if (!config_.compartments.empty()) return config_.compartments;
    std::vector<std::string> out;
    std::set<std::string> seen;
    std::deque<std::string> left = {tenancy_};
    while (!left.empty()) {
      const std::string current = std::move(left.front());
      left.pop_front();
      if (!seen.insert(current).second) continue;
      out.push_back(current);
      const auto children = ListAll(
          fetcher, "identity",
          absl::StrCat(
              "compartments?compartmentId=", base::EscapeUrlQuery(current),
              "&accessLevel=ACCESSIBLE&compartmentIdInSubtree=false"
              "&limit=100"));
      if (!children.ok()) {
        if (fetcher.cancelled()) return children.status();
        logger_.Warn("leaving out the compartments below one",
                     {{"discovery", "oci"},
                      {"compartment", current},
                      {"err", children.status().message()}});
        continue;
      }
      for (const Json& child : *children) {
        if (Text(child, "lifecycleState") == "ACTIVE") {
          left.push_back(Text(child, "id"));
        }
      }
    }
    return out;
  }

  absl::StatusOr<Vnic> PrimaryVnic(Fetcher& fetcher, const Json& instance) {
    NARTHEX_ASSIGN_OR_RETURN(
        const std::vector<Json> attachments,
        ListAll(fetcher, "iaas",
                absl::StrCat(
                    "vnicAttachments/?compartmentId=",
                    base::EscapeUrlQuery(Text(instance, "compartmentId")),
                    "&instanceId=", base::EscapeUrlQuery(Text(instance, "id")),
                    "&limit=100")));
    for (const Json& attachment : attachments) {
      const std::string id = Text(attachment, "vnicId");
      if (id.empty() || Text(attachment, "lifecycleState") != "ATTACHED") {
        continue;
      }
      NARTHEX_ASSIGN_OR_RETURN(
          const Fetcher::Answer answer,
          Get(fetcher, "iaas", "vnics/" + http::PercentEncode(id)));
      NARTHEX_ASSIGN_OR_RETURN(const Json json, ParseJson(answer.body));
      if (!Flag(json, "isPrimary")) continue;
      Vnic vnic{Text(json, "id"), Text(json, "privateIp"),
                Text(json, "publicIp"), Text(json, "hostnameLabel"),
                Texts(json, "ipv6Addresses")};
      std::sort(vnic.ipv6.begin(), vnic.ipv6.end());
      return vnic;
    }
    return Vnic();
  }

  absl::Status AddInstance(Fetcher& fetcher, const Json& instance,
                           TargetGroup* group) {
    if (Text(instance, "id").empty()) return absl::OkStatus();
    const auto vnic = PrimaryVnic(fetcher, instance);
    if (!vnic.ok()) {
      if (fetcher.cancelled()) return vnic.status();
      logger_.Warn("leaving out an instance without network",
                   {{"discovery", "oci"},
                    {"instance", Text(instance, "id")},
                    {"err", vnic.status().message()}});
      return absl::OkStatus();
    }
    std::string ip = vnic->private_ip;
    if (ip.empty()) ip = vnic->public_ip;
    if (ip.empty() && !vnic->ipv6.empty()) ip = vnic->ipv6.front();
    if (ip.empty()) return absl::OkStatus();
    MetaLabels labels("__meta_oci_");
    labels.Address(JoinHostPort(ip, config_.port))
        .Add("instance_id", Text(instance, "id"))
        .Add("instance_name", Text(instance, "displayName"))
        .Add("instance_state", Text(instance, "lifecycleState"))
        .Add("instance_shape", Text(instance, "shape"))
        .Add("availability_domain", Text(instance, "availabilityDomain"))
        .Add("fault_domain", Text(instance, "faultDomain"))
        .Add("region", Text(instance, "region"))
        .Add("tenancy_id", tenancy_)
        .Add("compartment_id", Text(instance, "compartmentId"))
        .Add("image_id", Text(instance, "imageId"))
        .Add("vnic_id", vnic->id)
        .Add("private_ip", vnic->private_ip)
        .Add("public_ip", vnic->public_ip)
        .Add("hostname_label", vnic->hostname);
    if (!vnic->ipv6.empty()) {
      labels.Add("ipv6_addresses", SurroundedList(vnic->ipv6, ","));
    }
    AddTags(instance, &labels);
    group->targets.push_back(labels.Build());
    return absl::OkStatus();
  }

  static void AddTags(const Json& instance, MetaLabels* labels) {
    ForEachText(Child(instance, "freeformTags"),
                [&](const std::string& key, const std::string& value) {
                  labels->AddKey("tag_", key, value);
                });
    for (const auto& [space, tags] : Child(instance, "definedTags").members()) {
      const std::string prefix =
          absl::StrCat("defined_tag_", SanitizeLabelName(space), "_");
      for (const auto& [key, value] : tags.members()) {
        labels->AddKey(prefix, key, TagText(value));
      }
    }
  }

  const OciConfig config_;
  const base::Logger logger_;
  OciAccount account_;
  std::string tenancy_;
};

/// Why the fields do not go together; empty when they do.
std::string Flaw(const OciConfig& c) {
  if (c.region.empty()) return "region is required";
  if (c.auth == "instance_principal") {
    const bool bare = c.tenancy.empty() && c.user.empty() &&
                      c.fingerprint.empty() && c.key_file.empty() &&
                      c.key_passphrase.empty() && c.key_passphrase_file.empty();
    if (!bare) {
      return "instance_principal auth must not have tenancy, user, "
             "fingerprint, key_file, key_passphrase, or key_passphrase_file "
             "set";
    }
  } else if (c.auth == "api_key") {
    if (c.tenancy.empty()) return "api_key auth requires tenancy";
    if (c.user.empty()) return "api_key auth requires user";
    if (c.fingerprint.empty()) return "api_key auth requires fingerprint";
    if (c.key_file.empty()) return "api_key auth requires key_file";
    if (!c.key_passphrase.empty() && !c.key_passphrase_file.empty()) {
      return "at most one of key_passphrase and key_passphrase_file must be "
             "configured";
    }
  } else {
    return absl::StrCat("unknown auth method ", base::Quote(c.auth),
                        ", expected \"api_key\" or \"instance_principal\"");
  }
  for (std::size_t i = 0; i < c.compartments.size(); ++i) {
    if (c.compartments[i].empty()) {
      return absl::StrCat("compartments[", i, "] must not be empty");
    }
  }
  if (c.refresh_interval_ms <= 0) {
    return "refresh_interval must be positive";
  }
  return "";
}

}  // namespace

absl::Status Decode(const yaml::Node& node, OciConfig* config) {
  yaml::Decoder d(node);
  d.Field("auth", &config->auth);
  d.Field("tenancy", &config->tenancy);
  d.Field("user", &config->user);
  d.Field("fingerprint", &config->fingerprint);
  d.Field("key_file", &config->key_file);
  d.Field("key_passphrase", &config->key_passphrase);
  d.Field("key_passphrase_file", &config->key_passphrase_file);
  d.Field("region", &config->region);
  d.Field("compartments", &config->compartments);
  DecodePolledApi(d, config);
  const std::string flaw = Flaw(*config);
  if (!flaw.empty()) d.Fail("oci_sd: " + flaw);
  return d.Done();
}

void Emit(const OciConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  yaml::EmitText("auth", config.auth, out);
  yaml::EmitText("tenancy", config.tenancy, out);
  yaml::EmitText("user", config.user, out);
  yaml::EmitText("fingerprint", config.fingerprint, out);
  yaml::EmitText("key_file", config.key_file, out);
  yaml::EmitSecret("key_passphrase", config.key_passphrase, out);
  yaml::EmitText("key_passphrase_file", config.key_passphrase_file, out);
  out->Field("region", config.region);
  yaml::EmitList("compartments", config.compartments, out);
  EmitPolledApi(config, out);
  out->EndMap();
}

void SetDirectory(const std::string& directory, OciConfig* config) {
  http::SetDirectory(directory, &config->client);
  base::SetDirectory(directory, &config->key_file);
  base::SetDirectory(directory, &config->key_passphrase_file);
}

std::unique_ptr<Provider> MakeProvider(const OciConfig& config,
                                       const ProviderContext& context) {
  auto oci = std::make_shared<Oci>(config, context.logger);
  return PollApi("oci", config, context,
                 [oci](Fetcher& fetcher) { return oci->Refresh(fetcher); });
}

}  // namespace narthex::discovery
