#include "libs/discovery/http.h"

#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"

namespace narthex::discovery {
namespace {

TEST_CASE("http discovery takes groups and drops those that are gone") {
  ProviderServer server;
  server.Answer("/sd", R"([
      {"targets": ["a:1", "b:2"], "labels": {"l": "v", "é": "w"}},
      {"targets": ["c:3"]}])");
  const auto run = RunProvider(ParseConfig<HttpConfig>(
      "{refresh_interval: 10ms, url: '" + server.Url("/sd") + "'}"));
  const std::string url = "__meta_url=\"" + server.Url("/sd") + "\"";
  CHECK(run->WaitFor({R"(__address__="a:1" )" + url + R"( l="v" é="w")",
                      R"(__address__="b:2" )" + url + R"( l="v" é="w")",
                      R"(__address__="c:3" )" + url}));
  CHECK(run->sources() == std::set<std::string>{server.Url("/sd") + ":0",
                                                server.Url("/sd") + ":1"});
  CHECK(server.LastHeaders("/sd").Get("Accept") == "application/json");
  CHECK(server.LastHeaders("/sd").Get(
            "X-Prometheus-Refresh-Interval-Seconds") == "0.01");

  server.Answer("/sd", R"([{"targets": ["c:3"], "labels": null}])");
  CHECK(run->WaitFor(R"(__address__="c:3" )" + url));
  server.Answer("/sd", "[]");
  CHECK(run->WaitFor(ProviderRun::Targets{}));
}

TEST_CASE("http discovery keeps its targets while answers are bad") {
  struct Bad {
    int status;
    const char* type;
    const char* body;
  };
  const Bad bad = GENERATE(
      Bad{500, "application/json", "[]"}, Bad{200, "text/plain", "[]"},
      Bad{200, "application/json; charset=latin1", "[]"},
      Bad{200, "application/json", "[{"}, Bad{200, "application/json", "{}"},
      Bad{200, "application/json", "[null]"},
      Bad{200, "application/json", R"([{"targets": "x"}])"},
      Bad{200, "application/json", R"([{"targets": [1]}])"},
      Bad{200, "application/json", R"([{"target": []}])"},
      Bad{200, "application/json", R"([{"labels": {"a": 1}}])"});
  INFO(bad.status << " " << bad.type << " " << bad.body);
  ProviderServer server;
  server.Answer("/sd", R"([{"targets": ["a:1"]}])", 200,
                "Application/JSON;  charset=UTF-8");
  const auto run = RunProvider(ParseConfig<HttpConfig>(
      "{refresh_interval: 10ms, url: '" + server.Url("/sd") + "'}"));
  const std::string wanted =
      R"(__address__="a:1" __meta_url=")" + server.Url("/sd") + "\"";
  CHECK(run->WaitFor(wanted));
  server.Answer("/sd", bad.body, bad.status, bad.type);
  CHECK(run->WaitForFailure("http"));
  CHECK(run->WaitForCount("prometheus_sd_http_failures_total", 1));
  CHECK(run->WaitFor(wanted));
}

TEST_CASE("http discovery configs are checked and printed") {
  CHECK(PrintedConfig(ParseConfig<HttpConfig>("url: https://u:p@h/x")) ==
        "follow_redirects: true\nenable_http2: true\nrefresh_interval: 1m\n"
        "url: https://u:p@h/x\n");
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"{}", "URL is missing"},
      {"url: ftp://h/", "URL scheme must be 'http' or 'https'"},
      {"url: 'http://a:b@x/%zz'",
       "parse \"http://a:b@x/%zz\": invalid URL escape \"%zz\""},
      {"url: http:///x", "host is missing in URL"},
      {"{url: 'http://h', uri: x}", "field uri not found"},
  };
  for (const auto& [text, reason] : rows) {
    INFO(text);
    CHECK_THAT(ConfigError<HttpConfig>(text), Catch::EndsWith(reason));
  }
}

}  // namespace
}  // namespace narthex::discovery
