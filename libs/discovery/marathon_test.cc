#include "libs/discovery/marathon.h"

#include "libs/base/file.h"
#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"

namespace narthex::discovery {
namespace {

std::string App(const std::string& more) {
  return R"({"apps": [{"id": "/web", "labels": {"a.b": "c"},
    "tasks": [{"id": "t1", "host": "h1", "ports": [31000, 31001],
               "ipAddresses": [{"ipAddress": "10.0.0.1"}]}], )" +
         more + "}]}";
}

std::string Target(const std::string& address, const std::string& index,
                   std::map<std::string, std::string> more) {
  more.insert({{"app", "/web"},
               {"app_label_a_b", "c"},
               {"task", "t1"},
               {"port_index", index}});
  return Printed(address, "__meta_marathon_", more);
}

TEST_CASE("marathon's tasks are targets, port by port") {
  struct Row {
    std::string app;
    ProviderRun::Targets wanted;
  };
  const Row row = GENERATE(
      Row{R"("container": {"docker": {"image": "i"}, "portMappings": [
            {"hostPort": 0, "containerPort": 80, "labels": {"m": "1"}},
            {"hostPort": 8081, "containerPort": 81}]})",
          {Target("h1:31000", "0",
                  {{"image", "i"}, {"port_mapping_label_m", "1"}}),
           Target("h1:8081", "1", {{"image", "i"}})}},
      Row{R"("networks": [{"mode": "container"}], "container": {"docker":
            {"portMappings": [{"containerPort": 80}]}})",
          {Target("10.0.0.1:80", "0", {})}},
      Row{R"("portDefinitions": [{"port": 1, "labels": {"p": "x"}},
            {"port": 2}])",
          {Target("h1:31000", "0", {{"port_definition_label_p", "x"}}),
           Target("h1:31001", "1", {})}},
      Row{R"("requirePorts": true, "portDefinitions": [{"port": 1}])",
          {Target("h1:1", "0", {})}},
      Row{R"("x": 1)",
          {Target("h1:31000", "0", {}), Target("h1:31001", "1", {})}});
  INFO(row.app);
  ProviderServer server;
  server.Answer("/v2/apps/", App(row.app));
  const auto run = RunProvider(ParseConfig<MarathonConfig>(
      "{servers: ['" + server.Url("") + "'], refresh_interval: 10ms}"));
  CHECK(run->WaitFor(row.wanted));
  CHECK(server.Last("/v2/apps/").raw_query == "embed=apps.tasks");
  server.Answer("/v2/apps/", "[]");
  CHECK(run->WaitForFailure("marathon"));
  CHECK(run->WaitFor(row.wanted));
  server.Answer("/v2/apps/", R"({"apps": []})");
  CHECK(run->WaitFor(ProviderRun::Targets{}));
}

TEST_CASE("marathon's servers are asked in turn, with the token") {
  base::TemporaryDirectory directory;
  REQUIRE(base::WriteFileAtomically(directory.path() + "/token", "t\n").ok());
  ProviderServer server;
  server.Answer("/v2/apps/", App(R"("x": 1)"));
  auto config = ParseConfig<MarathonConfig>(
      "{servers: ['http://127.0.0.1:1', '" + server.Url("") +
      "'], auth_token_file: token, refresh_interval: 10ms}");
  SetDirectory(directory.path(), &config);
  const auto run = RunProvider(config);
  CHECK(
      run->WaitFor({Target("h1:31000", "0", {}), Target("h1:31001", "1", {})}));
  CHECK(server.LastHeaders("/v2/apps/").Get("Authorization") == "token=t");
}

TEST_CASE("marathon configs are checked and printed") {
  CHECK(PrintedConfig(
            ParseConfig<MarathonConfig>("{servers: [a], auth_token: t}")) ==
        "servers:\n- a\nrefresh_interval: 30s\nauth_token: <secret>\n"
        "follow_redirects: true\nenable_http2: true\n");
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"{}", "must contain at least one Marathon server"},
      {"{servers: [a], auth_token: t, auth_token_file: f}",
       "at most one of auth_token & auth_token_file must be configured"},
      {"{servers: [a], auth_token: t, basic_auth: {username: u}}",
       "at most one of basic_auth, auth_token & auth_token_file must be "
       "configured"},
      {"{servers: [a], auth_token: t, authorization: {credentials: c}}",
       "at most one of auth_token, auth_token_file & authorization must be "
       "configured"},
  };
  for (const auto& [text, reason] : rows) {
    INFO(text);
    CHECK_THAT(ConfigError<MarathonConfig>(text),
               Catch::EndsWith("marathon_sd: " + reason));
  }
}

}  // namespace
}  // namespace narthex::discovery
