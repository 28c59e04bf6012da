#include <algorithm>

#include "libs/promql/ast.h"

namespace narthex::promql {
namespace {

using Types = std::vector<ValueType>;

constexpr ValueType kScalar = ValueType::kScalar;
constexpr ValueType kText = ValueType::kString;
constexpr ValueType kVector = ValueType::kVector;
constexpr ValueType kMatrix = ValueType::kMatrix;
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
      {"clamp", {kVector, kScalar, kScalar}, 0, kVector},
      {"clamp_max", {kVector, kScalar}, 0, kVector},
      {"clamp_min", {kVector, kScalar}, 0, kVector},
      {"double_exponential_smoothing",
       {kMatrix, kScalar, kScalar},
       0,
       kVector,
       kExperimental},
      {"end", {}, 0, kScalar, kExperimental},
      {"histogram_fraction", {kScalar, kScalar, kVector}, 0, kVector},
      {"histogram_quantile", {kScalar, kVector}, 0, kVector},
      {"histogram_quantiles",
       {kVector, kText, kScalar, kScalar},
       9,
       kVector,
       kExperimental},
      {"info", {kVector, kVector}, 1, kVector, kExperimental},
      {"label_join", {kVector, kText, kText, kText}, -1, kVector},
      {"label_replace", {kVector, kText, kText, kText, kText}, 0, kVector},
      {"max_of", {kScalar, kScalar}, 0, kScalar, kExperimental},
      {"min_of", {kScalar, kScalar}, 0, kScalar, kExperimental},
      {"pi", {}, 0, kScalar},
      {"predict_linear", {kMatrix, kScalar}, 0, kVector},
      {"quantile_over_time", {kScalar, kMatrix}, 0, kVector},
      {"range", {}, 0, kScalar, kExperimental},
      {"round", {kVector, kScalar}, 1, kVector},
      {"scalar", {kVector}, 0, kScalar},
      {"sort_by_label", {kVector, kText}, -1, kVector, kExperimental},
      {"sort_by_label_desc", {kVector, kText}, -1, kVector, kExperimental},
      {"start", {}, 0, kScalar, kExperimental},
      {"start_timestamp", {kVector}, 0, kVector, kExperimental},
      {"step", {}, 0, kScalar, kExperimental},
      {"time", {}, 0, kScalar},
      {"vector", {kScalar}, 0, kVector},
  };
  for (const absl::string_view name : kOfVector) {
    all.push_back({name, {kVector}, 0, kVector, false});
  }
  for (const absl::string_view name : kOfRange) {
    all.push_back({name, {kMatrix}, 0, kVector, false});
  }
  for (const absl::string_view name : kExperimentalOfRange) {
    all.push_back({name, {kMatrix}, 0, kVector, kExperimental});
  }
  for (const absl::string_view name : kOfTime) {
    all.push_back({name, {kVector}, 1, kVector, false});
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
