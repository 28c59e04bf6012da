#include "libs/discovery/gce.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "libs/base/file.h"
#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"
#include "libs/http/self_signed.h"

namespace narthex::discovery {
namespace {

constexpr char kTokenPath[] =
    "/computeMetadata/v1/instance/service-accounts/default/token";
constexpr char kListPath[] = "/compute/v1/projects/p/zones/z/instances";

constexpr char kInstances[] = R"({"items": [
  {"id": "123", "name": "web", "status": "RUNNING", "zone": "https://g/z",
   "machineType": "https://g/m",
   "networkInterfaces": [
     {"name": "nic0", "network": "https://g/n", "subnetwork": "https://g/s",
      "networkIP": "10.0.0.1",
      "accessConfigs": [{"type": "ONE_TO_ONE_NAT", "natIP": "1.2.3.4"}]},
     {"name": "nic-1", "networkIP": "10.9.0.1"}],
   "tags": {"items": ["a", "b"]},
   "metadata": {"items": [{"key": "k-1", "value": "v"}, {"key": "none"}]},
   "labels": {"env-x": "prod"}},
  {"id": "124", "networkInterfaces": []}]SUFFIX})";

std::string Page(const std::string& suffix) {
  std::string text = kInstances;
  return text.replace(text.find("SUFFIX"), 6, suffix);
}

const std::string& Wanted() {
  static const std::string wanted =
      Printed("10.0.0.1:80", "__meta_gce_",
              {{"project", "p"},
               {"zone", "https://g/z"},
               {"instance_id", "123"},
               {"instance_name", "web"},
               {"instance_status", "RUNNING"},
               {"machine_type", "https://g/m"},
               {"network", "https://g/n"},
               {"subnetwork", "https://g/s"},
               {"private_ip", "10.0.0.1"},
               {"public_ip", "1.2.3.4"},
               {"interface_ipv4_nic0", "10.0.0.1"},
               {"interface_ipv4_nic_1", "10.9.0.1"},
               {"tags", ",a,b,"},
               {"metadata_k_1", "v"},
               {"label_env_x", "prod"}});
  return wanted;
}

std::unique_ptr<ProviderRun> Run(const ProviderServer& server) {
  const auto config = ParseConfig<GceConfig>(
      "{project: p, zone: z, filter: 'a = b', refresh_interval: 10ms}");
  return std::make_unique<ProviderRun>([&](const ProviderContext& context) {
    return MakeGceProvider(config, context, server.Url(""));
  });
}

/// No credentials but those of the instance, whose metadata are at `server`.
void UseInstance(const ProviderServer& server) {
  unsetenv("GOOGLE_APPLICATION_CREDENTIALS");
  setenv("HOME", "/nonexistent", 1);
  setenv("GCE_METADATA_HOST", server.address().c_str(), 1);
}

TEST_CASE("gce discovery finds instances by the instance's own account") {
  ProviderServer server;
  UseInstance(server);
  server.Answer(kTokenPath,
                R"({"access_token": "t", "expires_in": 3600,
                    "token_type": "Bearer"})");
  server.Handle(
      kListPath, [](const http::Request& request, http::Response& response) {
        const bool first = !request.params.Has("pageToken");
        response.Send(200, "application/json",
                      first ? Page(R"(, "nextPageToken": "n")") : "{}");
      });
  const auto run = Run(server);
  CHECK(run->WaitFor(Wanted()));
  CHECK(run->sources() == std::set<std::string>{"GCE_p_z"});
  CHECK(server.LastHeaders(kTokenPath).Get("Metadata-Flavor") == "Google");
  CHECK(server.LastHeaders(kListPath).Get("Authorization") == "Bearer t");
  CHECK(server.Last(kListPath).params.Get("filter") == "a = b");

  server.Answer(kListPath, "{}", 403);
  CHECK(run->WaitForFailure("gce"));
  CHECK(run->WaitFor(Wanted()));
}

TEST_CASE("gce discovery uses the credentials of a file") {
  ProviderServer server;
  UseInstance(server);
  server.Answer("/token", R"({"access_token": "f", "expires_in": 3600})");
  server.Answer(kListPath, Page(""));
  const base::TemporaryDirectory directory;
  const std::string path = directory.path() + "/credentials.json";
  setenv("GOOGLE_APPLICATION_CREDENTIALS", path.c_str(), 1);
  const auto write = [&](const nlohmann::json& json) {
    REQUIRE(base::WriteFileAtomically(path, json.dump()).ok());
  };
  std::string grant;
  SECTION("of a service account") {
    const http::SelfSigned identity;
    write({{"type", "service_account"},
           {"client_email", "me@p"},
           {"private_key", identity.key},
           {"private_key_id", "k"},
           {"token_uri", server.Url("/token")}});
    grant = http::kJwtBearerGrant;
  }
  SECTION("of a user") {
    write({{"type", "authorized_user"},
           {"client_id", "c"},
           {"client_secret", "s"},
           {"refresh_token", "r"},
           {"token_uri", server.Url("/token")}});
    grant = "refresh_token";
  }
  const auto run = Run(server);
  CHECK(run->WaitFor(Wanted()));
  CHECK(server.Last("/token").params.Get("grant_type") == grant);
  CHECK(server.LastHeaders(kListPath).Get("Authorization") == "Bearer f");
  unsetenv("GOOGLE_APPLICATION_CREDENTIALS");
}

TEST_CASE("gce discovery says what it lacks") {
  ProviderServer server;
  UseInstance(server);
  server.Answer(kTokenPath, "no", 404);
  CHECK(Run(server)->WaitForFailure("gce"));
  setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent", 1);
  CHECK(Run(server)->WaitForFailure("gce"));
  unsetenv("GOOGLE_APPLICATION_CREDENTIALS");
}

TEST_CASE("gce discovery configs are checked and printed") {
  CHECK(PrintedConfig(ParseConfig<GceConfig>("{project: p, zone: z}")) ==
        "project: p\nzone: z\nrefresh_interval: 1m\nport: 80\n"
        "tag_separator: ','\n");
  CHECK_THAT(ConfigError<GceConfig>("zone: z"),
             Catch::EndsWith("GCE SD configuration requires a project"));
  CHECK_THAT(ConfigError<GceConfig>("project: p"),
             Catch::EndsWith("GCE SD configuration requires a zone"));
}

}  // namespace
}  // namespace narthex::discovery
