#include "services/querier/queries_api.h"

#include <cstdint>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace narthex::querier {
namespace {

absl::Status List(const RunningQueries& running, Answer* answer) {
  JsonWriter& json = answer->data().BeginArray();
  for (const RunningQueries::Info& info : running.List()) {
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
        .Int(info.samples)
        .Key("columnsReceived")
        .Int(info.columns)
        .Key("bytesHeld")
        .Int(info.bytes)
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
                      bool may_cancel) {
  routes.Add("GET", "/status/queries",
             [&running](const http::Request&, Answer* answer) {
               return List(running, answer);
             });
  routes.Add(
      "DELETE", "/status/queries/{id}",
      [&running, may_cancel](const http::Request& request, Answer* answer) {
        return Cancel(running, may_cancel, request, answer);
      });
}

}  // namespace narthex::querier
