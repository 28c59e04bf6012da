#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "libs/base/duration.h"
#include "libs/base/float_format.h"
#include "libs/base/quote.h"
#include "libs/model/labels.h"
#include "libs/promql/ast.h"
#include "libs/promql/internal/print.h"

namespace narthex::promql {
namespace {

std::string PrintNumber(double value, bool is_duration) {
  if (!is_duration) return base::FormatFloat(value);
  return base::FormatDuration(static_cast<std::int64_t>(value * 1000));
}

std::string PrintAt(const TimeModifiers& time) {
  switch (time.at) {
    case TimeModifiers::At::kNone:
      return "";
    case TimeModifiers::At::kTimestamp:
      return absl::StrFormat(" @ %.3f", static_cast<double>(time.at_ms) / 1000);
    case TimeModifiers::At::kStart:
      return " @ start()";
    case TimeModifiers::At::kEnd:
      return " @ end()";
  }
  return "";
}

std::string PrintOffset(const TimeModifiers& time) {
  if (time.offset_expr != nullptr) {
    return absl::StrCat(" offset ", time.offset_expr->String());
  }
  if (time.offset_ms == 0) return "";
  return absl::StrCat(" offset ", base::FormatDuration(time.offset_ms));
}

std::string PrintDuration(std::int64_t ms,
                          const std::unique_ptr<DurationExpr>& expr) {
  return expr == nullptr ? base::FormatDuration(ms) : expr->String();
}

// Name and matchers, without modifiers.
std::string PrintSeries(const VectorSelector& selector) {
  std::vector<std::string> matchers;
  for (const model::Matcher& matcher : selector.matchers) {
    const bool is_name = matcher.name() == model::kMetricName &&
                         matcher.type() == model::MatchType::kEqual &&
                         matcher.value() == selector.name &&
                         !matcher.value().empty();
    if (!is_name) matchers.push_back(matcher.ToString());
  }
  if (matchers.empty()) return selector.name;
  std::sort(matchers.begin(), matchers.end());
  return absl::StrCat(selector.name, "{", absl::StrJoin(matchers, ","), "}");
}

absl::string_view PrintExtended(const VectorSelector& selector) {
  return selector.anchored ? " anchored" : selector.smoothed ? " smoothed" : "";
}

std::string PrintSelector(const VectorSelector& selector) {
  return absl::StrCat(PrintSeries(selector), PrintAt(selector.time),
                      PrintExtended(selector), PrintOffset(selector.time));
}

std::string PrintMatrix(const MatrixSelector& matrix) {
  const VectorSelector& selector = *matrix.selector;
  return absl::StrCat(PrintSeries(selector), "[",
                      PrintDuration(matrix.range_ms, matrix.range_expr), "]",
                      PrintExtended(selector), PrintAt(selector.time),
                      PrintOffset(selector.time));
}

std::string PrintCall(const Call& call) {
  return absl::StrCat(call.function->name, "(",
                      absl::StrJoin(call.args, ", ",
                                    [](std::string* out, const ExprPtr& arg) {
                                      absl::StrAppend(out, arg->String());
                                    }),
                      ")");
}

std::string PrintAggregate(const AggregateExpr& aggregate) {
  std::string out = internal::AggregateHead(aggregate);
  out += '(';
  if (aggregate.param != nullptr) {
    absl::StrAppend(&out, aggregate.param->String(), ", ");
  }
  absl::StrAppend(&out, aggregate.expr->String(), ")");
  return out;
}

absl::string_view DurationOpText(DurationExpr::Op op) {
  using Op = DurationExpr::Op;
  switch (op) {
    case Op::kAdd:
      return "+";
    case Op::kSub:
      return "-";
    case Op::kMul:
      return "*";
    case Op::kDiv:
      return "/";
    case Op::kMod:
      return "%";
    case Op::kPow:
      return "^";
    default:
      return "";
  }
}

std::string PrintDurationBody(const DurationExpr& expr) {
  using Op = DurationExpr::Op;
  switch (expr.op) {
    case Op::kNumber:
      return PrintNumber(expr.seconds, expr.is_duration);
    case Op::kNegate:
      return absl::StrCat("-", expr.lhs->String());
    case Op::kPlus:
      return expr.lhs->String();
    case Op::kStep:
      return "step()";
    case Op::kRange:
      return "range()";
    case Op::kMinOf:
    case Op::kMaxOf:
      return absl::StrCat(expr.op == Op::kMinOf ? "min_of(" : "max_of(",
                          expr.lhs->String(), ", ", expr.rhs->String(), ")");
    default:
      return absl::StrCat(expr.lhs->String(), " ", DurationOpText(expr.op), " ",
                          expr.rhs->String());
  }
}

}  // namespace

namespace internal {

std::string JoinLabels(const std::vector<std::string>& labels) {
  return absl::StrJoin(
      labels, ", ", [](std::string* out, const std::string& label) {
        absl::StrAppend(
            out, model::IsLegacyLabelName(label) ? label : base::Quote(label));
      });
}

std::string AggregateHead(const AggregateExpr& aggregate) {
  const absl::string_view op = AggregateOpText(aggregate.op);
  if (!aggregate.without && aggregate.grouping.empty()) return std::string(op);
  return absl::StrCat(op, aggregate.without ? " without (" : " by (",
                      JoinLabels(aggregate.grouping), ") ");
}

std::string BinaryModifiers(const BinaryExpr& binary) {
  using Cardinality = VectorMatching::Cardinality;
  std::string out = binary.return_bool ? " bool" : "";
  if (!binary.matching.has_value()) return out;
  const VectorMatching& matching = *binary.matching;
  const bool left = matching.cardinality == Cardinality::kManyToOne;
  const bool right = matching.cardinality == Cardinality::kOneToMany;
  if (!matching.labels.empty() || matching.on || left || right) {
    absl::StrAppend(&out, matching.on ? " on (" : " ignoring (",
                    JoinLabels(matching.labels), ")");
  }
  if (left || right) {
    absl::StrAppend(&out, left ? " group_left (" : " group_right (",
                    JoinLabels(matching.include), ")");
  }
  if (matching.fill_left.has_value() &&
      matching.fill_left == matching.fill_right) {
    absl::StrAppend(&out, " fill (", base::FormatFloatG(*matching.fill_left),
                    ")");
    return out;
  }
  if (matching.fill_left.has_value()) {
    absl::StrAppend(&out, " fill_left (",
                    base::FormatFloatG(*matching.fill_left), ")");
  }
  if (matching.fill_right.has_value()) {
    absl::StrAppend(&out, " fill_right (",
                    base::FormatFloatG(*matching.fill_right), ")");
  }
  return out;
}

std::string SubquerySuffix(const SubqueryExpr& subquery) {
  const bool has_step = subquery.step_ms != 0 || subquery.step_expr != nullptr;
  return absl::StrCat(
      "[", PrintDuration(subquery.range_ms, subquery.range_expr), ":",
      has_step ? PrintDuration(subquery.step_ms, subquery.step_expr) : "", "]",
      PrintAt(subquery.time), PrintOffset(subquery.time));
}

}  // namespace internal

std::string DurationExpr::String() const {
  std::string body = PrintDurationBody(*this);
  return wrapped ? absl::StrCat("(", body, ")") : body;
}

std::string Expr::String() const {
  switch (kind) {
    case ExprKind::kNumber:
      return PrintNumber(As<NumberLiteral>().value,
                         As<NumberLiteral>().is_duration);
    case ExprKind::kString:
      return base::Quote(As<StringLiteral>().value);
    case ExprKind::kVectorSelector:
      return PrintSelector(As<VectorSelector>());
    case ExprKind::kMatrixSelector:
      return PrintMatrix(As<MatrixSelector>());
    case ExprKind::kSubquery:
      return absl::StrCat(As<SubqueryExpr>().expr->String(),
                          internal::SubquerySuffix(As<SubqueryExpr>()));
    case ExprKind::kCall:
      return PrintCall(As<Call>());
    case ExprKind::kAggregate:
      return PrintAggregate(As<AggregateExpr>());
    case ExprKind::kBinary: {
      const auto& binary = As<BinaryExpr>();
      return absl::StrCat(binary.lhs->String(), " ", BinaryOpText(binary.op),
                          internal::BinaryModifiers(binary), " ",
                          binary.rhs->String());
    }
    case ExprKind::kUnary:
      return absl::StrCat(As<UnaryExpr>().negative ? "-" : "+",
                          As<UnaryExpr>().expr->String());
    case ExprKind::kParen:
      return absl::StrCat("(", As<ParenExpr>().expr->String(), ")");
    case ExprKind::kStepInvariant:
      return As<StepInvariantExpr>().expr->String();
  }
  return "";
}

}  // namespace narthex::promql
