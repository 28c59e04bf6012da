#include "libs/discovery/stackit.h"

#include "absl/strings/match.h"
#include "libs/base/file.h"
#include "libs/discovery/json.h"
#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"
#include "libs/http/self_signed.h"

namespace narthex::discovery {
namespace {

constexpr char kPath[] = "/v1/projects/p/servers";
constexpr char kServers[] = R"({"items": [
    {"id": "1", "name": "a", "availabilityZone": "eu01-1", "status": "ACTIVE",
     "powerStatus": "RUNNING", "machineType": "g1.1",
     "labels": {"a b": "v", "number": 1},
     "nics": [{"networkName": "my-net", "ipv4": "10.0.0.1"},
              {"networkName": "other", "ipv4": "10.1.0.1",
               "publicIp": "192.0.2.1"}]},
    {"id": "2", "nics": [{"networkName": "my-net", "ipv4": "10.0.0.2"}]},
    {"id": "3", "nics": []}]})";

std::vector<std::string> Wanted() {
  return {Printed("192.0.2.1:9100", "__meta_stackit_",
                  {{"availability_zone", "eu01-1"},
                   {"id", "1"},
                   {"label_a_b", "v"},
                   {"labelpresent_a_b", "true"},
                   {"name", "a"},
                   {"power_status", "RUNNING"},
                   {"private_ipv4_my_net", "10.0.0.1"},
                   {"private_ipv4_other", "10.1.0.1"},
                   {"project", "p"},
                   {"public_ipv4", "192.0.2.1"},
                   {"status", "ACTIVE"},
                   {"type", "g1.1"}}),
          Printed("10.0.0.2:9100", "__meta_stackit_",
                  {{"id", "2"},
                   {"private_ipv4_my_net", "10.0.0.2"},
                   {"project", "p"}})};
}

StackitConfig ConfigFor(const ProviderServer& server, const std::string& more) {
  return ParseConfig<StackitConfig>(
      "{project: p, refresh_interval: 50ms, port: 9100, endpoint: '" +
      server.Url("/") + "', " + more + "}");
}

TEST_CASE("stackit's servers are found with the client's credentials") {
  ProviderServer server;
  server.Answer(kPath, kServers);
  const auto run =
      RunProvider(ConfigFor(server, "authorization: {credentials: abc}"));
  CHECK(run->WaitFor(Wanted()));
  CHECK(server.LastHeaders(kPath).Get("Authorization") == "Bearer abc");
  CHECK(server.Last(kPath).params.Get("details") == "true");
  server.Answer(kPath, "no", 500);
  CHECK(run->WaitForFailure("stackit"));
  CHECK(run->WaitFor(Wanted()));
}

TEST_CASE("stackit's servers are found with a service account's key") {
  ProviderServer server;
  server.Answer(kPath, kServers);
  server.Answer("/token", R"({"access_token": "t", "expires_in": 3600})");
  const http::SelfSigned identity;
  const std::string account =
      Json::Map({{"credentials",
                  Json::Map({{"iss", "me@sa.stackit.cloud"},
                             {"sub", "uuid"},
                             {"aud", "aud"},
                             {"kid", "key 1"},
                             {"privateKey", identity.key},
                             {"tokenEndpoint", server.Url("/token")}})}})
          .Dump();
  const base::TemporaryDirectory directory;
  const std::string path = directory.path() + "/account.json";
  REQUIRE(base::WriteFileAtomically(path, account).ok());
  const auto run =
      RunProvider(ConfigFor(server, "service_account_key_path: " + path));
  CHECK(run->WaitFor(Wanted()));
  CHECK(server.LastHeaders(kPath).Get("Authorization") == "Bearer t");
  CHECK_THAT(server.Last("/token").body, Catch::StartsWith("assertion=ey"));
  const auto broken =
      RunProvider(ConfigFor(server, "service_account_key: nonsense"));
  CHECK(broken->WaitForFailure("stackit"));
}

TEST_CASE("stackit configs are checked and printed") {
  CHECK(PrintedConfig(ParseConfig<StackitConfig>(
            "{project: p, service_account_key: k, private_key: k}")) ==
        "follow_redirects: true\nenable_http2: true\nrefresh_interval: 1m\n"
        "port: 80\nproject: p\nregion: eu01\nservice_account_key: <secret>\n"
        "private_key: <secret>\n");
  CHECK_THAT(ConfigError<StackitConfig>("{region: ''}"),
             Catch::EndsWith("endpoint and region missing"));
}

}  // namespace
}  // namespace narthex::discovery
