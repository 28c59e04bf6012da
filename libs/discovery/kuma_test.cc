#include "libs/discovery/kuma.h"

#include "libs/discovery/provider_run.h"
#include "libs/discovery/provider_server.h"

namespace narthex::discovery {
namespace {

constexpr char kPath[] = "/base/v3/discovery:monitoringassignments";
constexpr char kResponse[] = R"({
    "versionInfo": "1", "nonce": "abc",
    "typeUrl": "type.googleapis.com/kuma.observability.v1.MonitoringAssignment",
    "resources": [
      {"@type":
         "type.googleapis.com/kuma.observability.v1.MonitoringAssignment",
       "mesh": "metrics", "service": "prometheus",
       "labels": {"kuma.io/zone": "us-east-1", "team": "infra"},
       "targets": [
         {"name": "prometheus-01", "scheme": "http",
          "address": "10.1.4.32:9090", "metricsPath": "/custom-metrics",
          "labels": {"commit_hash": "620506a88", "team": "own"}},
         {"name": "prometheus-02", "address": "10.1.4.33:9090"}]},
      {"@type":
         "type.googleapis.com/kuma.observability.v1.MonitoringAssignment",
       "mesh": "metrics", "service": "grafana", "targets": []}]})";

std::vector<std::string> Wanted() {
  const auto common = [](const std::string& name, const std::string& address) {
    return model::LabelsBuilder()
        .Set("__address__", address)
        .Set("__meta_kuma_dataplane", name)
        .Set("__meta_kuma_label_kuma_io_zone", "us-east-1")
        .Set("__meta_kuma_label_team", "infra")
        .Set("__meta_kuma_mesh", "metrics")
        .Set("__meta_kuma_service", "prometheus")
        .Set("instance", name);
  };
  return {Printed(common("prometheus-01", "10.1.4.32:9090")
                      .Set("__metrics_path__", "/custom-metrics")
                      .Set("__scheme__", "http")
                      .Set("__meta_kuma_label_commit_hash", "620506a88")
                      .Build()),
          Printed(common("prometheus-02", "10.1.4.33:9090").Build())};
}

TEST_CASE("kuma's targets are found and kept while there is no news") {
  ProviderServer server;
  server.Handle(
      kPath, [](const http::Request& request, http::Response& response) {
        if (request.body ==
            R"({"node":{"id":"me"},"type_url":"type.googleapis.com/)"
            R"(kuma.observability.v1.MonitoringAssignment"})") {
          response.Send(200, "application/json", kResponse);
        } else if (request.body ==
                   R"({"node":{"id":"me"},"response_nonce":"abc","type_url":)"
                   R"("type.googleapis.com/kuma.observability.v1.)"
                   R"(MonitoringAssignment","version_info":"1"})") {
          response.Send(304, "application/json", "");
        } else {
          response.Send(400, "text/plain", request.body);
        }
      });
  const auto run = RunProvider(ParseConfig<KumaConfig>(
      "{refresh_interval: 10ms, client_id: me, server: '" +
      server.Url("/base") + "'}"));
  CHECK(run->WaitFor(Wanted()));
  CHECK(run->WaitForCount("prometheus_sd_kuma_fetch_skipped_updates_total", 2));
  CHECK(run->WaitFor(Wanted()));
  CHECK(run->sources() == std::set<std::string>{"kuma"});
  CHECK(server.Last(kPath).params.Get("fetch-timeout") == "2m");
  server.Answer(kPath, "no", 500);
  CHECK(run->WaitForCount("prometheus_sd_kuma_fetch_failures_total", 1));
  CHECK(run->WaitFor(Wanted()));
}

TEST_CASE("an answer of kuma's that is something else is refused") {
  const char* body =
      GENERATE("", "{}", R"({"typeUrl": "other"})",
               R"({"type_url": "type.googleapis.com/kuma.observability.v1.)"
               R"(MonitoringAssignment", "resources": [{"@type": "other"}]})");
  CHECK_FALSE(ParseKumaResponse(body).ok());
}

TEST_CASE("kuma configs are checked and printed") {
  CHECK(PrintedConfig(ParseConfig<KumaConfig>("{server: 'http://k:5676'}")) ==
        "follow_redirects: true\nenable_http2: true\nrefresh_interval: 15s\n"
        "fetch_timeout: 2m\nserver: http://k:5676\n");
  const char* text =
      GENERATE("{}", "{server: 'k:5676'}", "{server: 'http://'}");
  CHECK_THAT(ConfigError<KumaConfig>(text),
             Catch::Contains("must not be empty and have a scheme"));
}

}  // namespace
}  // namespace narthex::discovery
