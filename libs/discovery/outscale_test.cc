#include "libs/discovery/outscale.h"

#include "absl/strings/match.h"
#include "libs/base/file.h"
#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"

namespace narthex::discovery {
namespace {

TEST_CASE("outscale's machines are found on all pages") {
  ProviderServer server;
  server.Handle("/api/v1/ReadVms", [](const http::Request& request,
                                      http::Response& response) {
    response.Send(200, "application/json",
                  absl::StrContains(request.body, "NextPageToken")
                      ? R"({"Vms": [{"VmId": "b", "PublicIp": "1.2.3.5"},
                          {"VmId": "without an address"}]})"
                      : R"({"NextPageToken": "2", "Vms": [{"VmId": "a",
                  "State": "running", "PrivateIp": "10.0.0.1",
                  "PublicIp": "1.2.3.4",
                  "Placement": {"SubregionName": "eu-west-2a"},
                  "Tags": [{"Key": "a b", "Value": "v"},
                           {"Key": "", "Value": "x"}]}]})");
  });
  const base::TemporaryDirectory directory;
  REQUIRE(base::WriteFileAtomically(directory.path() + "/secret", "s\n").ok());
  auto config = ParseConfig<OutscaleConfig>(
      "{region: eu-west-2, access_key: k, secret_key_file: secret, "
      "refresh_interval: 20ms, port: 9100, endpoint: '" +
      server.Url("/api/v1") + "'}");
  SetDirectory(directory.path(), &config);
  const auto run = RunProvider(config);
  CHECK(run->WaitFor({Printed("10.0.0.1:9100", "__meta_outscale_vm_",
                              {{"instance_id", "a"},
                               {"private_ip", "10.0.0.1"},
                               {"public_ip", "1.2.3.4"},
                               {"region", "eu-west-2"},
                               {"state", "running"},
                               {"subregion", "eu-west-2a"},
                               {"tag_a_b", "v"}}),
                      Printed("1.2.3.5:9100", "__meta_outscale_vm_",
                              {{"instance_id", "b"},
                               {"public_ip", "1.2.3.5"},
                               {"region", "eu-west-2"}})}));
  CHECK(run->sources() == std::set<std::string>{"eu-west-2"});
  CHECK(absl::StrContains(
      server.LastHeaders("/api/v1/ReadVms").Get("Authorization"),
      "/eu-west-2/oapi/aws4_request, "));
  server.Answer("/api/v1/ReadVms", "{}", 500);
  CHECK(run->WaitForFailure("outscale"));
}

TEST_CASE("outscale configs are checked and printed") {
  CHECK(PrintedConfig(
            ParseConfig<OutscaleConfig>("{access_key: a, secret_key: s}")) ==
        "endpoint: https://api.eu-west-2.outscale.com/api/v1\n"
        "region: eu-west-2\naccess_key: a\nsecret_key: <secret>\n"
        "secret_key_file: \"\"\nfollow_redirects: true\nenable_http2: true\n"
        "refresh_interval: 1m\nport: 80\n");
  const std::pair<const char*, const char*> rows[] = {
      {"{region: ''}", "requires a region"},
      {"{secret_key: s}", "requires access_key"},
      {"{access_key: a}",
       "one of secret_key & secret_key_file must be "
       "configured"},
      {"{access_key: a, secret_key: s, secret_key_file: f}",
       "at most one of secret_key & secret_key_file must be configured"}};
  for (const auto& [text, error] : rows) {
    CHECK_THAT(ConfigError<OutscaleConfig>(text), Catch::EndsWith(error));
  }
}

}  // namespace
}  // namespace narthex::discovery
