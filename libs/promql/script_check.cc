#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/float_format.h"
#include "libs/model/histogram_arithmetic.h"
#include "libs/promql/histogram_description.h"
#include "libs/promql/script.h"
#include "re2/re2.h"

namespace narthex::promql {
namespace {

/// Equal as the scripts mean it: to a millionth.
bool AlmostEqual(double a, double b) {
  constexpr double kTolerance = 1e-6;
  constexpr double kMinNormal = std::numeric_limits<double>::min();
  if (model::IsStaleNan(a) || model::IsStaleNan(b)) {
    return model::IsStaleNan(a) && model::IsStaleNan(b);
  }
  if (std::isnan(a) && std::isnan(b)) return true;
  if (a == b) return true;
  const double sum = std::fabs(a) + std::fabs(b);
  const double difference = std::fabs(a - b);
  if (a == 0 || b == 0 || sum < kMinNormal) {
    return difference < kTolerance * kMinNormal;
  }
  return difference / std::min(sum, std::numeric_limits<double>::max()) <
         kTolerance;
}

std::string Text(double value, const model::HistogramPtr& histogram) {
  return histogram != nullptr ? DescribeHistogram(*histogram)
                              : base::FormatFloat(value);
}

std::string Text(const VectorSample& sample) {
  return absl::StrCat(sample.labels.ToString(), " ",
                      Text(sample.value, sample.histogram));
}

bool AlmostEqual(const std::vector<double>& a, const std::vector<double>& b) {
  return std::equal(
      a.begin(), a.end(), b.begin(), b.end(),
      [](double left, double right) { return AlmostEqual(left, right); });
}

/// Both compacted.
bool AlmostEqual(model::FloatHistogram a, model::FloatHistogram b) {
  model::Compact(&a);
  model::Compact(&b);
  return a.schema == b.schema && AlmostEqual(a.count, b.count) &&
         AlmostEqual(a.sum, b.sum) && a.zero_threshold == b.zero_threshold &&
         AlmostEqual(a.zero_count, b.zero_count) &&
         a.custom_bounds == b.custom_bounds &&
         a.positive_spans == b.positive_spans &&
         a.negative_spans == b.negative_spans &&
         AlmostEqual(a.positive_buckets, b.positive_buckets) &&
         AlmostEqual(a.negative_buckets, b.negative_buckets);
}

/// Whether a value, a float unless there is a histogram, is what is expected.
bool IsExpected(const SequenceValue& expected, double value,
                const model::HistogramPtr& histogram) {
  const bool is_histogram = expected.kind == SequenceValue::Kind::kHistogram;
  if (is_histogram != (histogram != nullptr)) return false;
  if (!is_histogram) return AlmostEqual(expected.value, value);
  if (expected.names_counter_reset &&
      expected.histogram->counter_reset != histogram->counter_reset) {
    return false;
  }
  return AlmostEqual(*expected.histogram, *histogram);
}

std::string CompareVector(const EvalCommand& eval,
                          const std::vector<VectorSample>& actual) {
  std::map<model::Labels, const VectorSample*> found;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (!found.emplace(actual[i].labels, &actual[i]).second) {
      return absl::StrCat("repeated ", actual[i].labels.ToString());
    }
    if (eval.ordered && (i >= eval.series.size() ||
                         !(eval.series[i].labels == actual[i].labels))) {
      return absl::StrCat("out of order: ", actual[i].labels.ToString());
    }
  }
  for (const SeriesDescription& expected : eval.series) {
    const auto it = found.find(expected.labels);
    if (it == found.end()) {
      return absl::StrCat("missing ", expected.labels.ToString());
    }
    if (expected.values.size() != 1) return "expects several values";
    const SequenceValue& value = expected.values[0];
    if (!IsExpected(value, it->second->value, it->second->histogram)) {
      return absl::StrCat("got ", Text(*it->second), ", expected ",
                          Text(value.value, value.histogram));
    }
    found.erase(it);
  }
  if (found.empty()) return "";
  return absl::StrCat("unexpected ", Text(*found.begin()->second));
}

std::string CompareSamples(const SeriesDescription& expected,
                           const StepGrid& grid,
                           const model::SampleColumns& actual) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < expected.values.size(); ++i) {
    const SequenceValue& value = expected.values[i];
    if (value.kind == SequenceValue::Kind::kOmitted) continue;
    if (at >= actual.size() || actual.timestamps_ms[at] != grid.At(i)) {
      return absl::StrCat("no value at ", grid.At(i));
    }
    const model::HistogramPtr histogram =
        actual.histograms.empty() ? nullptr : actual.histograms[at];
    if (!IsExpected(value, actual.values[at], histogram)) {
      return absl::StrCat("at ", grid.At(i), " got ",
                          Text(actual.values[at], histogram), ", expected ",
                          Text(value.value, value.histogram));
    }
    ++at;
  }
  if (at == actual.size()) return "";
  return absl::StrCat("unexpected value ", base::FormatFloat(actual.values[at]),
                      " at ", actual.timestamps_ms[at]);
}

std::string CompareMatrix(const EvalCommand& eval, const StepGrid& grid,
                          const std::vector<MatrixSeries>& actual) {
  std::map<model::Labels, const model::SampleColumns*> found;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (i > 0 && !(actual[i - 1].labels < actual[i].labels)) {
      return "series are not sorted by labels";
    }
    found[actual[i].labels] = &actual[i].samples;
  }
  for (const SeriesDescription& expected : eval.series) {
    const auto it = found.find(expected.labels);
    const bool empty = std::all_of(
        expected.values.begin(), expected.values.end(),
        [](const auto& v) { return v.kind == SequenceValue::Kind::kOmitted; });
    if (it == found.end()) {
      if (empty) continue;
      return absl::StrCat("missing ", expected.labels.ToString());
    }
    const std::string difference = CompareSamples(expected, grid, *it->second);
    if (!difference.empty()) {
      return absl::StrCat(expected.labels.ToString(), ": ", difference);
    }
    found.erase(it);
  }
  if (found.empty()) return "";
  return absl::StrCat("unexpected ", found.begin()->first.ToString());
}

std::string CompareAnnotations(absl::string_view what, bool none,
                               const std::vector<TextExpectation>& expected,
                               const std::vector<std::string>& actual) {
  if (none && !actual.empty()) {
    return absl::StrCat("unexpected ", what, " ", actual[0]);
  }
  if (expected.empty()) return "";
  for (const TextExpectation& expectation : expected) {
    if (std::none_of(actual.begin(), actual.end(), [&](const auto& text) {
          return expectation.Matches(text);
        })) {
      return absl::StrCat("no ", what, " like '", expectation.text, "' among [",
                          absl::StrJoin(actual, "; "), "]");
    }
  }
  for (const std::string& text : actual) {
    if (std::none_of(expected.begin(), expected.end(),
                     [&](const auto& expectation) {
                       return expectation.Matches(text);
                     })) {
      return absl::StrCat("unexpected ", what, " ", text);
    }
  }
  return "";
}

std::string CheckFailure(const EvalCommand& eval, const absl::Status& status) {
  if (!eval.fails) return absl::StrCat("failed: ", status.ToString());
  const std::string message(status.message());
  if (eval.failure.has_value() && !eval.failure->Matches(message)) {
    return absl::StrCat("fails with '", message, "' instead of '",
                        eval.failure->text, "'");
  }
  return "";
}

std::string CheckAnnotations(const EvalCommand& eval,
                             const QueryResult& result) {
  std::string difference = CompareAnnotations("warning", eval.no_warn,
                                              eval.warnings, result.warnings);
  if (difference.empty()) {
    difference =
        CompareAnnotations("info", eval.no_info, eval.infos, result.infos);
  }
  return difference;
}

std::string CompareInstant(const EvalCommand& eval, const Value& value) {
  if (eval.text.has_value()) {
    return value.text == *eval.text ? "" : absl::StrCat("got ", value.text);
  }
  switch (value.type) {
    case ValueType::kScalar:
      if (!eval.scalar.has_value()) return "got a scalar";
      return AlmostEqual(*eval.scalar, value.scalar)
                 ? ""
                 : absl::StrCat("got ", base::FormatFloat(value.scalar));
    case ValueType::kVector:
      if (eval.scalar.has_value()) return "got a vector";
      return CompareVector(eval, value.vector);
    case ValueType::kMatrix:
      if (!eval.matrix_grid.has_value()) return "got a matrix";
      return CompareMatrix(eval, *eval.matrix_grid, value.matrix);
    default:
      return "got a string";
  }
}

/// The values of a range query at one time, as an instant vector.
std::vector<VectorSample> VectorAt(const std::vector<MatrixSeries>& matrix,
                                   std::int64_t time_ms) {
  std::vector<VectorSample> vector;
  for (const MatrixSeries& series : matrix) {
    const auto& times = series.samples.timestamps_ms;
    const auto it = std::find(times.begin(), times.end(), time_ms);
    if (it == times.end()) continue;
    const auto at = static_cast<std::size_t>(it - times.begin());
    vector.push_back({series.labels, series.samples.values[at],
                      series.samples.histograms.empty()
                          ? nullptr
                          : series.samples.histograms[at]});
  }
  return vector;
}

/// The same query as a range around its time must give the same there.
std::string CheckAsRange(Engine& engine, storage::Queryable& storage,
                         const EvalCommand& eval, const std::string& query,
                         std::int64_t time_ms) {
  const auto result =
      engine.Range(storage, query, time_ms - 60'000, time_ms + 60'000, 60'000);
  if (!result.ok()) {
    if (eval.fails) return "";
    return absl::StrCat("as range: ", result.status().ToString());
  }
  EvalCommand unordered = eval;
  if (eval.scalar.has_value()) {
    const SequenceValue value{SequenceValue::Kind::kFloat, *eval.scalar};
    unordered.series.push_back({{}, {value}});
  }
  const std::string difference =
      CompareVector(unordered, VectorAt(result->value.matrix, time_ms));
  return difference.empty() ? "" : absl::StrCat("as range: ", difference);
}

/// Gives every selector and subquery without @ the time `at_ms`. False when the
/// expression depends on the time in another way.
bool FixTime(std::int64_t at_ms, Expr* expr) {
  static const re2::RE2 kUnsafe(
      "time|timestamp|days_in_month|day_of_month|day_of_week|day_of_year|hour|"
      "minute|month|predict_linear|year|start|end|range|step");
  const auto fix = [&](TimeModifiers* time) {
    if (time->at != TimeModifiers::At::kNone) return;
    time->at = TimeModifiers::At::kTimestamp;
    time->at_ms = at_ms;
  };
  if (expr->kind == ExprKind::kVectorSelector) {
    fix(&expr->As<VectorSelector>().time);
  } else if (expr->kind == ExprKind::kSubquery) {
    fix(&expr->As<SubqueryExpr>().time);
  } else if (expr->kind == ExprKind::kCall &&
             re2::RE2::FullMatch(std::string(expr->As<Call>().function->name),
                                 kUnsafe)) {
    return false;
  }
  // A subquery fixes what is inside; calls there still count.
  const bool inside_subquery = expr->kind == ExprKind::kSubquery;
  for (const Expr* child : Children(*expr)) {
    if (inside_subquery) {
      const ExprPtr scratch = Clone(*child);
      if (!FixTime(at_ms, scratch.get())) return false;
      continue;
    }
    if (!FixTime(at_ms, const_cast<Expr*>(child))) return false;
  }
  return true;
}

/// With all times fixed the query gives the same whenever it is evaluated.
std::string CheckInvariance(Engine& engine, storage::Queryable& storage,
                            const EvalCommand& eval, bool as_range) {
  auto expr = Parse(eval.query, engine.options().parser);
  if (!expr.ok() || !FixTime(eval.start_ms, expr->get())) return "";
  const std::string fixed = (*expr)->String();
  const std::int64_t t = eval.start_ms;
  std::vector<std::int64_t> times{-10 * t, 0, t / 5, t, 10 * t};
  if (t == 0) times = {-1000, 0, 1000};
  for (const std::int64_t time_ms : times) {
    const auto result = engine.Instant(storage, fixed, time_ms);
    std::string difference = !result.ok() ? CheckFailure(eval, result.status())
                             : eval.fails ? "does not fail"
                                          : CompareInstant(eval, result->value);
    if (difference.empty() && as_range && result.ok()) {
      difference = CheckAsRange(engine, storage, eval, fixed, time_ms);
    }
    if (!difference.empty()) {
      return absl::StrCat("as ", fixed, " at ", time_ms, ": ", difference);
    }
  }
  return "";
}

std::string CheckInstant(Engine& engine, storage::Queryable& storage,
                         const EvalCommand& eval) {
  const auto result = engine.Instant(storage, eval.query, eval.start_ms);
  if (!result.ok()) return CheckFailure(eval, result.status());
  if (eval.fails) return "does not fail";
  std::string difference = CheckAnnotations(eval, *result);
  if (difference.empty()) difference = CompareInstant(eval, result->value);
  if (!difference.empty()) return difference;
  const bool as_range = !eval.ordered && !eval.matrix_grid.has_value() &&
                        !eval.text.has_value() &&
                        !absl::StrContains(eval.query, "start()") &&
                        !absl::StrContains(eval.query, "end()") &&
                        !absl::StrContains(eval.query, "range()") &&
                        !absl::StrContains(eval.query, "step()");
  if (as_range) {
    difference = CheckAsRange(engine, storage, eval, eval.query, eval.start_ms);
  }
  if (!difference.empty() || eval.matrix_grid.has_value() ||
      eval.text.has_value()) {
    return difference;
  }
  return CheckInvariance(engine, storage, eval, as_range);
}

}  // namespace

std::string CheckEval(Engine& engine, storage::Queryable& storage,
                      const EvalCommand& eval) {
  if (!eval.is_range) return CheckInstant(engine, storage, eval);
  const auto result = engine.Range(storage, eval.query, eval.start_ms,
                                   eval.end_ms, eval.step_ms);
  if (!result.ok()) return CheckFailure(eval, result.status());
  if (eval.fails) return "does not fail";
  const std::string difference = CheckAnnotations(eval, *result);
  if (!difference.empty()) return difference;
  return CompareMatrix(
      eval, StepGrid::Between(eval.start_ms, eval.end_ms, eval.step_ms),
      result->value.matrix);
}

}  // namespace narthex::promql
