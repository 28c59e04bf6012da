#include "services/querier/query_run.h"

#include <memory>
#include <utility>

namespace narthex::querier {
namespace {

// Counts a query while it runs.
class Counted {
 public:
  explicit Counted(Metrics& metrics) : metrics_(metrics) {
    metrics_.queries.Add(1);
  }
  ~Counted() { metrics_.queries.Add(-1); }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  Metrics& metrics_;
};

void Log(QueryContext& context, const QueryCall& call,
         const absl::StatusOr<promql::QueryResult>& result,
         std::int64_t took_ns) {
  // What is no query at all is not logged.
  if (absl::IsInvalidArgument(result.status())) return;
  const promql::QueryStats stats =
      result.ok() ? result->stats : promql::QueryStats();
  const std::string error(result.status().message());
  context.log.Write({std::string(call.expression), call.start_ms, call.end_ms,
                     call.step_ms, call.origin, stats, error});
  if (context.slow_ms == 0 || took_ns < context.slow_ms * 1'000'000) return;
  context.metrics.slow_queries.Inc();
  context.logger.Warn("slow query",
                      {{"query", call.expression},
                       {"seconds", static_cast<double>(took_ns) / 1e9},
                       {"start_ms", call.start_ms},
                       {"end_ms", call.end_ms},
                       {"step_ms", call.step_ms},
                       {"series", stats.series_read},
                       {"samples", stats.samples_read},
                       {"origin", call.origin.Text()},
                       {"err", error}});
}

}  // namespace

absl::StatusOr<promql::QueryResult> RunQuery(QueryContext& context,
                                             QueryCall call) {
  const Counted counted(context.metrics);
  service::HangupWatch::Scope watch(context.hangups, call.is_cancelled);
  promql::QueryProgress progress;
  const RunningQueries::Scope listed(
      context.running,
      {0, std::string(call.expression), 0, call.start_ms, call.end_ms,
       call.step_ms, call.origin.Text()},
      progress, [&watch] { watch.Cancel(); });
  if (context.active != nullptr) {
    // There are as many places as turns.
    call.options.on_turn = [&context, &call] {
      return std::make_shared<ActiveQueries::Scope>(
          context.active, call.expression, context.clock.NowMs() / 1000);
    };
  }
  call.options.cancelled = &watch.cancelled();
  call.options.progress = &progress;
  call.options.fragments = context.fragments;
  call.options.default_subquery_step_ms = context.subquery_step_ms;

  const std::int64_t begin_ns = context.clock.MonotonicNs();
  auto result = call.step_ms == 0
                    ? context.engine.Instant(context.storage, call.expression,
                                             call.start_ms, call.options)
                    : context.engine.Range(context.storage, call.expression,
                                           call.start_ms, call.end_ms,
                                           call.step_ms, call.options);
  if (result.ok()) context.metrics.Observe(result->stats);
  Log(context, call, result, context.clock.MonotonicNs() - begin_ns);
  return result;
}

}  // namespace narthex::querier
