#include <cmath>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "libs/base/status.h"
#include "libs/promql/eval_nodes.h"
#include "libs/promql/extremes.h"

namespace narthex::promql {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Applies `function(value, step)` to every value and drops the names.
template <typename Function>
absl::Status MapValues(Evaluation& evaluation, const Expr& vector,
                       const StepGrid& grid, ColumnSink sink,
                       const Function& function) {
  NameDropper dropper(evaluation, vector, NameDropper::Repeats::kMerge, sink);
  const auto map = [&](Column& column) -> absl::Status {
    if (!DropHistograms(&column)) return absl::OkStatus();
    std::vector<double>& values = column.values;
    NARTHEX_RETURN_IF_ERROR(evaluation.InStretches(
        grid.count, [&](std::size_t begin, std::size_t end) {
          for (std::size_t i = begin; i < end; ++i) {
            if (IsPresent(values[i])) values[i] = function(values[i], i);
          }
        }));
    return dropper.Add(column);
  };
  NARTHEX_RETURN_IF_ERROR(evaluation.Vector(vector, grid, map));
  return dropper.Finish();
}

template <double (*kFunction)(double)>
absl::Status Map(Evaluation& evaluation, const Call& call, const StepGrid& grid,
                 ColumnSink sink) {
  return MapValues(evaluation, *call.args[0], grid, sink,
                   [](double value, std::size_t) { return kFunction(value); });
}

/// Beyond this e^-x does not matter, and Go leaves it out: so these overflow
/// where e^x does.
constexpr double kExponentAlone = 21;

double Sinh(double value) {
  if (std::fabs(value) <= kExponentAlone) return std::sinh(value);
  return std::copysign(std::exp(std::fabs(value)) * 0.5, value);
}
double Cosh(double value) {
  const double size = std::fabs(value);
  return size > kExponentAlone ? std::exp(size) * 0.5 : std::cosh(value);
}
double Sign(double value) {
  if (value < 0) return -1;
  return value > 0 ? 1 : value;
}
double Degrees(double value) { return value * 180 / M_PI; }
double Radians(double value) { return value * M_PI / 180; }

absl::Status Round(Evaluation& evaluation, const Call& call,
                   const StepGrid& grid, ColumnSink sink) {
  std::optional<Scalars> to;
  if (call.args.size() > 1) {
    NARTHEX_ASSIGN_OR_RETURN(to, evaluation.Scalar(*call.args[1], grid));
  }
  return MapValues(evaluation, *call.args[0], grid, sink,
                   [&](double value, std::size_t step) {
                     // Multiplying by the inverse loses less than dividing.
                     const double inverse =
                         to.has_value() ? 1.0 / to->values[step] : 1.0;
                     return std::floor(value * inverse + 0.5) / inverse;
                   });
}

template <typename Low, typename High>
absl::Status ClampBetween(Evaluation& evaluation, const Expr& vector,
                          const Low& low, const High& high,
                          const StepGrid& grid, ColumnSink sink) {
  return MapValues(evaluation, vector, grid, sink,
                   [&](double value, std::size_t step) {
                     if (high(step) < low(step)) return Absent();
                     return MaxOf(low(step), MinOf(high(step), value));
                   });
}

auto ValueOf(const Scalars& scalars) {
  return [&scalars](std::size_t step) { return scalars.values[step]; };
}

absl::Status Clamp(Evaluation& evaluation, const Call& call,
                   const StepGrid& grid, ColumnSink sink) {
  NARTHEX_ASSIGN_OR_RETURN(const Scalars low,
                           evaluation.Scalar(*call.args[1], grid));
  NARTHEX_ASSIGN_OR_RETURN(const Scalars high,
                           evaluation.Scalar(*call.args[2], grid));
  return ClampBetween(evaluation, *call.args[0], ValueOf(low), ValueOf(high),
                      grid, sink);
}

absl::Status ClampMin(Evaluation& evaluation, const Call& call,
                      const StepGrid& grid, ColumnSink sink) {
  NARTHEX_ASSIGN_OR_RETURN(const Scalars low,
                           evaluation.Scalar(*call.args[1], grid));
  return ClampBetween(
      evaluation, *call.args[0], ValueOf(low),
      [](std::size_t) { return kInfinity; }, grid, sink);
}

absl::Status ClampMax(Evaluation& evaluation, const Call& call,
                      const StepGrid& grid, ColumnSink sink) {
  NARTHEX_ASSIGN_OR_RETURN(const Scalars high,
                           evaluation.Scalar(*call.args[1], grid));
  return ClampBetween(
      evaluation, *call.args[0], [](std::size_t) { return -kInfinity; },
      ValueOf(high), grid, sink);
}

/// vector(s): one series without labels.
absl::Status VectorOfScalar(Evaluation& evaluation, const Call& call,
                            const StepGrid& grid, ColumnSink sink) {
  NARTHEX_ASSIGN_OR_RETURN(Scalars scalars,
                           evaluation.Scalar(*call.args[0], grid));
  Column column;
  column.values = std::move(scalars.values);
  // Whoever takes it counts it.
  scalars.reservation.Clear();
  return sink(column);
}

using Table = absl::flat_hash_map<absl::string_view, VectorFunction>;

}  // namespace

VectorFunction FindMathFunction(absl::string_view name) {
  static const Table* const kTable = new Table{
      {"abs", Map<std::fabs>},    {"ceil", Map<std::ceil>},
      {"floor", Map<std::floor>}, {"exp", Map<std::exp>},
      {"sqrt", Map<std::sqrt>},   {"ln", Map<std::log>},
      {"log2", Map<std::log2>},   {"log10", Map<std::log10>},
      {"sin", Map<std::sin>},     {"cos", Map<std::cos>},
      {"tan", Map<std::tan>},     {"asin", Map<std::asin>},
      {"acos", Map<std::acos>},   {"atan", Map<std::atan>},
      {"sinh", Map<Sinh>},        {"cosh", Map<Cosh>},
      {"tanh", Map<std::tanh>},   {"asinh", Map<std::asinh>},
      {"acosh", Map<std::acosh>}, {"atanh", Map<std::atanh>},
      {"sgn", Map<Sign>},         {"deg", Map<Degrees>},
      {"rad", Map<Radians>},      {"round", Round},
      {"clamp", Clamp},           {"clamp_min", ClampMin},
      {"clamp_max", ClampMax},    {"vector", VectorOfScalar},
  };
  const auto it = kTable->find(name);
  return it == kTable->end() ? nullptr : it->second;
}

}  // namespace narthex::promql
