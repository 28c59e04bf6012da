#include "services/querier/series_api.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/model/labels.h"
#include "libs/model/name_escaping.h"

namespace narthex::querier {
namespace {

constexpr char kTruncated[] = "results truncated due to limit";

// One more than is given out tells whether something was left out.
std::size_t AskLimit(std::size_t limit) { return limit == 0 ? 0 : limit + 1; }

void Truncate(std::size_t limit, std::vector<std::string>* texts,
              Answer* answer) {
  if (limit == 0 || texts->size() <= limit) return;
  texts->resize(limit);
  answer->warnings.push_back(kTruncated);
}

// A storage that cannot say is an error of the execution, as upstream.
absl::Status ExecutionError(const absl::Status& status) {
  if (absl::IsUnavailable(status) || absl::IsCancelled(status) ||
      absl::IsDeadlineExceeded(status)) {
    return status;
  }
  return absl::FailedPreconditionError(status.message());
}

absl::Status LabelNames(const SeriesSource& source,
                        const http::Request& request, Answer* answer) {
  NARTHEX_ASSIGN_OR_RETURN(const std::size_t limit, LimitParam(request.params));
  NARTHEX_ASSIGN_OR_RETURN(const storage::TimeRange range,
                           RangeParams(request.params));
  NARTHEX_ASSIGN_OR_RETURN(const MatcherSets sets, MatchParams(request.params));
  auto names = source.queryable->LabelNames(range, sets, AskLimit(limit));
  if (!names.ok()) return ExecutionError(names.status());
  Truncate(limit, &*names, answer);
  answer->data().Strings(*names);
  return absl::OkStatus();
}

absl::Status LabelValues(const SeriesSource& source,
                         const http::Request& request, Answer* answer) {
  const std::string name = model::UnescapeName(request.PathParam("name"));
  if (!model::IsUtf8Name(name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("invalid label name: ", base::Quote(name)));
  }
  NARTHEX_ASSIGN_OR_RETURN(const std::size_t limit, LimitParam(request.params));
  NARTHEX_ASSIGN_OR_RETURN(const storage::TimeRange range,
                           RangeParams(request.params));
  NARTHEX_ASSIGN_OR_RETURN(const MatcherSets sets, MatchParams(request.params));
  auto values =
      source.queryable->LabelValues(name, range, sets, AskLimit(limit));
  if (!values.ok()) return ExecutionError(values.status());
  Truncate(limit, &*values, answer);
  answer->data().Strings(*values);
  return absl::OkStatus();
}

// Pairs are made JSON once, and what a series shares with the one before it
// is copied from there.
absl::Status WriteTable(const storage::LabelTable& table, Answer* answer) {
  std::vector<std::string> pairs(table.pair_count());
  std::string object = "{";
  std::vector<std::size_t> ends;  // Of the pairs in `object`.
  JsonWriter& json = answer->data().BeginArray();
  for (std::size_t i = 0; i < table.size(); ++i) {
    const storage::LabelTable::Row row = table.row(i);
    const std::size_t shared = table.SharedWithPrevious(i);
    ends.resize(shared);
    object.resize(shared == 0 ? 1 : ends.back());
    for (const auto number : row.subspan(shared)) {
      std::string& pair = pairs[number];
      if (pair.empty()) AppendJsonPair(table.pair(number), &pair);
      if (object.size() > 1) object.push_back(',');
      object += pair;
      ends.push_back(object.size());
    }
    json.Raw()->append(object).push_back('}');
    NARTHEX_RETURN_IF_ERROR(answer->Flush());
  }
  json.EndArray();
  return absl::OkStatus();
}

absl::Status Series(const SeriesSource& source, const http::Request& request,
                    Answer* answer) {
  if (!request.params.Has("match[]")) {
    return absl::InvalidArgumentError("no match[] parameter provided");
  }
  NARTHEX_ASSIGN_OR_RETURN(const std::size_t limit, LimitParam(request.params));
  NARTHEX_ASSIGN_OR_RETURN(const storage::TimeRange range,
                           RangeParams(request.params));
  const auto sets = MatchParams(request.params);
  if (!sets.ok()) return InvalidParam("match[]", sets.status().message());
  auto series = source.series_labels(range, *sets, AskLimit(limit));
  if (!series.ok()) return ExecutionError(series.status());
  if (limit > 0 && series->size() > limit) {
    series->Truncate(limit);
    answer->warnings.push_back(kTruncated);
  }
  return WriteTable(*series, answer);
}

}  // namespace

void AddSeriesRoutes(ApiRoutes& routes, SeriesSource source) {
  routes.Add("GET POST", "/series",
             [source](const http::Request& request, Answer* answer) {
               return Series(source, request, answer);
             });
  routes.Add("GET POST", "/labels",
             [source](const http::Request& request, Answer* answer) {
               return LabelNames(source, request, answer);
             });
  routes.Add("GET", "/label/{name}/values",
             [source](const http::Request& request, Answer* answer) {
               return LabelValues(source, request, answer);
             });
}

}  // namespace narthex::querier
