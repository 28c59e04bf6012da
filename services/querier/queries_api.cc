#include "services/querier/queries_api.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace narthex::querier {
namespace {

absl::Status List(const RunningQueries& running,
                  cluster::IngesterQueryable& ingesters, Answer* answer) {
  JsonWriter& json = answer->data().BeginArray();
  const std::vector<RunningQueries::Info> queries = running.List();
  std::map<std::string, cluster::IngesterQueryable::FragmentCost> elsewhere;
  if (!queries.empty()) elsewhere = ingesters.RunningFragments();
  for (const RunningQueries::Info& info : queries) {
    const auto& fragments = elsewhere[info.fragments_id];
    json.BeginObject()
        .Key("id")
        .String(absl::StrCat(info.id))
        .Key("query")
        .String(info.query)
        .Key("origin")
        .String(info.origin)
        .Key("since")
        .Time(info.begin_ms)
        .Key("seconds")
        .Double(info.seconds)
        .Key("start")
        .Time(info.start_ms)
        .Key("end")
        .Time(info.end_ms)
        .Key("step")
        .Double(static_cast<double>(info.step_ms) / 1000)
        .Key("samplesRead")
        .Int(info.samples + fragments.samples)
        .Key("seriesRead")
        .Int(info.series + fragments.series)
        .Key("columnsReceived")
        .Int(info.columns)
        .Key("bytesHeld")
        .Int(info.bytes + fragments.bytes)
        .EndObject();
  }
  json.EndArray();
  return absl::OkStatus();
}

absl::Status Cancel(RunningQueries& running, bool may_cancel,
                    const http::Request& request, Answer* answer) {
  if (!may_cancel) return absl::PermissionDeniedError("admin APIs disabled");
  const absl::string_view text = request.PathParam("id");
  std::uint64_t id = 0;
  if (!absl::SimpleAtoi(text, &id) || !running.Cancel(id)) {
    return absl::NotFoundError(
        absl::StrCat("no query with id ", text, " is running"));
  }
  answer->NoData();
  return absl::OkStatus();
}

}  // namespace

void AddQueriesRoutes(ApiRoutes& routes, RunningQueries& running,
                      cluster::IngesterQueryable& ingesters, bool may_cancel) {
  routes.Add("GET", "/status/queries",
             [&running, &ingesters](const http::Request&, Answer* answer) {
               return List(running, ingesters, answer);
             });
  routes.Add(
      "DELETE", "/status/queries/{id}",
      [&running, may_cancel](const http::Request& request, Answer* answer) {
        return Cancel(running, may_cancel, request, answer);
      });
}

}  // namespace narthex::querier
