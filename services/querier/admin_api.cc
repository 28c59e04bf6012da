#include "services/querier/admin_api.h"

#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "services/querier/params.h"

namespace narthex::querier {
namespace {

absl::Status DeleteSeries(cluster::IngesterQueryable& ingesters,
                          const http::Request& request, Answer* answer) {
  if (!request.params.Has("match[]")) {
    return absl::InvalidArgumentError("no match[] parameter provided");
  }
  NARTHEX_ASSIGN_OR_RETURN(const storage::TimeRange range,
                           RangeParams(request.params));
  const auto sets = MatchParams(request.params);
  if (!sets.ok()) return InvalidParam("match[]", sets.status().message());
  NARTHEX_RETURN_IF_ERROR(ingesters.DeleteSeries(range, *sets));
  answer->NoData();
  return absl::OkStatus();
}

absl::Status CleanTombstones(cluster::IngesterQueryable& ingesters,
                             const http::Request&, Answer* answer) {
  NARTHEX_RETURN_IF_ERROR(ingesters.CleanTombstones());
  answer->NoData();
  return absl::OkStatus();
}

absl::Status Snapshot(cluster::IngesterQueryable& ingesters,
                      const http::Request& request, Answer* answer) {
  const std::string text =
      absl::AsciiStrToLower(request.params.Get("skip_head"));
  const bool skip_head = text == "1" || text == "t" || text == "true";
  const bool keep_head =
      text.empty() || text == "0" || text == "f" || text == "false";
  if (!skip_head && !keep_head) {
    return InvalidParam(
        "skip_head",
        absl::StrCat("unable to parse boolean: strconv.ParseBool: parsing ",
                     base::Quote(text), ": invalid syntax"));
  }
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                           ingesters.Snapshot(skip_head));
  answer->data()
      .BeginObject()
      .Key("name")
      .String(absl::StrJoin(names, ","))
      .EndObject();
  return absl::OkStatus();
}

}  // namespace

void AddAdminRoutes(ApiRoutes& routes, cluster::IngesterQueryable& ingesters,
                    bool enabled, base::Logger log) {
  const auto add = [&](absl::string_view path, auto function) {
    routes.Add("POST PUT", path,
               [&ingesters, enabled, log, function](
                   const http::Request& request, Answer* answer) {
                 if (!enabled) {
                   return absl::PermissionDeniedError("admin APIs disabled");
                 }
                 log.Info("admin request",
                          {{"path", request.path},
                           {"query", request.raw_query},
                           {"client", request.remote_address}});
                 return function(ingesters, request, answer);
               });
  };
  add("/admin/tsdb/delete_series", DeleteSeries);
  add("/admin/tsdb/clean_tombstones", CleanTombstones);
  add("/admin/tsdb/snapshot", Snapshot);
}

}  // namespace narthex::querier
