#include <grpcpp/grpcpp.h>
#include <snappy.h>

#include <bit>
#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/varint.h"
#include "libs/http/client.h"
#include "libs/rpc/channel.h"
#include "narthex/v1/querier.grpc.pb.h"
#include "services/ingester/app.h"
#include "services/querier/app.h"

namespace narthex::querier {
namespace {

constexpr char kConfig[] =
    "global:\n"
    "  external_labels: {site: \"x\"}\n"
    "  evaluation_interval: 10s\n";

std::string Bytes(int field, absl::string_view content) {
  std::string out;
  base::PutUvarint(static_cast<std::uint64_t>(field) << 3 | 2, &out);
  base::PutUvarint(content.size(), &out);
  out.append(content.data(), content.size());
  return out;
}

using Labels = std::vector<std::pair<std::string, std::string>>;
using Samples = std::vector<std::pair<std::int64_t, double>>;

std::string Series(const Labels& labels, const Samples& samples) {
  std::string series;
  for (const auto& [name, value] : labels) {
    series += Bytes(1, Bytes(1, name) + Bytes(2, value));
  }
  for (const auto& [timestamp_ms, value] : samples) {
    std::string sample = "\x09";
    char bits[8];
    std::memcpy(bits, &value, sizeof(bits));
    sample.append(bits, sizeof(bits));
    sample.push_back('\x10');
    base::PutUvarint(static_cast<std::uint64_t>(timestamp_ms), &sample);
    series += Bytes(2, sample);
  }
  return Bytes(1, series);
}

struct Reply {
  int code = 0;
  std::string body;
  http::Headers headers;
};

// An ingester and a querier over it, both in this process.
class Suite {
 public:
  /// `more` flags are given to the querier.
  explicit Suite(const std::vector<std::string>& more = {})
      : ingester_(ingester::kIdentity, ingester_app_),
        querier_(kIdentity, querier_app_) {
    const std::string config = directory_.path() + "/prometheus.yml";
    REQUIRE(base::WriteFileAtomically(config, kConfig).ok());
    REQUIRE(
        ingester_
            .Start({"--web.listen-address=127.0.0.1:0",
                    "--grpc.listen-address=127.0.0.1:0", "--log.level=error",
                    "--storage.tsdb.path=" + directory_.path() + "/data"})
            .ok());
    std::vector<std::string> flags = {
        "--web.listen-address=127.0.0.1:0", "--grpc.listen-address=127.0.0.1:0",
        "--log.level=error", "--config.file=" + config,
        "--web.enable-remote-write-receiver", "--web.enable-admin-api",
        absl::StrCat("--ingester.addresses=127.0.0.1:",
                     ingester_app_.grpc_port()),
        // Nobody listens there.
        "--scraper.addresses=127.0.0.1:1", "--ruler.addresses=127.0.0.1:1"};
    flags.insert(flags.end(), more.begin(), more.end());
    const absl::Status started = querier_.Start(flags);
    INFO(started.ToString());
    REQUIRE(started.ok());
  }
  ~Suite() {
    querier_.Stop();
    ingester_.Stop();
  }

  Reply Get(const std::string& target) { return Fetch("GET", target, "", {}); }

  Reply Fetch(const std::string& method, const std::string& target,
              std::string body, http::Headers headers) {
    http::FetchRequest request;
    request.url = absl::StrCat("http://127.0.0.1:", querier_.port(), target);
    request.method = method;
    request.body = std::move(body);
    request.headers = std::move(headers);
    auto config = std::make_shared<http::ClientConfig>();
    config->follow_redirects = false;
    request.config = config;
    request.accept_gzip = false;
    Reply reply;
    const http::FetchResult result = client_.Fetch(request, &reply.body);
    INFO(result.status.ToString());
    REQUIRE(result.status.ok());
    reply.code = result.code;
    reply.headers = result.headers;
    return reply;
  }

  Reply Write(const std::string& message) {
    std::string body;
    snappy::Compress(message.data(), message.size(), &body);
    return Fetch("POST", "/api/v1/write", body,
                 {{"Content-Type", "application/x-protobuf"},
                  {"Content-Encoding", "snappy"}});
  }

  int grpc_port() const { return querier_app_.grpc_port(); }

 private:
  base::TemporaryDirectory directory_;
  ingester::IngesterApp ingester_app_;
  QuerierApp querier_app_;
  service::Process ingester_;
  service::Process querier_;
  http::Client client_;
};

std::int64_t NowMs() { return base::Clock::System().NowMs() / 1000 * 1000; }

TEST_CASE("what is written by remote write is what queries answer") {
  Suite suite;
  const std::int64_t now = NowMs();
  const std::string seconds = absl::StrCat(now / 1000);
  const Reply written =
      suite.Write(Series({{"__name__", "up"}, {"job", "<a>"}},
                         {{now - 1000, 1}, {now, 2}}) +
                  Series({{"__name__", "up"}, {"job", "b"}}, {{now, 0.5}}) +
                  Series({{"job", "nameless"}}, {{now, 1}}));
  CHECK(written.code == 204);
  CHECK(written.body.empty());

  CHECK(suite.Get("/api/v1/query?query=up&time=" + seconds).body ==
        "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\","
        "\"result\":[{\"metric\":{\"__name__\":\"up\",\"job\":\"<a>\"},"
        "\"value\":[" +
            seconds +
            ",\"2\"]},{\"metric\":{\"__name__\":\"up\","
            "\"job\":\"b\"},\"value\":[" +
            seconds + ",\"0.5\"]}]}}");
  CHECK(suite
            .Fetch("POST", "/api/v1/query_range",
                   absl::StrCat("query=sum(up)&step=1&start=", now / 1000 - 1,
                                "&end=", seconds),
                   {{"Content-Type", "application/x-www-form-urlencoded"}})
            .body ==
        absl::StrCat("{\"status\":\"success\",\"data\":{\"resultType\":"
                     "\"matrix\",\"result\":[{\"metric\":{},\"values\":[[",
                     now / 1000 - 1, ",\"1\"],[", seconds, ",\"2.5\"]]}]}}"));
  CHECK(suite.Get("/api/v1/series?match[]=up").body ==
        "{\"status\":\"success\",\"data\":[{\"__name__\":\"up\",\"job\":"
        "\"<a>\"},{\"__name__\":\"up\",\"job\":\"b\"}]}");
  CHECK(suite.Get("/api/v1/series?match[]=up&limit=1").body ==
        "{\"status\":\"success\",\"data\":[{\"__name__\":\"up\",\"job\":"
        "\"<a>\"}],\"warnings\":[\"results truncated due to limit\"]}");
  CHECK(suite.Get("/api/v1/labels").body ==
        "{\"status\":\"success\",\"data\":[\"__name__\",\"job\"]}");
  CHECK(suite.Get("/api/v1/label/job/values").body ==
        "{\"status\":\"success\",\"data\":[\"\\u003ca\\u003e\",\"b\"]}");
  CHECK(suite.Get("/federate?match[]=up").body ==
        absl::StrCat("# TYPE up untyped\nup{job=\"<a>\",site=\"x\","
                     "instance=\"\"} 2 ",
                     now,
                     "\nup{job=\"b\",site=\"x\","
                     "instance=\"\"} 0.5 ",
                     now, "\n"));
  CHECK_THAT(suite.Get("/api/v1/status/tsdb").body,
             Catch::Contains("\"numSeries\":2"));
}

TEST_CASE("samples that can never be taken are refused for good") {
  Suite suite;
  const std::int64_t now = NowMs();
  const Labels up = {{"__name__", "up"}};
  REQUIRE(suite.Write(Series(up, {{now, 1}})).code == 204);

  CHECK(suite.Write(Series(up, {{now, 1}})).code == 204);
  const Reply duplicate = suite.Write(Series(up, {{now, 2}}));
  CHECK(duplicate.code == 400);
  CHECK_THAT(duplicate.body, Catch::StartsWith("duplicate sample"));
  const Reply old = suite.Write(Series(up, {{now - 5000, 1}, {now + 1000, 3}}));
  CHECK(old.code == 400);
  CHECK_THAT(old.body, Catch::StartsWith("out of order sample"));
  // As in Prometheus, the good sample beside it is not stored either.
  CHECK_THAT(
      suite.Get(absl::StrCat("/api/v1/query?query=up&time=", now / 1000 + 1))
          .body,
      Catch::Contains("\"1\"]"));
  const Reply future = suite.Write(Series(up, {{now + 3'600'000, 1}}));
  CHECK(future.code == 400);
  CHECK_THAT(future.body, Catch::StartsWith("out of bounds"));
}

TEST_CASE("what is no remote write is refused before it is decoded") {
  Suite suite;
  const auto post = [&](std::string body, http::Headers headers) {
    return suite.Fetch("POST", "/api/v1/write", std::move(body),
                       std::move(headers));
  };
  CHECK(post("x", {{"Content-Type", "application/json"}}).code == 415);
  CHECK(post("x", {{"Content-Type",
                    "application/x-protobuf;proto=io.prometheus.write.v3."
                    "Request"}})
            .code == 415);
  CHECK(post("x", {{"Content-Type", "application/x-protobuf"},
                   {"Content-Encoding", "gzip"}})
            .code == 415);
  CHECK(post("xx", {{"Content-Type", "application/x-protobuf"}}).code == 400);
  // A few bytes that claim to be four gigabytes.
  const Reply bomb = post(std::string("\xff\xff\xff\xff\x0f") + "xxxx",
                          {{"Content-Type", "application/x-protobuf"}});
  CHECK(bomb.code == 400);
  CHECK(bomb.body ==
        "snappy: decoded length 4294967295 exceeds limit 33554432\n");
  CHECK(suite.Write("\xff\xff").code == 400);
}

TEST_CASE("a querier takes the remote write messages that it is told to") {
  Suite suite(
      {"--web.remote-write-receiver.accepted-protobuf-messages=io."
       "prometheus.write.v2.Request"});
  const Reply reply = suite.Write(Series({{"__name__", "up"}}, {{NowMs(), 1}}));
  CHECK(reply.code == 415);
  CHECK_THAT(reply.body, Catch::StartsWith(
                             "prometheus.WriteRequest protobuf message is not "
                             "accepted by this server; accepted "
                             "[io.prometheus.write.v2.Request]"));
}

TEST_CASE("the samples of each step are told if the feature is on") {
  const bool on = GENERATE(true, false);
  Suite suite(on ? std::vector<std::string>{"--enable-feature=promql-per-step-"
                                            "stats"}
                 : std::vector<std::string>{});
  const std::int64_t now = NowMs();
  REQUIRE(suite
              .Write(Series({{"__name__", "up"}},
                            {{now - 2000, 1}, {now - 1000, 1}, {now, 1}}))
              .code == 204);
  const auto ask = [&](const char* query, const char* stats) {
    return suite
        .Get(absl::StrCat("/api/v1/query_range?query=", query,
                          "&start=", now / 1000 - 3, "&end=", now / 1000,
                          "&step=1&stats=", stats))
        .body;
  };
  const auto steps = [now](std::vector<int> counts) {
    std::string text = "\"totalQueryableSamplesPerStep\":[";
    for (std::size_t i = 0; i < counts.size(); ++i) {
      absl::StrAppend(&text, i == 0 ? "" : ",", "[",
                      now / 1000 - 3 + static_cast<std::int64_t>(i), ",",
                      counts[i], "]");
    }
    return text + "],\"totalQueryableSamples\":";
  };
  // As Prometheus 3.5 counts.
  const std::pair<const char*, std::string> kQueries[] = {
      {"up", steps({0, 1, 1, 1}) + "3"},
      {"sum_over_time(up[2s])", steps({0, 1, 2, 2}) + "5"},
      {"up@end()", steps({1, 1, 1, 1}) + "4"},
      {"sum(rate(up[2s]))%2Bup", steps({0, 2, 3, 3}) + "8"}};
  for (const auto& [query, wanted] : kQueries) {
    INFO(query);
    const std::string all = ask(query, "all");
    if (on) CHECK_THAT(all, Catch::Contains(wanted));
    CHECK(absl::StrContains(all, "PerStep") == on);
    CHECK_FALSE(absl::StrContains(ask(query, "true"), "PerStep"));
  }
}

TEST_CASE("remote read answers with samples and external labels") {
  Suite suite;
  const std::int64_t now = NowMs();
  REQUIRE(suite
              .Write(Series({{"__name__", "up"}}, {{now - 1000, 1}, {now, 2}}) +
                     Series({{"__name__", "other"}}, {{now, 1}}))
              .code == 204);
  // One query: from, to, up, and the external label that needs no search.
  std::string query = "\x08";
  base::PutUvarint(static_cast<std::uint64_t>(now - 5000), &query);
  query.push_back('\x10');
  base::PutUvarint(static_cast<std::uint64_t>(now), &query);
  query += Bytes(3, Bytes(2, "__name__") + Bytes(3, "up"));
  query += Bytes(3, Bytes(2, "site") + Bytes(3, "x"));
  const auto read = [&](const std::string& message) {
    std::string body;
    snappy::Compress(message.data(), message.size(), &body);
    return suite.Fetch("POST", "/api/v1/read", body,
                       {{"Content-Type", "application/x-protobuf"},
                        {"Content-Encoding", "snappy"}});
  };

  const Reply reply = read(Bytes(1, query));
  CHECK(reply.code == 200);
  CHECK(reply.headers.Get("Content-Encoding") == "snappy");
  std::string message;
  REQUIRE(snappy::Uncompress(reply.body.data(), reply.body.size(), &message));
  CHECK(message == Bytes(1, Series({{"__name__", "up"}, {"site", "x"}},
                                   {{now - 1000, 1}, {now, 2}})));
  // A client that takes nothing that is known, and one that prefers it.
  CHECK(read(Bytes(1, query) + Bytes(2, "\x09")).code == 400);
  CHECK(read(Bytes(1, query) + Bytes(2, std::string("\x09\x00", 2))).code ==
        200);
  CHECK(read("\xff").code == 400);
}

TEST_CASE("errors come in Prometheus's envelope with its codes") {
  Suite suite;
  struct Row {
    std::string target;
    int code;
    std::string error;
  };
  const std::vector<Row> rows = {
      {"/api/v1/query?query=1%2B", 400,
       "\"bad_data\",\"error\":\"invalid parameter \\\"query\\\": 1:3: parse "
       "error: unexpected end of input\"}"},
      {"/api/v1/query?query=up&time=x", 400,
       "\"bad_data\",\"error\":\"invalid parameter \\\"time\\\": invalid time "
       "value for 'time': cannot parse \\\"x\\\" to a valid timestamp\"}"},
      {"/api/v1/"
       "query?query=label_replace(vector(1),%22a%22,%22%22,%22b%22,%22(%22)",
       422, "\"execution\""},
      {"/api/v1/query_range?query=1&start=0&end=100000&step=1", 400,
       "exceeded maximum resolution of 11,000 points per timeseries"},
      {"/api/v1/query_range?query=1&start=-9e15&end=9e15&step=0.000001", 400,
       "zero or negative query resolution"},
      {"/api/v1/series", 400, "\"no match[] parameter provided\""},
      {"/api/v1/rules?type=x", 400, "not supported value \\\"x\\\""},
      {"/api/v1/targets", 503, "\"unavailable\""},
  };
  for (const Row& row : rows) {
    INFO(row.target);
    const Reply reply = suite.Get(row.target);
    CHECK(reply.code == row.code);
    CHECK(reply.headers.Get("Content-Type") == "application/json");
    CHECK_THAT(reply.body,
               Catch::StartsWith("{\"status\":\"error\",\"errorType\":"));
    CHECK_THAT(reply.body, Catch::Contains(row.error));
  }
  CHECK(suite.Get("/api/v1/nope").code == 404);
  CHECK(suite.Get("/api/v1/query_exemplars?query=1").code == 204);
}

TEST_CASE("an expression is shown as a tree and formatted") {
  Suite suite;
  CHECK(suite.Get("/api/v1/format_query?query=sum(a)by(b)").body ==
        "{\"status\":\"success\",\"data\":\"sum by (b) (a)\"}");
  CHECK(suite.Get("/api/v1/parse_query?query=-a[5m:]%20offset%201m").code ==
        400);
  CHECK_THAT(suite.Get("/api/v1/parse_query?query=rate(a[5m])>1").body,
             Catch::Contains("\"type\":\"matrixSelector\"") &&
                 Catch::Contains("\"range\":300000"));
}

TEST_CASE("deleted series vanish from answers") {
  Suite suite;
  const std::int64_t now = NowMs();
  REQUIRE(suite
              .Write(Series({{"__name__", "a"}}, {{now, 1}}) +
                     Series({{"__name__", "b"}}, {{now, 1}}))
              .code == 204);
  CHECK(
      suite.Fetch("POST", "/api/v1/admin/tsdb/delete_series?match[]=a", "", {})
          .code == 204);
  const std::string at = absl::StrCat("&time=", now / 1000);
  CHECK_THAT(suite.Get("/api/v1/query?query=a" + at).body,
             Catch::Contains("\"result\":[]"));
  CHECK_THAT(suite.Get("/api/v1/query?query=b" + at).body,
             Catch::Contains("\"1\"]"));
  CHECK(suite.Get("/api/v1/admin/tsdb/delete_series?match[]=a").code == 405);
}

TEST_CASE("rulers get vectors and scalars, and errors with their codes") {
  Suite suite;
  const std::int64_t now = NowMs();
  REQUIRE(suite.Write(Series({{"__name__", "up"}}, {{now, 1}})).code == 204);
  const auto stub = v1::Querier::NewStub(
      rpc::NewChannel(absl::StrCat("127.0.0.1:", suite.grpc_port())));
  const auto query = [&](const std::string& expression,
                         v1::QueryResponse* response) {
    grpc::ClientContext context;
    v1::QueryRequest request;
    request.set_expression(expression);
    request.set_timestamp_ms(now);
    const auto reader = stub->Query(&context, request);
    v1::QueryResponse page;
    while (reader->Read(&page)) response->MergeFrom(page);
    return reader->Finish();
  };
  v1::QueryResponse vector;
  REQUIRE(query("up", &vector).ok());
  REQUIRE(vector.samples_size() == 1);
  CHECK(vector.type() == v1::QueryResponse::RESULT_TYPE_VECTOR);
  CHECK(vector.samples(0).timestamp_ms() == now);
  v1::QueryResponse scalar;
  REQUIRE(query("1 + 1", &scalar).ok());
  CHECK(scalar.type() == v1::QueryResponse::RESULT_TYPE_SCALAR);
  CHECK(scalar.samples(0).value() == 2);
  v1::QueryResponse none;
  CHECK(query("up +", &none).error_code() ==
        grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(query("up[5m]", &none).error_code() ==
        grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_CASE("the page is served to people, and its status to Grafana") {
  Suite suite;
  const Reply root = suite.Get("/");
  CHECK(root.code == 302);
  CHECK(root.headers.Get("Location") == "/query");
  CHECK(suite.Get("/graph?g0.expr=up").headers.Get("Location") ==
        "/query?g0.expr=up");
  const Reply page = suite.Get("/targets");
  CHECK(page.code == 200);
  CHECK_THAT(page.body, Catch::Contains("<title>Narthex</title>"));
  CHECK(page.headers.Has("Content-Security-Policy"));
  CHECK_THAT(suite.Get("/api/v1/status/buildinfo").body,
             Catch::Contains("\"version\":\"3."));
  CHECK_THAT(suite.Get("/api/v1/status/config").body,
             Catch::Contains("evaluation_interval: 10s"));
  CHECK_THAT(suite.Get("/api/v1/status/flags").body,
             Catch::Contains("\"query.timeout\":\"2m\""));
}

}  // namespace
}  // namespace narthex::querier
