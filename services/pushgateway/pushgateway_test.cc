#include <snappy.h>

#include <catch2/catch.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/http/client.h"
#include "libs/http/gzip.h"
#include "services/pushgateway/app.h"

namespace narthex::pushgateway {

namespace {

// A whole pushgateway, spoken to over HTTP.
class Gateway {
 public:
  explicit Gateway(std::vector<std::string> flags = {})
      : process_(kIdentity, app_) {
    flags.insert(flags.end(),
                 {"--web.listen-address=127.0.0.1:0", "--log.level=error"});
    const absl::Status status = process_.Start(flags);
    INFO(status.ToString());
    REQUIRE(status.ok());
  }

  int Send(absl::string_view method, absl::string_view path,
           std::string body = {}, http::Headers headers = {}) {
    const auto result = client_.Fetch(
        {.url = absl::StrCat("http://127.0.0.1:", process_.port(), path),
         .method = std::string(method),
         .headers = std::move(headers),
         .body = std::move(body)},
        &answer_);
    REQUIRE(result.status.ok());
    return result.code;
  }
  std::string Get(absl::string_view path) {
    CHECK(Send("GET", path) == 200);
    return answer_;
  }
  const std::string& answer() const { return answer_; }
  service::Process& process() { return process_; }

 private:
  PushgatewayApp app_;
  service::Process process_;
  http::Client client_;
  std::string answer_;
};

}  // namespace

TEST_CASE("pushed metrics are exposed beside the gateway's own") {
  Gateway gateway;
  CHECK(gateway.Send("PUT", "/metrics/job/j/x/y",
                     "# HELP a Help.\n# TYPE a gauge\na 1\n"
                     "# TYPE process_open_fds gauge\nprocess_open_fds 5\n") ==
        200);
  const std::string page = gateway.Get("/metrics");
  CHECK(absl::StrContains(page,
                          "# HELP a Help.\n# TYPE a gauge\n"
                          "a{instance=\"\",job=\"j\",x=\"y\"} 1\n"));
  CHECK(absl::StrContains(page, "pushgateway_build_info{"));
  CHECK(absl::StrContains(
      page, "process_open_fds{instance=\"\",job=\"j\",x=\"y\"} 5\n"));
  const auto first = page.find("# TYPE process_open_fds");
  CHECK(page.find("# TYPE process_open_fds", first + 1) == std::string::npos);
  CHECK(absl::StrContains(gateway.Get("/metrics"),
                          "pushgateway_http_requests_total{code=\"200\","
                          "handler=\"push\",method=\"put\"} 1\n"));
}

TEST_CASE("methods and paths are answered as Pushgateway answers them") {
  Gateway gateway({"--web.enable-admin-api"});
  struct Row {
    const char* method;
    const char* path;
    const char* body;
    int code;
  };
  const std::vector<Row> rows = {
      {"POST", "/metrics/job/j", "a 1\n", 200},
      {"PUT", "/metrics/job/j", "", 200},
      {"PUT", "/metrics/job/j", "a 1", 400},
      {"PUT", "/metrics/job/j", "a 1 5\n", 400},
      {"PUT", "/metrics/job@base64/ai8x", "a 1\n", 200},
      {"PUT", "/metrics/job/j/odd", "a 1\n", 400},
      {"PUT", "/metrics/job", "a 1\n", 404},
      {"GET", "/metrics/job/j", "", 405},
      {"PUT", "/metrics", "", 405},
      {"DELETE", "/metrics/job/absent", "", 202},
      {"DELETE", "/metrics/job/j", "", 202},
      {"POST", "/api/v1/admin/wipe", "", 405},
      {"PUT", "/api/v1/admin/wipe", "", 202},
      {"GET", "/api/v1/metrics", "", 200},
      {"POST", "/api/v1/status", "", 405},
      {"GET", "/-/healthy", "", 200},
      {"GET", "/-/ready", "", 200},
      {"GET", "/", "", 200},
      {"GET", "/absent", "", 404}};
  for (const Row& row : rows) {
    INFO(row.method << " " << row.path);
    CHECK(gateway.Send(row.method, row.path, row.body) == row.code);
  }
}

TEST_CASE("wiping needs the admin API") {
  Gateway gateway;
  CHECK(gateway.Send("PUT", "/api/v1/admin/wipe") == 404);
}

TEST_CASE("compressed bodies are read, broken ones refused") {
  Gateway gateway;
  std::string gzip;
  http::GzipCompress("a 1\n", &gzip);
  CHECK(gateway.Send("PUT", "/metrics/job/g", gzip,
                     {{"Content-Encoding", "gzip"}}) == 200);
  CHECK(gateway.Send("PUT", "/metrics/job/g", "a 1\n",
                     {{"Content-Encoding", "gzip"}}) == 400);
  std::string block;
  snappy::Compress("b 1\n", 4, &block);
  std::string framed("\xff\x06\x00\x00sNaPpY", 10);
  framed += '\0';
  framed += static_cast<char>(block.size() + 4);
  framed += std::string(2, '\0') + "crc!" + block;
  CHECK(gateway.Send("PUT", "/metrics/job/s", framed,
                     {{"Content-Encoding", "snappy"}}) == 200);
  CHECK(gateway.Send("PUT", "/metrics/job/s", "nonsense",
                     {{"Content-Encoding", "snappy"}}) == 400);
  const std::string page = gateway.Get("/metrics");
  CHECK(absl::StrContains(page, "a{instance=\"\",job=\"g\"} 1\n"));
  CHECK(absl::StrContains(page, "b{instance=\"\",job=\"s\"} 1\n"));
}

TEST_CASE("the API shows groups, families, flags and build") {
  Gateway gateway;
  CHECK(gateway.Send("PUT", "/metrics/job/j",
                     "# HELP a Help.\n# TYPE a gauge\na{x=\"y\"} 1.5\n"
                     "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 2\n"
                     "h_count 3\n# TYPE s summary\ns{quantile=\"0.5\"} 4\n") ==
        200);
  const std::string groups = gateway.Get("/api/v1/metrics");
  for (const char* part :
       {R"("status":"success")", R"("labels":{"job":"j"})",
        R"("last_push_successful":true)", R"("help":"Help.")",
        R"("labels":{"instance":"","job":"j","x":"y"},"value":"1.5")",
        R"("buckets":{"+Inf":"3","1":"1"},"count":"3")",
        R"("quantiles":{"0.5":"4"},"sum":"0")", R"("type":"HISTOGRAM")"}) {
    INFO(part);
    CHECK(absl::StrContains(groups, part));
  }
  const std::string status = gateway.Get("/api/v1/status");
  CHECK(absl::StrContains(status, "\"web.telemetry-path\":\"/metrics\""));
  CHECK(absl::StrContains(status, "\"build_information\":{"));
  CHECK(absl::StrContains(gateway.Get("/"), "metrics/job@base64/ag"));
}

TEST_CASE("groups outlive the process") {
  base::TemporaryDirectory directory;
  const std::string flag = "--storage.path=" + directory.path();
  {
    Gateway gateway({flag});
    CHECK(gateway.Send("PUT", "/metrics/job/j", "a 1\n") == 200);
  }
  Gateway gateway({flag});
  CHECK(absl::StrContains(gateway.Get("/metrics"),
                          "a{instance=\"\",job=\"j\"} 1\n"));
}

}  // namespace narthex::pushgateway
