#include "libs/discovery/azure.h"

#include <cstdlib>

#include "libs/base/file.h"
#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"

namespace narthex::discovery {
namespace {

constexpr char kCompute[] = "/subscriptions/sub/providers/Microsoft.Compute/";
constexpr char kGroup[] = "/subscriptions/sub/resourceGroups/rg/providers/";

/// Login, resource manager and metadata at one address.
class FakeAzure {
 public:
  FakeAzure() {
    const std::string token =
        R"({"access_token": "t", "expires_in": "3600", "token_type": "Bearer"})";
    server.Answer("/ten/oauth2/v2.0/token", token);
    server.Answer("/metadata/identity/oauth2/token", token);
    server.Answer(Compute("virtualMachines"), R"({"value": [{
        "id": "/subscriptions/sub/resourceGroups/rg/providers/m/vm1",
        "name": "vm1", "location": "west", "tags": {"a b": "c"},
        "properties": {
          "storageProfile": {"osDisk": {"osType": "Linux"}},
          "osProfile": {"computerName": "host1"},
          "hardwareProfile": {"vmSize": "big"},
          "networkProfile": {"networkInterfaces": [
            {"id": "/x/resourceGroups/rg/networkInterfaces/second"},
            {"id": "/x/resourceGroups/rg/networkInterfaces/first"}]}}}],
      "nextLink": ")" + server.Url("/more") + "\"}");
    server.Answer("/more", R"({"value": [{"id": "/resourceGroups/rg/off",
        "name": "off", "properties": {"networkProfile": {"networkInterfaces":
          [{"id": "/x/resourceGroups/rg/networkInterfaces/off"}]}}}]})");
    server.Answer(Compute("virtualMachineScaleSets"), R"({"value": [{
        "id": "/subscriptions/sub/resourceGroups/rg/providers/m/set",
        "name": "set"}]})");
    server.Answer(
        std::string(kGroup) +
            "Microsoft.Compute/virtualMachineScaleSets/set/virtualMachines",
        R"({"value": [{
        "id": "/subscriptions/sub/resourceGroups/rg/providers/m/set/0",
        "name": "set_0", "instanceId": "0", "location": "west",
        "properties": {"networkProfile": {"networkInterfaces": [
          {"id": "/x/resourceGroups/rg/networkInterfaces/nic"}]}}}]})");
    Interface("first", R"({"properties": {"primary": true, "ipConfigurations": [
        {"properties": {"privateIPAddress": "10.0.0.1", "publicIPAddress":
          {"properties": {"ipAddress": "1.1.1.1"}}}}]}})");
    Interface("second", R"({"properties": {"primary": false}})");
    Interface("off", R"({"properties": {}})");
    server.Answer(std::string(kGroup) +
                      "microsoft.Compute/virtualMachineScaleSets/set/"
                      "virtualMachines/0/networkInterfaces/nic",
                  R"({"properties": {"primary": true, "ipConfigurations": [
        {"properties": {"privateIPAddress": "10.0.0.2"}}]}})");
  }

  static std::string Compute(const std::string& kind) {
    return kCompute + kind;
  }
  void Interface(const std::string& name, const std::string& json) {
    server.Answer(
        std::string(kGroup) + "Microsoft.Network/networkInterfaces/" + name,
        json);
  }
  std::unique_ptr<ProviderRun> Run(const std::string& text) const {
    const auto config = ParseConfig<AzureConfig>(
        "{subscription_id: sub, refresh_interval: 20ms, " + text + "}");
    const AzureCloud cloud{server.Url(""), server.Url(""), server.Url("")};
    return std::make_unique<ProviderRun>([&](const ProviderContext& context) {
      return MakeAzureProvider(config, context, cloud);
    });
  }

  ProviderServer server;
};

std::vector<std::string> Wanted(const std::string& tenant) {
  return {Printed("10.0.0.1:80", "__meta_azure_",
                  {{"subscription_id", "sub"},
                   {"tenant_id", tenant},
                   {"machine_id",
                    "/subscriptions/sub/resourceGroups/rg/providers/m/vm1"},
                   {"machine_name", "vm1"},
                   {"machine_computer_name", "host1"},
                   {"machine_os_type", "Linux"},
                   {"machine_location", "west"},
                   {"machine_resource_group", "rg"},
                   {"machine_size", "big"},
                   {"machine_private_ip", "10.0.0.1"},
                   {"machine_public_ip", "1.1.1.1"},
                   {"machine_tag_a_b", "c"}}),
          Printed("10.0.0.2:80", "__meta_azure_",
                  {{"subscription_id", "sub"},
                   {"tenant_id", tenant},
                   {"machine_id",
                    "/subscriptions/sub/resourceGroups/rg/providers/m/set/0"},
                   {"machine_name", "set_0"},
                   {"machine_location", "west"},
                   {"machine_resource_group", "rg"},
                   {"machine_scale_set", "set"},
                   {"machine_private_ip", "10.0.0.2"}})};
}

TEST_CASE("azure discovery finds machines and scale sets and keeps them") {
  FakeAzure azure;
  const auto run = azure.Run("tenant_id: ten, client_id: c, client_secret: s");
  CHECK(run->WaitFor(Wanted("ten")));
  const http::Params form = azure.server.Last("/ten/oauth2/v2.0/token").params;
  CHECK(form.Get("client_id") == "c");
  CHECK(form.Get("client_secret") == "s");
  CHECK(form.Get("scope") == azure.server.Url("/.default"));
  CHECK(azure.server.LastHeaders("/more").Get("Authorization") == "Bearer t");
  CHECK(run->WaitForCount("prometheus_sd_azure_cache_hit_total", 1));
  azure.server.Answer(FakeAzure::Compute("virtualMachineScaleSets"), "", 500);
  CHECK(run->WaitForFailure("azure"));
  CHECK(run->WaitForCount("prometheus_sd_azure_failures_total", 1));
  CHECK(run->WaitFor(Wanted("ten")));
}

TEST_CASE("azure discovery knows who it is by several methods") {
  FakeAzure azure;
  std::string tenant;
  std::string text;
  SECTION("by the machine's identity") {
    text = "authentication_method: ManagedIdentity, client_id: c";
  }
  SECTION("by a federated token") {
    const base::TemporaryDirectory directory;
    const std::string file = directory.path() + "/token";
    REQUIRE(base::WriteFileAtomically(file, "jwt\n").ok());
    setenv("AZURE_FEDERATED_TOKEN_FILE", file.c_str(), 1);
    setenv("AZURE_TENANT_ID", "ten", 1);
    setenv("AZURE_CLIENT_ID", "c", 1);
    const auto run = azure.Run("authentication_method: WorkloadIdentity");
    CHECK(run->WaitFor(Wanted("")));
    CHECK(azure.server.Last("/ten/oauth2/v2.0/token")
              .params.Get("client_assertion") == "jwt");
    for (const char* name :
         {"AZURE_FEDERATED_TOKEN_FILE", "AZURE_TENANT_ID", "AZURE_CLIENT_ID"}) {
      unsetenv(name);
    }
    return;
  }
  SECTION("by what the environment offers") {
    setenv("AZURE_CLIENT_SECRET", "s", 1);
    tenant = "ten";
    text = "authentication_method: SDK, tenant_id: ten";
  }
  const auto run = azure.Run(text);
  CHECK(run->WaitFor(Wanted(tenant)));
  unsetenv("AZURE_CLIENT_SECRET");
  if (tenant.empty()) {
    const http::Request request =
        azure.server.Last("/metadata/identity/oauth2/token");
    CHECK(request.headers.Get("Metadata") == "true");
    CHECK(request.params.Get("client_id") == "c");
    CHECK(request.params.Get("resource") == azure.server.Url(""));
  }
}

TEST_CASE("azure discovery refuses a cloud that it does not know") {
  const auto run = RunProvider(ParseConfig<AzureConfig>(
      "{environment: Moon, subscription_id: s, authentication_method: SDK}"));
  CHECK(run->WaitForFailure("azure"));
}

TEST_CASE("azure discovery configs are checked and printed") {
  CHECK(PrintedConfig(ParseConfig<AzureConfig>(
            "{subscription_id: a, tenant_id: b, client_id: c, client_secret: "
            "d}")) ==
        "environment: AzurePublicCloud\nport: 80\nsubscription_id: a\n"
        "tenant_id: b\nclient_id: c\nclient_secret: <secret>\n"
        "refresh_interval: 5m\nauthentication_method: OAuth\n"
        "follow_redirects: true\nenable_http2: true\n");
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"{}", "azure SD configuration requires a subscription_id"},
      {"subscription_id: a", "azure SD configuration requires a tenant_id"},
      {"{subscription_id: a, tenant_id: b}",
       "azure SD configuration requires a client_id"},
      {"{subscription_id: a, tenant_id: b, client_id: c}",
       "azure SD configuration requires a client_secret"},
      {"{subscription_id: a, authentication_method: invalid}",
       "unknown authentication_type \"invalid\". Supported types are "
       "\"OAuth\", \"ManagedIdentity\", \"SDK\" or \"WorkloadIdentity\""},
  };
  for (const auto& [text, reason] : rows) {
    INFO(text);
    CHECK_THAT(ConfigError<AzureConfig>(text), Catch::EndsWith(reason));
  }
}

}  // namespace
}  // namespace narthex::discovery
