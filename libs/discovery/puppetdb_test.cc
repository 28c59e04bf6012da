#include "libs/discovery/puppetdb.h"

#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"

namespace narthex::discovery {
namespace {

constexpr char kResources[] = R"([
  {"certname": "a.example.org", "resource": "49af", "type": "Class",
   "title": "Prometheus", "exported": false, "tags": ["x", "y"],
   "file": "/etc/site.pp", "environment": "prod",
   "parameters": {"text": "t", "yes": true, "number": 5000000, "half": 0.5,
                  "list": ["a", 1, false], "none": null, "empty": [],
                  "map-a": {"in.ner": {"deep": "d"}, "n": 1}}}])";

TEST_CASE("resources that puppetdb finds are targets") {
  ProviderServer server;
  server.Answer("/base/pdb/query/v4", kResources);
  const std::string config = "{url: '" + server.Url("/base/") +
                             "', query: 'q \"x\"', refresh_interval: 10ms";
  const auto run = RunProvider(ParseConfig<PuppetDbConfig>(config + "}"));
  std::map<std::string, std::string> labels = {
      {"query", "q \"x\""},    {"certname", "a.example.org"},
      {"resource", "49af"},    {"type", "Class"},
      {"title", "Prometheus"}, {"exported", "false"},
      {"tags", ",x,y,"},       {"file", "/etc/site.pp"},
      {"environment", "prod"}};
  const std::string wanted =
      Printed("a.example.org:80", "__meta_puppetdb_", labels);
  CHECK(run->WaitFor(wanted));
  CHECK(run->sources() ==
        std::set<std::string>{server.Url("/base/pdb/query/v4") +
                              "?query=q \"x\""});
  const http::Request request = server.Last("/base/pdb/query/v4");
  CHECK(request.method == "POST");
  CHECK(request.body == R"({"query":"q \"x\""})");
  server.Answer("/base/pdb/query/v4", "[]", 200, "text/html");
  CHECK(run->WaitForFailure("puppetdb"));
  CHECK(run->WaitFor(wanted));

  server.Answer("/base/pdb/query/v4", kResources);
  labels.insert({{"parameter_text", "t"},
                 {"parameter_yes", "true"},
                 {"parameter_number", "5e+06"},
                 {"parameter_half", "0.5"},
                 {"parameter_list", "a,1,false"},
                 {"parameter_map_a_in_ner_deep", "d"},
                 {"parameter_map_a_n", "1"}});
  CHECK(RunProvider(ParseConfig<PuppetDbConfig>(
                        config + ", include_parameters: true, port: 9}"))
            ->WaitFor(Printed("a.example.org:9", "__meta_puppetdb_", labels)));
}

TEST_CASE("puppetdb configs are checked and printed") {
  CHECK(PrintedConfig(
            ParseConfig<PuppetDbConfig>("{url: 'https://h:8081', query: q}")) ==
        "follow_redirects: true\nenable_http2: true\nrefresh_interval: 1m\n"
        "url: https://h:8081\nquery: q\ninclude_parameters: false\nport: 80\n");
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"{query: q}", "URL is missing"},
      {"{query: q, url: ftp://h}", "URL scheme must be 'http' or 'https'"},
      {"{query: q, url: 'https://'}", "host is missing in URL"},
      {"{url: http://h}", "query missing"},
  };
  for (const auto& [text, reason] : rows) {
    INFO(text);
    CHECK_THAT(ConfigError<PuppetDbConfig>(text), Catch::EndsWith(reason));
  }
}

}  // namespace
}  // namespace narthex::discovery
