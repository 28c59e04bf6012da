#include "libs/discovery/outscale.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"
#include "libs/base/status.h"
#include "libs/discovery/aws_signature.h"
#include "libs/discovery/json.h"
#include "libs/discovery/meta_labels.h"
#include "libs/yaml/optional_fields.h"

namespace narthex::discovery {
namespace {

/// What Outscale's own client writes into signatures, whatever the region.
constexpr char kSignedRegion[] = "eu-west-2";
constexpr char kSignedService[] = "oapi";

absl::StatusOr<std::string> SecretKey(const OutscaleConfig& config) {
  if (config.secret_key_file.empty()) return config.secret_key;
  auto content = base::ReadFile(config.secret_key_file);
  NARTHEX_RETURN_IF_ERROR(base::Annotate(
      content.status(), absl::StrCat("unable to read outscale secret key file ",
                                     config.secret_key_file)));
  return std::string(absl::StripAsciiWhitespace(*content));
}

absl::StatusOr<Json> ReadVms(const OutscaleConfig& config, Fetcher& fetcher,
                             const std::string& page) {
  NARTHEX_ASSIGN_OR_RETURN(const std::string secret, SecretKey(config));
  http::FetchRequest request;
  request.url = config.endpoint + "/ReadVms";
  request.method = "POST";
  request.timeout_ms = config.refresh_interval_ms;
  request.headers.Set("Content-Type", "application/json");
  request.headers.Set("Accept", "application/json");
  std::vector<Json::Member> body;
  if (!page.empty()) body.push_back({"NextPageToken", page});
  request.body = Json::Map(std::move(body)).Dump();
  SignForAws({config.access_key, secret, ""}, kSignedRegion, kSignedService,
             base::Clock::System().NowMs() / 1000, &request);
  NARTHEX_ASSIGN_OR_RETURN(const Fetcher::Answer answer,
                           fetcher.Fetch(std::move(request)));
  if (answer.code != 200) {
    return absl::UnavailableError(StatusLine(answer.code));
  }
  return ParseJson(answer.body);
}

void AddMachine(const Json& machine, const OutscaleConfig& config,
                TargetGroup* group) {
  const std::string private_ip = Text(machine, "PrivateIp");
  const std::string public_ip = Text(machine, "PublicIp");
  const std::string& ip = private_ip.empty() ? public_ip : private_ip;
  if (ip.empty()) return;
  MetaLabels labels("__meta_outscale_vm_");
  labels.Address(JoinHostPort(ip, config.port))
      .Add("instance_id", Text(machine, "VmId"))
      .Add("region", config.region)
      .Add("state", Text(machine, "State"))
      .Add("subregion", Text(Child(machine, "Placement"), "SubregionName"))
      .Add("private_ip", private_ip)
      .Add("public_ip", public_ip);
  for (const Json& tag : Child(machine, "Tags")) {
    const std::string key = Text(tag, "Key");
    if (!key.empty()) labels.AddKey("tag_", key, Text(tag, "Value"));
  }
  group->targets.push_back(labels.Build());
}

absl::StatusOr<std::vector<TargetGroup>> Refresh(const OutscaleConfig& config,
                                                 Fetcher& fetcher) {
  TargetGroup group;
  group.source = config.region;
  std::string page;
  do {
    const auto answer = ReadVms(config, fetcher, page);
    if (!answer.ok()) {
      return base::Annotate(answer.status(), "outscale ReadVms");
    }
    for (const Json& machine : Child(*answer, "Vms")) {
      AddMachine(machine, config, &group);
    }
    page = Text(*answer, "NextPageToken");
  } while (!page.empty());
  return std::vector<TargetGroup>{std::move(group)};
}

void Check(yaml::Decoder& d, const OutscaleConfig& config) {
  const bool has_key = !config.secret_key.empty();
  const bool has_file = !config.secret_key_file.empty();
  if (config.region.empty()) {
    d.Fail("outscale SD configuration requires a region");
  } else if (config.access_key.empty()) {
    d.Fail("outscale SD configuration requires access_key");
  } else if (!has_key && !has_file) {
    d.Fail("one of secret_key & secret_key_file must be configured");
  } else if (has_key && has_file) {
    d.Fail("at most one of secret_key & secret_key_file must be configured");
  }
}

}  // namespace

absl::Status Decode(const yaml::Node& node, OutscaleConfig* config) {
  yaml::Decoder d(node);
  d.Field("endpoint", &config->endpoint);
  d.Field("region", &config->region);
  d.Field("access_key", &config->access_key);
  d.Field("secret_key", &config->secret_key);
  d.Field("secret_key_file", &config->secret_key_file);
  DecodePolledApi(d, config);
  Check(d, *config);
  if (config->endpoint.empty()) {
    config->endpoint =
        absl::StrCat("https://api.", config->region, ".outscale.com/api/v1");
  }
  return d.Done();
}

void Emit(const OutscaleConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  yaml::EmitText("endpoint", config.endpoint, out);
  out->Field("region", config.region);
  out->Field("access_key", config.access_key);
  out->Field("secret_key",
             config.secret_key.empty() ? "" : yaml::kHiddenSecret);
  out->Field("secret_key_file", config.secret_key_file);
  EmitPolledApi(config, out);
  out->EndMap();
}

void SetDirectory(const std::string& directory, OutscaleConfig* config) {
  base::SetDirectory(directory, &config->secret_key_file);
  http::SetDirectory(directory, &config->client);
}

std::unique_ptr<Provider> MakeProvider(const OutscaleConfig& config,
                                       const ProviderContext& context) {
  return PollApi("outscale", config, context, [config](Fetcher& fetcher) {
    return Refresh(config, fetcher);
  });
}

}  // namespace narthex::discovery
