#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

#include "libs/base/file.h"
#include "libs/metrics/metrics.h"
#include "services/querier/active_queries.h"
#include "services/querier/query_log.h"
#include "services/querier/running_queries.h"

namespace narthex::querier {
namespace {

std::string Contents(const std::string& path) {
  const auto read = base::ReadFile(path);
  REQUIRE(read.ok());
  return *read;
}

}  // namespace

TEST_CASE("running queries are listed with their cost until they end") {
  base::FakeClock clock(5000);
  RunningQueries running(clock);
  promql::QueryProgress progress;
  {
    const RunningQueries::Scope scope(running, {0, "up", 0, 1, 2, 3, "me"},
                                      progress, [] {});
    progress.samples_read = 7;
    CHECK(!progress.id.empty());
    const auto list = running.List();
    REQUIRE(list.size() == 1);
    CHECK(list[0].query == "up");
    CHECK(list[0].begin_ms == 5000);
    CHECK(list[0].samples == 7);
    CHECK(list[0].origin == "me");
  }
  CHECK(running.List().empty());
}

TEST_CASE("a query is cancelled by its id, while it runs") {
  base::FakeClock clock(0);
  RunningQueries running(clock);
  promql::QueryProgress progress;
  int cancelled = 0;
  std::uint64_t id = 0;
  {
    const RunningQueries::Scope scope(running, {}, progress,
                                      [&cancelled] { ++cancelled; });
    id = running.List()[0].id;
    CHECK_FALSE(running.Cancel(id + 1));
    CHECK(running.Cancel(id));
    CHECK(cancelled == 1);
  }
  CHECK_FALSE(running.Cancel(id));
}

TEST_CASE("the file of active queries is as Prometheus writes it") {
  const base::TemporaryDirectory directory;
  const std::string path = directory.path() + "/queries.active";
  const auto active = ActiveQueries::Open(path, 2, base::Logger::Discard());
  REQUIRE(active.ok());
  CHECK(Contents(path) == "[" + std::string(2000, '\0'));
  {
    const ActiveQueries::Scope first(active->get(), "up == \"1\"", 123);
    const ActiveQueries::Scope second(active->get(), std::string(5000, 'x'), 4);
    const ActiveQueries::Scope third(active->get(), "no place left", 5);
    const std::string file = Contents(path);
    REQUIRE(file.size() == 2001);
    const std::string entry = R"({"query":"up == \"1\"","timestamp_sec":123},)";
    CHECK(file.substr(1, entry.size()) == entry);
    CHECK(file.substr(1 + entry.size(), 10) == std::string(10, '\0'));
    CHECK(file.substr(1001, 20) == R"({"query":"xxxxxxxxxx)");
    CHECK(file.find("},", 1001) != std::string::npos);
  }
  CHECK(Contents(path) == "[" + std::string(2000, '\0'));
}

TEST_CASE("the query log has a line of JSON for each query") {
  const base::TemporaryDirectory directory;
  const std::string path = directory.path() + "/queries.log";
  base::FakeClock clock(1'000);
  metrics::Registry registry;
  QueryLog log(clock, registry);
  QueryOrigin http;
  http.client_ip = "10.0.0.1";
  http.method = "GET";
  http.path = "/api/v1/query_range";
  QueryOrigin rule;
  rule.rule_file = "r.yml";
  rule.rule_group = "g";
  log.Write({"nobody listens", 0, 0, 0, http, {}, ""});
  REQUIRE(log.SetFile(path).ok());
  log.Write({"up", 1500, 100'000, 15'000, http, {}, ""});
  log.Write({"a", 0, 0, 0, rule, {}, "went wrong"});
  const std::string text = Contents(path);
  CHECK(std::count(text.begin(), text.end(), '\n') == 2);
  CHECK(text.find(R"("params":{"end":"1970-01-01T00:01:40.000Z","query":"up",)"
                  R"("start":"1970-01-01T00:00:01.500Z","step":15})") !=
        std::string::npos);
  CHECK(text.find(R"("httpRequest":{"clientIP":"10.0.0.1","method":"GET",)"
                  R"("path":"/api/v1/query_range"})") != std::string::npos);
  CHECK(text.find(R"("error":"went wrong")") != std::string::npos);
  CHECK(text.find(R"("ruleGroup":{"file":"r.yml","name":"g"})") !=
        std::string::npos);
}

}  // namespace narthex::querier
