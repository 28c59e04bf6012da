#include <algorithm>

#include "libs/promql/ast.h"

namespace narthex::promql {
namespace {

using Types = std::vector<ValueType>;

constexpr ValueType S = ValueType::kScalar;
constexpr ValueType T = ValueType::kString;
constexpr ValueType V = ValueType::kVector;
constexpr ValueType M = ValueType::kMatrix;
constexpr bool kExperimental = true;

// Most functions share a few shapes; the others are listed one by one.
constexpr absl::string_view kOfVector[] = {"abs",
                                           "absent",
                                           "acos",
                                           "acosh",
                                           "asin",
                                           "asinh",
                                           "atan",
                                           "atanh",
                                           "ceil",
                                           "cos",
                                           "cosh",
                                           "deg",
                                           "exp",
                                           "floor",
                                           "histogram_avg",
                                           "histogram_count",
                                           "histogram_stddev",
                                           "histogram_stdvar",
                                           "histogram_sum",
                                           "ln",
                                           "log10",
                                           "log2",
                                           "rad",
                                           "sgn",
                                           "sin",
                                           "sinh",
                                           "sort",
                                           "sort_desc",
                                           "sqrt",
                                           "tan",
                                           "tanh",
                                           "timestamp"};

constexpr absl::string_view kOfRange[] = {"absent_over_time",
                                          "avg_over_time",
                                          "changes",
                                          "count_over_time",
                                          "delta",
                                          "deriv",
                                          "first_over_time",
                                          "idelta",
                                          "increase",
                                          "irate",
                                          "last_over_time",
                                          "max_over_time",
                                          "min_over_time",
                                          "present_over_time",
                                          "rate",
                                          "resets",
                                          "stddev_over_time",
                                          "stdvar_over_time",
                                          "sum_over_time"};

constexpr absl::string_view kExperimentalOfRange[] = {
    "mad_over_time", "ts_of_first_over_time", "ts_of_last_over_time",
    "ts_of_max_over_time", "ts_of_min_over_time"};

// Without an argument they take the evaluation time.
constexpr absl::string_view kOfTime[] = {
    "day_of_month", "day_of_week", "day_of_year", "days_in_month",
    "hour",         "minute",      "month",       "year"};

std::vector<Function> MakeFunctions() {
  std::vector<Function> all = {
      {"clamp", {V, S, S}, 0, V},
      {"clamp_max", {V, S}, 0, V},
      {"clamp_min", {V, S}, 0, V},
      {"double_exponential_smoothing", {M, S, S}, 0, V, kExperimental},
      {"end", {}, 0, S, kExperimental},
      {"histogram_fraction", {S, S, V}, 0, V},
      {"histogram_quantile", {S, V}, 0, V},
      {"histogram_quantiles", {V, T, S, S}, 9, V, kExperimental},
      {"info", {V, V}, 1, V, kExperimental},
      {"label_join", {V, T, T, T}, -1, V},
      {"label_replace", {V, T, T, T, T}, 0, V},
      {"max_of", {S, S}, 0, S, kExperimental},
      {"min_of", {S, S}, 0, S, kExperimental},
      {"pi", {}, 0, S},
      {"predict_linear", {M, S}, 0, V},
      {"quantile_over_time", {S, M}, 0, V},
      {"range", {}, 0, S, kExperimental},
      {"round", {V, S}, 1, V},
      {"scalar", {V}, 0, S},
      {"sort_by_label", {V, T}, -1, V, kExperimental},
      {"sort_by_label_desc", {V, T}, -1, V, kExperimental},
      {"start", {}, 0, S, kExperimental},
      {"start_timestamp", {V}, 0, V, kExperimental},
      {"step", {}, 0, S, kExperimental},
      {"time", {}, 0, S},
      {"vector", {S}, 0, V},
  };
  for (const absl::string_view name : kOfVector) {
    all.push_back({name, {V}, 0, V, false});
  }
  for (const absl::string_view name : kOfRange) {
    all.push_back({name, {M}, 0, V, false});
  }
  for (const absl::string_view name : kExperimentalOfRange) {
    all.push_back({name, {M}, 0, V, kExperimental});
  }
  for (const absl::string_view name : kOfTime) {
    all.push_back({name, {V}, 1, V, false});
  }
  std::sort(all.begin(), all.end(), [](const Function& a, const Function& b) {
    return a.name < b.name;
  });
  return all;
}

}  // namespace

const std::vector<Function>& AllFunctions() {
  static const auto* const functions =
      new std::vector<Function>(MakeFunctions());
  return *functions;
}

const Function* FindFunction(absl::string_view name) {
  const std::vector<Function>& all = AllFunctions();
  const auto it = std::lower_bound(
      all.begin(), all.end(), name,
      [](const Function& f, absl::string_view n) { return f.name < n; });
  return it != all.end() && it->name == name ? &*it : nullptr;
}

}  // namespace narthex::promql
