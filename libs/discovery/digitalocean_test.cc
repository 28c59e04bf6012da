#include "libs/discovery/digitalocean.h"

#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"

namespace narthex::discovery {
namespace {

DigitalOceanConfig ConfigFor(const ProviderServer& server,
                             const std::string& role) {
  auto config = ParseConfig<DigitalOceanConfig>(
      "{refresh_interval: 10ms, port: 9100, role: " + role + "}");
  config.endpoint = server.Url("");
  return config;
}

/// Answers page by page.
http::Handler Paged(const std::vector<std::string>& pages) {
  return [pages](const http::Request& request, http::Response& response) {
    const auto page = static_cast<std::size_t>(
        std::atoi(std::string(request.params.Get("page")).c_str()));
    const bool last = page >= pages.size();
    const std::string links =
        last ? "{}" : R"({"pages": {"next": "x", "last": "y"}})";
    const std::string name = request.path.substr(4);
    response.Send(200, "application/json",
                  "{\"" + name + "\": [" +
                      (page > pages.size() ? "" : pages[page - 1]) +
                      "], \"links\": " + links + "}");
  };
}

constexpr char kDroplet[] = R"({
    "id": 7, "name": "d7", "size_slug": "s-1", "status": "active",
    "vpc_uuid": "v", "features": ["monitoring", "ipv6"], "tags": ["a"],
    "image": {"slug": "debian", "name": "12"}, "region": {"slug": "fra1"},
    "networks": {"v4": [{"ip_address": "10.0.0.7", "type": "private"},
                        {"ip_address": "192.0.2.7", "type": "public"}],
                 "v6": [{"ip_address": "2001:db8::7", "type": "public"}]}})";
constexpr char kOther[] = R"({
    "id": 8, "name": "d8", "networks": {
      "v4": [{"ip_address": "192.0.2.8", "type": "public"}]}})";

TEST_CASE("droplets are found on all pages") {
  ProviderServer server;
  server.Handle("/v2/droplets",
                Paged({kDroplet, std::string(kOther) + R"(, {"id": 9})"}));
  const auto run = RunProvider(ConfigFor(server, "droplets"));
  const ProviderRun::Targets wanted = {
      Printed("192.0.2.7:9100", "__meta_digitalocean_",
              {{"droplet_id", "7"},
               {"droplet_name", "d7"},
               {"image", "debian"},
               {"image_name", "12"},
               {"private_ipv4", "10.0.0.7"},
               {"public_ipv4", "192.0.2.7"},
               {"public_ipv6", "2001:db8::7"},
               {"region", "fra1"},
               {"size", "s-1"},
               {"status", "active"},
               {"features", ",monitoring,ipv6,"},
               {"tags", ",a,"},
               {"vpc", "v"}}),
      Printed("192.0.2.8:9100", "__meta_digitalocean_",
              {{"droplet_id", "8"},
               {"droplet_name", "d8"},
               {"public_ipv4", "192.0.2.8"}})};
  CHECK(run->WaitFor(wanted));
  server.Answer("/v2/droplets", "no", 401);
  CHECK(run->WaitForFailure("digitalocean"));
  CHECK(run->WaitFor(wanted));
}

TEST_CASE("databases are found at their private host if they have one") {
  ProviderServer server;
  server.Handle("/v2/databases", Paged({R"(
    {"id": "x", "name": "db", "engine": "pg", "version": "16",
     "status": "online", "region": "fra1", "size": "s", "num_nodes": 2,
     "connection": {"host": "db.example.org"}, "tags": ["t-1"],
     "private_connection": {"host": "private.example.org"}},
    {"id": "y", "connection": {"host": "y.example.org"}})"}));
  CHECK(RunProvider(ConfigFor(server, "databases"))
            ->WaitFor(
                {Printed("private.example.org:9100", "__meta_digitalocean_db_",
                         {{"id", "x"},
                          {"name", "db"},
                          {"engine", "pg"},
                          {"version", "16"},
                          {"status", "online"},
                          {"region", "fra1"},
                          {"size", "s"},
                          {"num_nodes", "2"},
                          {"host", "db.example.org"},
                          {"private_host", "private.example.org"},
                          {"tag_t-1", "true"}}),
                 Printed("y.example.org:9100", "__meta_digitalocean_db_",
                         {{"id", "y"},
                          {"num_nodes", "0"},
                          {"host", "y.example.org"}})}));
}

TEST_CASE("digitalocean configs are checked and printed") {
  CHECK(PrintedConfig(ParseConfig<DigitalOceanConfig>("{}")) ==
        "follow_redirects: true\nenable_http2: true\nrefresh_interval: 1m\n"
        "port: 80\nrole: droplets\n");
  CHECK_THAT(ConfigError<DigitalOceanConfig>("{role: x}"),
             Catch::EndsWith("unknown DigitalOcean SD role \"x\""));
}

}  // namespace
}  // namespace narthex::discovery
