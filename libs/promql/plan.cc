#include "libs/promql/plan.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "libs/promql/evaluation.h"

namespace narthex::promql {
namespace {

const Expr* Find(const Expr& expr, std::uint32_t* left) {
  if (*left == 0) return &expr;
  --*left;
  for (const Expr* child : Children(expr)) {
    if (const Expr* found = Find(*child, left); found != nullptr) return found;
  }
  return nullptr;
}

std::uint32_t CountNodes(const Expr& expr) {
  std::uint32_t count = 1;
  for (const Expr* child : Children(expr)) count += CountNodes(*child);
  return count;
}

bool ReadsStorage(const Expr& expr) {
  if (expr.kind == ExprKind::kVectorSelector) return true;
  const auto children = Children(expr);
  return std::any_of(children.begin(), children.end(),
                     [](const Expr* child) { return ReadsStorage(*child); });
}

bool IsNumber(const Expr& expr) {
  return Unwrap(expr).kind == ExprKind::kNumber;
}

/// Adds the names of the metrics that are read; of a selector that does not
/// fix it an empty one.
void AddNamesRead(const Expr& expr, std::set<std::string>* names) {
  if (expr.kind == ExprKind::kVectorSelector) {
    std::string name;
    for (const model::Matcher& matcher : expr.As<VectorSelector>().matchers) {
      if (matcher.type() == model::MatchType::kEqual &&
          matcher.name() == model::kMetricName) {
        name = matcher.value();
      }
    }
    names->insert(std::move(name));
  }
  for (const Expr* child : Children(expr)) AddNamesRead(*child, names);
}

/// Whether the sides can only match where they come from the same stored
/// series: all labels are matched, and the name is the same.
bool MatchesItself(const BinaryExpr& binary) {
  const VectorMatching& matching = *binary.matching;
  using Cardinality = VectorMatching::Cardinality;
  if (matching.on || !matching.labels.empty() || binary.op == BinaryOp::kOr ||
      matching.cardinality == Cardinality::kManyToOne ||
      matching.cardinality == Cardinality::kOneToMany) {
    return false;
  }
  std::set<std::string> names;
  AddNamesRead(binary, &names);
  return names.size() == 1 && !names.begin()->empty();
}

/// Whether each series of the result comes from one stored series, and equal
/// labels cannot arise.
bool IsSeriesBySeries(const Expr& wrapped) {
  const Expr& expr = Unwrap(wrapped);
  switch (expr.kind) {
    case ExprKind::kVectorSelector:
      return true;
    case ExprKind::kUnary:
      return HasOneMetricName(expr) &&
             IsSeriesBySeries(*expr.As<UnaryExpr>().expr);
    case ExprKind::kBinary: {
      const auto& binary = expr.As<BinaryExpr>();
      if (binary.lhs->type() == ValueType::kVector &&
          binary.rhs->type() == ValueType::kVector) {
        return MatchesItself(binary) && IsSeriesBySeries(*binary.lhs) &&
               IsSeriesBySeries(*binary.rhs);
      }
      const bool right = IsNumber(*binary.lhs);
      const Expr& vector = right ? *binary.rhs : *binary.lhs;
      const Expr& other = right ? *binary.lhs : *binary.rhs;
      return IsNumber(other) && HasOneMetricName(vector) &&
             IsSeriesBySeries(vector);
    }
    case ExprKind::kCall: {
      const auto& call = expr.As<Call>();
      if (call.function->name == "absent_over_time") return false;
      std::size_t selectors = 0;
      for (const ExprPtr& arg : call.args) {
        const Expr& inner = Unwrap(*arg);
        if (inner.kind == ExprKind::kMatrixSelector ||
            (inner.kind == ExprKind::kVectorSelector &&
             call.function->name == "timestamp")) {
          ++selectors;
        } else if (!IsNumber(inner)) {
          return false;
        }
      }
      return selectors == 1 && HasOneMetricName(expr);
    }
    default:
      return false;
  }
}

/// Whether the order of the labels is that of the stored series.
bool KeepsOrder(const Expr& wrapped) {
  const Expr& expr = Unwrap(wrapped);
  if (expr.kind == ExprKind::kVectorSelector) return true;
  if (expr.kind != ExprKind::kCall) return false;
  const absl::string_view name = expr.As<Call>().function->name;
  return name == "last_over_time" || name == "first_over_time";
}

bool IsText(const Expr& expr) { return Unwrap(expr).kind == ExprKind::kString; }

}  // namespace

const Expr* PlanNode(const Expr& root, std::uint32_t number) {
  return Find(root, &number);
}

Plan::Plan(const Expr& root, std::size_t places) : places_(places) {
  std::uint32_t number = 0;
  if (places > 0) Place(root, &number);
}

void Plan::Place(const Expr& expr, std::uint32_t* number) {
  if (const std::optional<Merge> merge = MergeOf(expr); merge.has_value()) {
    nodes_[&expr] = {*number, *merge};
    *number += CountNodes(expr);
    return;
  }
  if (expr.kind == ExprKind::kMatrixSelector) {
    *number += CountNodes(expr);
    return;
  }
  ++*number;
  for (const Expr* child : Children(expr)) Place(*child, number);
}

std::optional<Merge> Plan::MergeOf(const Expr& expr) const {
  if (expr.type() != ValueType::kVector || !ReadsStorage(expr)) return {};
  // What is evaluated for one step must not cross once for every step.
  if (expr.kind == ExprKind::kStepInvariant || expr.kind == ExprKind::kParen) {
    return {};
  }
  if (places_ == 1) return Merge::kUnion;
  if (expr.kind != ExprKind::kAggregate) {
    if (IsSeriesBySeries(expr)) return Merge::kUnion;
    return {};
  }
  const auto& aggregate = expr.As<AggregateExpr>();
  if (!IsSeriesBySeries(*aggregate.expr)) return {};
  if (aggregate.param != nullptr && !IsNumber(*aggregate.param) &&
      !IsText(*aggregate.param)) {
    return {};
  }
  switch (aggregate.op) {
    case AggregateOp::kSum:
    case AggregateOp::kAvg:
      return Merge::kParts;
    case AggregateOp::kMin:
    case AggregateOp::kMax:
    case AggregateOp::kGroup:
    case AggregateOp::kTopk:
    case AggregateOp::kBottomk:
      return Merge::kAggregate;
    case AggregateOp::kCount:
    case AggregateOp::kCountValues:
      return Merge::kCount;
    case AggregateOp::kLimitRatio:
      return Merge::kUnion;
    case AggregateOp::kLimitk:
      if (!KeepsOrder(*aggregate.expr)) return {};
      return Merge::kAggregate;
    default:
      return {};
  }
}

}  // namespace narthex::promql
