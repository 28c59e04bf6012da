#include "libs/tsdb/retention.h"

#include <algorithm>
#include <iterator>

#include "libs/base/status.h"

namespace narthex::tsdb {
namespace {

bool IsReached(std::int64_t time_ms, std::int64_t age_ms) {
  return time_ms > 0 && age_ms >= time_ms;
}

absl::StatusOr<Postings> SeriesOf(const PostingsSource& index,
                                  const RetentionRule& rule) {
  std::vector<Postings> lists;
  for (const auto& matchers : rule.matcher_sets) {
    NARTHEX_ASSIGN_OR_RETURN(Postings list,
                             PostingsForMatchers(index, matchers));
    lists.push_back(std::move(list));
  }
  return Merge({lists.begin(), lists.end()});
}

}  // namespace

std::int64_t LongestTime(const Retention& retention) {
  std::int64_t longest = retention.time_ms;
  for (const RetentionRule& rule : retention.rules) {
    if (longest == 0 || rule.time_ms == 0) return 0;
    longest = std::max(longest, rule.time_ms);
  }
  return longest;
}

std::int64_t ReachedTime(const Retention& retention, std::int64_t age_ms) {
  std::int64_t reached = 0;
  const auto consider = [&](std::int64_t time_ms) {
    if (IsReached(time_ms, age_ms)) reached = std::max(reached, time_ms);
  };
  consider(retention.time_ms);
  for (const RetentionRule& rule : retention.rules) consider(rule.time_ms);
  return reached;
}

absl::StatusOr<Postings> SeriesBeyondRetention(const PostingsSource& index,
                                               const Retention& retention,
                                               std::int64_t age_ms) {
  NARTHEX_ASSIGN_OR_RETURN(const PostingsView all, index.All());
  Postings undecided;
  all.AppendTo(&undecided);
  Postings beyond;
  const auto add = [&beyond](const Postings& more) {
    beyond = Merge({PostingsView(beyond), PostingsView(more)});
  };
  for (const RetentionRule& rule : retention.rules) {
    NARTHEX_ASSIGN_OR_RETURN(const Postings matching, SeriesOf(index, rule));
    if (IsReached(rule.time_ms, age_ms)) {
      add(Intersect({PostingsView(matching), PostingsView(undecided)}));
    }
    Subtract(matching, &undecided);
  }
  if (IsReached(retention.time_ms, age_ms)) add(undecided);
  return beyond;
}

}  // namespace narthex::tsdb
