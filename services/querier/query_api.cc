#include "services/querier/query_api.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/promql/parser.h"
#include "services/querier/ast_json.h"
#include "services/querier/params.h"
#include "services/querier/result_json.h"

namespace narthex::querier {
namespace {

constexpr std::size_t kMaxAnnotations = 10;
constexpr std::int64_t kMaxSteps = 11'000;

bool IsTrue(absl::string_view text) {
  return text == "1" || text == "true" || text == "all";
}

absl::StatusOr<promql::QueryOptions> ReadOptions(const QueryContext& context,
                                                 const http::Params& params) {
  promql::QueryOptions options;
  options.max_annotations = kMaxAnnotations;
  options.explain = IsTrue(params.Get("explain"));
  options.propagate_matchers = params.Get("stats").empty();
  options.per_step_stats =
      context.per_step_stats && params.Get("stats") == "all";
  if (const absl::string_view text = params.Get("timeout"); !text.empty()) {
    const auto timeout = ParseDurationNs(text);
    if (!timeout.ok()) {
      return InvalidParam("timeout", timeout.status().message());
    }
    options.timeout_ms = std::max<std::int64_t>(*timeout / 1'000'000, 1);
  }
  if (const absl::string_view text = params.Get("lookback_delta");
      !text.empty()) {
    const auto lookback = ParseDurationNs(text);
    if (!lookback.ok()) {
      return base::Annotate(lookback.status(),
                            "error parsing lookback delta duration");
    }
    options.lookback_delta_ms = *lookback / 1'000'000;
  }
  return options;
}

template <typename Item>
void Truncate(std::size_t limit, std::vector<Item>* items, Answer* answer) {
  if (limit == 0 || items->size() <= limit) return;
  items->resize(limit);
  answer->warnings.push_back("results truncated due to limit");
}

absl::Status Respond(absl::StatusOr<promql::QueryResult> result,
                     std::size_t limit, const http::Request& request,
                     Answer* answer) {
  if (!result.ok()) {
    if (absl::IsInvalidArgument(result.status())) {
      return InvalidParam("query", result.status().message());
    }
    return result.status();
  }
  answer->warnings = std::move(result->warnings);
  answer->infos = std::move(result->infos);
  Truncate(limit, &result->value.vector, answer);
  Truncate(limit, &result->value.matrix, answer);
  const absl::string_view stats = request.params.Get("stats");
  if (!stats.empty() && stats != "true" && stats != "all") {
    answer->warnings.push_back(absl::StrCat(
        "value ", base::Quote(stats),
        " for parameter \"stats\" is deprecated and will be rejected in the "
        "next major release, use \"true\" or \"all\""));
  }
  return WriteResult(*result, !stats.empty(), answer);
}

QueryOrigin OriginOf(const http::Request& request) {
  QueryOrigin origin;
  origin.client_ip =
      request.remote_address.substr(0, request.remote_address.rfind(':'));
  origin.method = request.method;
  origin.path = request.path;
  return origin;
}

absl::Status Query(QueryContext& context, const http::Request& request,
                   Answer* answer) {
  NARTHEX_ASSIGN_OR_RETURN(const std::size_t limit, LimitParam(request.params));
  NARTHEX_ASSIGN_OR_RETURN(
      const std::int64_t time_ms,
      TimeParam(request.params, "time", context.clock.NowMs()));
  NARTHEX_ASSIGN_OR_RETURN(const promql::QueryOptions options,
                           ReadOptions(context, request.params));
  return Respond(
      RunQuery(context, {request.params.Get("query"), time_ms, time_ms, 0,
                         options, OriginOf(request), request.is_cancelled}),
      limit, request, answer);
}

struct Steps {
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 0;
  std::int64_t step_ms = 0;
};

absl::StatusOr<Steps> ReadSteps(const http::Params& params) {
  Steps steps;
  const auto start = ParseTime(params.Get("start"));
  if (!start.ok()) return InvalidParam("start", start.status().message());
  const auto end = ParseTime(params.Get("end"));
  if (!end.ok()) return InvalidParam("end", end.status().message());
  if (*end < *start) {
    return InvalidParam("end", "end timestamp must not be before start time");
  }
  const auto step_ns = ParseDurationNs(params.Get("step"));
  if (!step_ns.ok()) return InvalidParam("step", step_ns.status().message());
  steps = {*start, *end, *step_ns / 1'000'000};
  if (steps.step_ms <= 0) {
    return InvalidParam("step",
                        "zero or negative query resolution step widths are "
                        "not accepted. Try a positive integer");
  }
  // Unsigned, since the whole of time does not fit 63 bits.
  const auto range =
      static_cast<std::uint64_t>(*end) - static_cast<std::uint64_t>(*start);
  if (range / static_cast<std::uint64_t>(steps.step_ms) > kMaxSteps) {
    return absl::InvalidArgumentError(
        "exceeded maximum resolution of 11,000 points per timeseries. Try "
        "decreasing the query resolution (?step=XX)");
  }
  return steps;
}

absl::Status QueryRange(QueryContext& context, const http::Request& request,
                        Answer* answer) {
  NARTHEX_ASSIGN_OR_RETURN(const std::size_t limit, LimitParam(request.params));
  NARTHEX_ASSIGN_OR_RETURN(const Steps steps, ReadSteps(request.params));
  NARTHEX_ASSIGN_OR_RETURN(const promql::QueryOptions options,
                           ReadOptions(context, request.params));
  return Respond(RunQuery(context, {request.params.Get("query"), steps.start_ms,
                                    steps.end_ms, steps.step_ms, options,
                                    OriginOf(request), request.is_cancelled}),
                 limit, request, answer);
}

absl::StatusOr<promql::ExprPtr> ParseParam(const QueryContext& context,
                                           const http::Params& params) {
  auto expr =
      promql::Parse(params.Get("query"), context.engine.options().parser);
  if (!expr.ok()) return InvalidParam("query", expr.status().message());
  return expr;
}

absl::Status FormatQuery(const QueryContext& context,
                         const http::Request& request, Answer* answer) {
  NARTHEX_ASSIGN_OR_RETURN(const promql::ExprPtr expr,
                           ParseParam(context, request.params));
  answer->data().String(promql::Pretty(*expr));
  return absl::OkStatus();
}

absl::Status ParseQuery(const QueryContext& context,
                        const http::Request& request, Answer* answer) {
  NARTHEX_ASSIGN_OR_RETURN(const promql::ExprPtr expr,
                           ParseParam(context, request.params));
  WriteTree(*expr, &answer->data());
  return absl::OkStatus();
}

}  // namespace

void AddQueryRoutes(ApiRoutes& routes, QueryContext& context) {
  const auto add = [&](absl::string_view path, auto function) {
    routes.Add(
        "GET POST", path,
        [&context, function](const http::Request& request, Answer* answer) {
          return function(context, request, answer);
        });
  };
  add("/query", Query);
  add("/query_range", QueryRange);
  add("/format_query", FormatQuery);
  add("/parse_query", ParseQuery);
}

}  // namespace narthex::querier
