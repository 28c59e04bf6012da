#include "services/querier/exemplars_api.h"

#include <string>

#include "libs/base/status.h"
#include "services/querier/params.h"

namespace narthex::querier {
namespace {

void CollectSelectors(const promql::Expr& expr, MatcherSets* sets) {
  if (expr.kind == promql::ExprKind::kVectorSelector) {
    sets->push_back(expr.As<promql::VectorSelector>().matchers);
  }
  for (const promql::Expr* child : promql::Children(expr)) {
    CollectSelectors(*child, sets);
  }
}

void AppendExemplar(const model::Exemplar& exemplar, std::string* out) {
  out->append("{\"labels\":");
  AppendJsonLabels(exemplar.labels, out);
  out->append(",\"value\":");
  AppendJsonValue(exemplar.value, out);
  out->append(",\"timestamp\":");
  AppendJsonTime(exemplar.timestamp_ms, out);
  out->push_back('}');
}

absl::Status QueryExemplars(cluster::IngesterQueryable& ingesters,
                            const promql::ParserOptions& parser,
                            const http::Request& request, Answer* answer) {
  NARTHEX_ASSIGN_OR_RETURN(const storage::TimeRange range,
                           RangeParams(request.params));
  if (range.max_ms < range.min_ms) {
    return absl::InvalidArgumentError(
        "end timestamp must not be before start timestamp");
  }
  NARTHEX_ASSIGN_OR_RETURN(const promql::ExprPtr expr,
                           promql::Parse(request.params.Get("query"), parser));
  MatcherSets sets;
  CollectSelectors(*expr, &sets);
  if (sets.empty()) {
    answer->NoData();
    return absl::OkStatus();
  }
  NARTHEX_ASSIGN_OR_RETURN(const auto found, ingesters.Exemplars(range, sets));
  JsonWriter& json = answer->data().BeginArray();
  for (const cluster::IngesterQueryable::SeriesExemplars& series : found) {
    std::string* const out = json.Raw();
    out->append("{\"seriesLabels\":");
    AppendJsonLabels(series.labels, out);
    out->append(",\"exemplars\":[");
    for (std::size_t i = 0; i < series.exemplars.size(); ++i) {
      if (i != 0) out->push_back(',');
      AppendExemplar(series.exemplars[i], out);
    }
    out->append("]}");
    NARTHEX_RETURN_IF_ERROR(answer->Flush());
  }
  json.EndArray();
  return absl::OkStatus();
}

}  // namespace

void AddExemplarRoutes(ApiRoutes& routes, cluster::IngesterQueryable& ingesters,
                       const promql::ParserOptions& parser) {
  routes.Add(
      "GET POST", "/query_exemplars",
      [&ingesters, parser](const http::Request& request, Answer* answer) {
        return QueryExemplars(ingesters, parser, request, answer);
      });
}

}  // namespace narthex::querier
