#include "libs/promql/ast.h"

#include <array>
#include <utility>

namespace narthex::promql {
namespace {

constexpr std::array<absl::string_view, 18> kBinaryOps = {
    "^", "*", "/",  "%",  "atan2", "+",  "-",   "==",     "!=",
    ">", "<", ">=", "<=", "</",    ">/", "and", "unless", "or"};

constexpr std::array<absl::string_view, 14> kAggregateOps = {
    "sum",      "avg",          "min",    "max",        "count",
    "group",    "stddev",       "stdvar", "topk",       "bottomk",
    "quantile", "count_values", "limitk", "limit_ratio"};

TimeModifiers CloneTime(const TimeModifiers& time) {
  TimeModifiers copy;
  copy.at = time.at;
  copy.at_ms = time.at_ms;
  copy.offset_ms = time.offset_ms;
  if (time.offset_expr != nullptr) copy.offset_expr = time.offset_expr->Clone();
  return copy;
}

std::unique_ptr<DurationExpr> CloneDuration(
    const std::unique_ptr<DurationExpr>& expr) {
  return expr == nullptr ? nullptr : expr->Clone();
}

ExprPtr CloneOrNull(const ExprPtr& expr) {
  return expr == nullptr ? nullptr : Clone(*expr);
}

std::unique_ptr<VectorSelector> CloneSelector(const VectorSelector& selector) {
  auto copy = std::make_unique<VectorSelector>();
  copy->position = selector.position;
  copy->name = selector.name;
  copy->matchers = selector.matchers;
  copy->time = CloneTime(selector.time);
  copy->anchored = selector.anchored;
  copy->smoothed = selector.smoothed;
  copy->bypass_empty_check = selector.bypass_empty_check;
  return copy;
}

ExprPtr CloneMatrix(const MatrixSelector& matrix) {
  auto copy = std::make_unique<MatrixSelector>();
  copy->selector = CloneSelector(*matrix.selector);
  copy->range_ms = matrix.range_ms;
  copy->range_expr = CloneDuration(matrix.range_expr);
  return copy;
}

ExprPtr CloneSubquery(const SubqueryExpr& subquery) {
  auto copy = std::make_unique<SubqueryExpr>();
  copy->expr = Clone(*subquery.expr);
  copy->range_ms = subquery.range_ms;
  copy->range_expr = CloneDuration(subquery.range_expr);
  copy->step_ms = subquery.step_ms;
  copy->step_expr = CloneDuration(subquery.step_expr);
  copy->time = CloneTime(subquery.time);
  return copy;
}

ExprPtr CloneCall(const Call& call) {
  auto copy = std::make_unique<Call>();
  copy->function = call.function;
  copy->args.reserve(call.args.size());
  for (const ExprPtr& arg : call.args) copy->args.push_back(Clone(*arg));
  return copy;
}

ExprPtr CloneAggregate(const AggregateExpr& aggregate) {
  auto copy = std::make_unique<AggregateExpr>();
  copy->op = aggregate.op;
  copy->expr = Clone(*aggregate.expr);
  copy->param = CloneOrNull(aggregate.param);
  copy->grouping = aggregate.grouping;
  copy->without = aggregate.without;
  return copy;
}

ExprPtr CloneBinary(const BinaryExpr& binary) {
  auto copy = std::make_unique<BinaryExpr>();
  copy->op = binary.op;
  copy->lhs = Clone(*binary.lhs);
  copy->rhs = Clone(*binary.rhs);
  copy->matching = binary.matching;
  copy->return_bool = binary.return_bool;
  return copy;
}

template <typename Node>
ExprPtr CloneWrapper(const Node& node) {
  auto copy = std::make_unique<Node>();
  copy->expr = Clone(*node.expr);
  return copy;
}

ExprPtr CloneNode(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kNumber: {
      const auto& number = expr.As<NumberLiteral>();
      auto copy = std::make_unique<NumberLiteral>(number.value);
      copy->is_duration = number.is_duration;
      return copy;
    }
    case ExprKind::kString:
      return std::make_unique<StringLiteral>(expr.As<StringLiteral>().value);
    case ExprKind::kVectorSelector:
      return CloneSelector(expr.As<VectorSelector>());
    case ExprKind::kMatrixSelector:
      return CloneMatrix(expr.As<MatrixSelector>());
    case ExprKind::kSubquery:
      return CloneSubquery(expr.As<SubqueryExpr>());
    case ExprKind::kCall:
      return CloneCall(expr.As<Call>());
    case ExprKind::kAggregate:
      return CloneAggregate(expr.As<AggregateExpr>());
    case ExprKind::kBinary:
      return CloneBinary(expr.As<BinaryExpr>());
    case ExprKind::kUnary: {
      auto copy = std::make_unique<UnaryExpr>();
      copy->negative = expr.As<UnaryExpr>().negative;
      copy->expr = Clone(*expr.As<UnaryExpr>().expr);
      return copy;
    }
    case ExprKind::kParen:
      return CloneWrapper(expr.As<ParenExpr>());
    case ExprKind::kStepInvariant:
      return CloneWrapper(expr.As<StepInvariantExpr>());
  }
  return nullptr;
}

}  // namespace

absl::string_view ValueTypeName(ValueType type) {
  switch (type) {
    case ValueType::kVector:
      return "instant vector";
    case ValueType::kMatrix:
      return "range vector";
    default:
      return ValueTypeApiName(type);
  }
}

absl::string_view ValueTypeApiName(ValueType type) {
  switch (type) {
    case ValueType::kNone:
      return "none";
    case ValueType::kScalar:
      return "scalar";
    case ValueType::kString:
      return "string";
    case ValueType::kVector:
      return "vector";
    case ValueType::kMatrix:
      return "matrix";
  }
  return "none";
}

absl::string_view BinaryOpText(BinaryOp op) {
  return kBinaryOps[static_cast<std::size_t>(op)];
}

bool IsComparison(BinaryOp op) {
  return op >= BinaryOp::kEqual && op <= BinaryOp::kLessEqual;
}

bool IsSetOperator(BinaryOp op) {
  return op >= BinaryOp::kAnd && op <= BinaryOp::kOr;
}

absl::string_view AggregateOpText(AggregateOp op) {
  return kAggregateOps[static_cast<std::size_t>(op)];
}

bool HasParameter(AggregateOp op) { return op >= AggregateOp::kTopk; }

ValueType BinaryExpr::type() const {
  const bool scalars =
      lhs->type() == ValueType::kScalar && rhs->type() == ValueType::kScalar;
  return scalars ? ValueType::kScalar : ValueType::kVector;
}

std::unique_ptr<DurationExpr> DurationExpr::Clone() const {
  auto copy = std::make_unique<DurationExpr>();
  copy->op = op;
  copy->seconds = seconds;
  copy->is_duration = is_duration;
  copy->wrapped = wrapped;
  copy->lhs = CloneDuration(lhs);
  copy->rhs = CloneDuration(rhs);
  copy->position = position;
  return copy;
}

std::vector<const Expr*> Children(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kNumber:
    case ExprKind::kString:
    case ExprKind::kVectorSelector:
      return {};
    case ExprKind::kMatrixSelector:
      return {expr.As<MatrixSelector>().selector.get()};
    case ExprKind::kSubquery:
      return {expr.As<SubqueryExpr>().expr.get()};
    case ExprKind::kCall: {
      std::vector<const Expr*> args;
      for (const ExprPtr& arg : expr.As<Call>().args) args.push_back(arg.get());
      return args;
    }
    case ExprKind::kAggregate: {
      const auto& aggregate = expr.As<AggregateExpr>();
      if (aggregate.param == nullptr) return {aggregate.expr.get()};
      return {aggregate.expr.get(), aggregate.param.get()};
    }
    case ExprKind::kBinary:
      return {expr.As<BinaryExpr>().lhs.get(), expr.As<BinaryExpr>().rhs.get()};
    case ExprKind::kUnary:
      return {expr.As<UnaryExpr>().expr.get()};
    case ExprKind::kParen:
      return {expr.As<ParenExpr>().expr.get()};
    case ExprKind::kStepInvariant:
      return {expr.As<StepInvariantExpr>().expr.get()};
  }
  return {};
}

ExprPtr Clone(const Expr& expr) {
  ExprPtr copy = CloneNode(expr);
  copy->position = expr.position;
  return copy;
}

const Expr& Unwrap(const Expr& expr) {
  const Expr* inner = &expr;
  while (true) {
    if (inner->kind == ExprKind::kParen) {
      inner = inner->As<ParenExpr>().expr.get();
    } else if (inner->kind == ExprKind::kStepInvariant) {
      inner = inner->As<StepInvariantExpr>().expr.get();
    } else {
      return *inner;
    }
  }
}

}  // namespace narthex::promql
