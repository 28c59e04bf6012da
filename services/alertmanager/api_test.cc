#include "services/alertmanager/api.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "services/alertmanager/fake_world.h"
#include "services/alertmanager/json.h"

namespace narthex::alertmanager {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kStartMs = 1'700'000'000'000;

constexpr char kConfig[] = R"(
route:
  receiver: r
  group_by: [alertname]
  routes: [{receiver: s, matchers: [team=s]}]
receivers:
- name: r
- {name: s, labels: {kind: pager}}
inhibit_rules:
- {source_matchers: [alertname=Src], target_matchers: [alertname=Dst]}
)";

class Fixture {
 public:
  base::TemporaryDirectory directory;
  base::FakeClock clock{kStartMs};
  FakeWorld world{kConfig, clock, directory.path()};

  Json Get(const std::string& target) {
    const auto response = world.Request("GET", target);
    CHECK(response.status() == 200);
    return Json::parse(response.body());
  }
  std::string SilenceBody(const std::string& name, const std::string& value) {
    return Json({{"matchers",
                  {{{"name", name}, {"value", value}, {"isRegex", false}}}},
                 {"startsAt", TimeText(kStartMs)},
                 {"endsAt", TimeText(kStartMs + 60'000)},
                 {"createdBy", "me"},
                 {"comment", "why"}})
        .dump();
  }
};

TEST_CASE("an alert comes back in the shape of the API") {
  Fixture f;
  REQUIRE(f.world
              .Request("POST", "/api/v2/alerts",
                       R"([{"labels":{"alertname":"A","e":"","team":"s"},)"
                       R"("annotations":{"s":"<b>"},)"
                       R"("generatorURL":"http://x/?a=b&c"}])")
              .status() == 200);
  const auto response = f.world.Request("GET", "/api/v2/alerts");
  CHECK(response.headers().Get("Cache-Control") == "no-store");
  CHECK(response.body() ==
        R"([{"annotations":{"s":"\u003cb\u003e"},)"
        R"("endsAt":"2023-11-14T22:18:20.000Z",)"
        R"("fingerprint":"a0ee776337511115","receivers":[{"name":"s"}],)"
        R"("startsAt":"2023-11-14T22:13:20.000Z","status":{"inhibitedBy":[],)"
        R"("mutedBy":[],"silencedBy":[],"state":"active"},)"
        R"("updatedAt":"2023-11-14T22:13:20.000Z",)"
        R"("generatorURL":"http://x/?a=b\u0026c",)"
        R"("labels":{"alertname":"A","team":"s"}}])"
        "\n");
  const Json groups = f.Get("/api/v2/alerts/groups");
  REQUIRE(groups.size() == 1);
  CHECK(groups[0]["labels"] == Json({{"alertname", "A"}}));
  CHECK(groups[0]["receiver"] == Json({{"name", "s"}}));
  CHECK(groups[0]["alerts"][0]["receivers"] == Json({{{"name", "s"}}}));
}

TEST_CASE("valid alerts are taken beside invalid ones") {
  Fixture f;
  const auto response =
      f.world.Request("POST", "/api/v2/alerts",
                      R"([{"labels":{}},{"labels":{"alertname":"A"}}])");
  CHECK(response.status() == 400);
  CHECK(response.body() == "\"at least one label pair required\"\n");
  CHECK(f.Get("/api/v2/alerts").size() == 1);
}

TEST_CASE("requests that are malformed are answered as Alertmanager does") {
  struct Row {
    const char* method;
    const char* target;
    const char* body;
    int status;
    const char* answer;
  };
  const Row rows[] = {
      {"POST", "/api/v2/alerts", "", 422,
       R"({"code":602,"message":"alerts in body is required"})"},
      {"POST", "/api/v2/alerts", R"([{"annotations":{}}])", 422,
       R"({"code":602,"message":"0.labels in body is required"})"},
      {"POST", "/api/v2/alerts", "[", 400,
       R"({"code":400,"message":"parsing alerts body from \"\" failed, )"
       R"(because unexpected EOF"})"},
      {"POST", "/api/v2/alerts",
       R"([{"labels":{"a":"b"},"generatorURL":"::x"}])", 422,
       R"({"code":601,"message":"0.generatorURL in body must be of type )"
       R"(uri: \"::x\""})"},
      {"POST", "/api/v2/alerts",
       R"([{"labels":{"a":"b"},"startsAt":"2026-01-02T00:00:00Z",)"
       R"("endsAt":"2026-01-01T00:00:00Z"}])",
       400, "\"start time must be before end time\"\n"},
      {"GET", "/api/v2/alerts?filter=foo", "", 400, nullptr},
      {"GET", "/api/v2/alerts?receiver=%5B", "", 400, nullptr},
      {"GET", "/api/v2/nope", "", 404,
       R"({"code":404,"message":"path /api/v2/nope was not found"})"},
      {"POST", "/api/v2/silences", R"({"matchers":[]})", 422,
       R"({"code":602,"message":"comment in body is required"})"},
      {"GET", "/api/v2/silence/xyz", "", 422,
       R"({"code":601,"message":"silenceID in path must be of type uuid: )"
       R"(\"xyz\""})"},
      {"GET", "/api/v2/silence/00000000-0000-0000-0000-000000000000", "", 404,
       ""},
      {"DELETE", "/api/v2/silence/00000000-0000-0000-0000-000000000000", "",
       404, ""},
  };
  Fixture f;
  for (const Row& row : rows) {
    INFO(row.method << " " << row.target << " " << row.body);
    const auto response = f.world.Request(row.method, row.target, row.body);
    CHECK(response.status() == row.status);
    if (row.answer != nullptr) CHECK(response.body() == row.answer);
  }
}

TEST_CASE("alerts are chosen by what mutes them, their labels and receivers") {
  Fixture f;
  REQUIRE(f.world
              .Request("POST", "/api/v2/alerts",
                       R"([{"labels":{"alertname":"Src"}},)"
                       R"({"labels":{"alertname":"Dst"}},)"
                       R"({"labels":{"alertname":"Sil","team":"s"}}])")
              .status() == 200);
  REQUIRE(f.world
              .Request("POST", "/api/v2/silences",
                       f.SilenceBody("alertname", "Sil"))
              .status() == 200);
  struct Row {
    const char* query;
    std::set<std::string> names;
  };
  const Row rows[] = {
      {"", {"Src", "Dst", "Sil"}},
      {"?active=false", {"Dst", "Sil"}},
      {"?silenced=false", {"Src", "Dst"}},
      {"?inhibited=false", {"Src", "Sil"}},
      {"?filter=alertname%3DSrc", {"Src"}},
      {"?filter=alertname%3D~%22S.*%22&filter=team%3D%22%22", {"Src"}},
      {"?receiver=s", {"Sil"}},
      {"?receiver=nobody", {}},
      {"?receiver_matchers=kind%3Dpager", {"Sil"}},
  };
  for (const char* path : {"/api/v2/alerts", "/api/v2/alerts/groups"}) {
    for (const Row& row : rows) {
      INFO(path << row.query);
      std::set<std::string> names;
      const Json answer = f.Get(std::string(path) + row.query);
      for (const Json& item : answer) {
        const Json alerts = item.value("alerts", Json::array({item}));
        for (const Json& alert : alerts) {
          names.insert(alert["labels"]["alertname"].get<std::string>());
        }
      }
      CHECK(names == row.names);
    }
  }
  const Json dst = f.Get("/api/v2/alerts?filter=alertname%3DDst")[0];
  CHECK(dst["status"]["state"] == "suppressed");
  CHECK(dst["status"]["inhibitedBy"].size() == 1);
}

TEST_CASE("silences are listed active, pending, expired, and filtered") {
  Fixture f;
  const auto set = [&](const std::string& value, std::int64_t starts,
                       std::int64_t ends) {
    Json body = Json::parse(f.SilenceBody("a", value));
    body["startsAt"] = TimeText(kStartMs + starts);
    body["endsAt"] = TimeText(kStartMs + ends);
    const auto response =
        f.world.Request("POST", "/api/v2/silences", body.dump());
    REQUIRE(response.status() == 200);
    return Json::parse(response.body())["silenceID"].get<std::string>();
  };
  set("pending", 5000, 6000);
  set("late", 0, 9000);
  set("early", 0, 8000);
  const std::string id = set("gone", 0, 7000);
  REQUIRE(f.world.Request("DELETE", "/api/v2/silence/" + id).status() == 200);
  const auto values = [&](const std::string& query) {
    std::vector<std::string> result;
    for (const Json& silence : f.Get("/api/v2/silences" + query)) {
      result.push_back(silence["matchers"][0]["value"]);
    }
    return result;
  };
  using Values = std::vector<std::string>;
  CHECK(values("") == Values{"early", "late", "pending", "gone"});
  CHECK(values("?expired=false&pending=no") == Values{"early", "late"});
  CHECK(values("?filter=a%3Dlate") == Values{"late"});
  CHECK(values("?filter=a%3D~late").empty());
  const Json gone = f.Get("/api/v2/silence/" + id);
  CHECK(gone["status"]["state"] == "expired");
  CHECK(gone["matchers"][0]["isEqual"] == true);
}

TEST_CASE("receivers and status are told") {
  Fixture f;
  CHECK(f.Get("/api/v2/receivers") ==
        Json::parse(R"([{"name":"r","labels":{"name":"r"}},)"
                    R"({"name":"s","labels":{"kind":"pager","name":"s"}}])"));
  const Json status = f.Get("/api/v2/status");
  CHECK(status["cluster"]["status"] == "disabled");
  CHECK(status["config"]["original"].get<std::string>().find("receiver: r\n") !=
        std::string::npos);
  CHECK(status["uptime"] == "2023-11-14T22:13:20.000Z");
}

TEST_CASE("JSON text is escaped as Go does, whatever its bytes") {
  std::string out;
  AppendJsonString("a\"\\\n\x01<\xc3\xa9\xff\xe2\x80\xa8", &out);
  CHECK(out == "\"a\\\"\\\\\\n\\u0001\\u003c\xc3\xa9\\ufffd\\u2028\"");
}

}  // namespace
}  // namespace narthex::alertmanager
