#include "libs/promql/propagate.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "libs/model/matcher.h"
#include "libs/promql/binary_op.h"
#include "libs/promql/evaluation.h"
#include "libs/promql/range_functions.h"

namespace narthex::promql {
namespace {

/// What the labels of all series of a vector are known to be.
using Facts = std::vector<model::Matcher>;
using Names = std::vector<std::string>;

bool Contains(const Names& names, absl::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// topk and its kin: what goes out are series that came in.
bool IsSelection(AggregateOp op) {
  return op == AggregateOp::kTopk || op == AggregateOp::kBottomk ||
         op == AggregateOp::kLimitk || op == AggregateOp::kLimitRatio;
}

/// Whether series that match each other agree in the label.
bool IsMatched(const VectorMatching& matching, absl::string_view label) {
  return Contains(matching.labels, label) == matching.on;
}

template <typename Keep>
Facts Filter(Facts facts, const Keep& keep) {
  facts.erase(
      std::remove_if(facts.begin(), facts.end(),
                     [&](const model::Matcher& m) { return !keep(m.name()); }),
      facts.end());
  return facts;
}

Facts Matched(Facts facts, const VectorMatching& matching) {
  return Filter(std::move(facts), [&](absl::string_view label) {
    return IsMatched(matching, label);
  });
}

Facts FactsOf(const Expr& wrapped);

Facts FactsOfSelector(const VectorSelector& selector) {
  Facts facts;
  for (const model::Matcher& matcher : selector.matchers) {
    if (matcher.type() == model::MatchType::kEqual &&
        !absl::StartsWith(matcher.name(), "__")) {
      facts.push_back(matcher);
    }
  }
  return facts;
}

Facts FactsOfCall(const Call& call) {
  if (FindRangeFunction(call.function->name) == nullptr ||
      call.function->name == "absent_over_time") {
    return {};
  }
  for (const ExprPtr& arg : call.args) {
    if (arg->type() == ValueType::kMatrix) return FactsOf(*arg);
  }
  return {};
}

Facts FactsOfAggregate(const AggregateExpr& aggregate) {
  if (aggregate.op == AggregateOp::kCountValues) return {};
  if (IsSelection(aggregate.op)) return FactsOf(*aggregate.expr);
  return Filter(FactsOf(*aggregate.expr), [&](absl::string_view label) {
    return Contains(aggregate.grouping, label) != aggregate.without;
  });
}

/// Of a binary operator those of the side whose labels the result has.
Facts FactsOfBinary(const BinaryExpr& binary) {
  if (binary.lhs->type() != ValueType::kVector) return FactsOf(*binary.rhs);
  if (binary.rhs->type() != ValueType::kVector) return FactsOf(*binary.lhs);
  using Cardinality = VectorMatching::Cardinality;
  const VectorMatching& matching = *binary.matching;
  if (binary.op == BinaryOp::kOr || matching.fill_left.has_value() ||
      matching.fill_right.has_value()) {
    return {};
  }
  if (IsSetOperator(binary.op)) return FactsOf(*binary.lhs);
  if (matching.cardinality == Cardinality::kOneToOne) {
    return Matched(FactsOf(*binary.lhs), matching);
  }
  const bool many_left = matching.cardinality == Cardinality::kManyToOne;
  return Filter(FactsOf(many_left ? *binary.lhs : *binary.rhs),
                [&](absl::string_view label) {
                  return !Contains(matching.include, label);
                });
}

Facts FactsOf(const Expr& wrapped) {
  const Expr& expr = Unwrap(wrapped);
  switch (expr.kind) {
    case ExprKind::kVectorSelector:
      return FactsOfSelector(expr.As<VectorSelector>());
    case ExprKind::kMatrixSelector:
      return FactsOfSelector(*expr.As<MatrixSelector>().selector);
    case ExprKind::kSubquery:
      return FactsOf(*expr.As<SubqueryExpr>().expr);
    case ExprKind::kUnary:
      return FactsOf(*expr.As<UnaryExpr>().expr);
    case ExprKind::kCall:
      return FactsOfCall(expr.As<Call>());
    case ExprKind::kAggregate:
      return FactsOfAggregate(expr.As<AggregateExpr>());
    case ExprKind::kBinary:
      return FactsOfBinary(expr.As<BinaryExpr>());
    default:
      return {};
  }
}

/// Whether no two series of the vector are in one match group at a time.
bool IsOneOfGroup(const Expr& wrapped, const VectorMatching& matching) {
  const Expr& expr = Unwrap(wrapped);
  const bool all_labels = !matching.on && matching.labels.empty();
  switch (expr.kind) {
    case ExprKind::kVectorSelector:
      return all_labels && HasOneMetricName(expr);
    case ExprKind::kCall: {
      const auto& call = expr.As<Call>();
      return all_labels && FindRangeFunction(call.function->name) != nullptr &&
             HasOneMetricName(expr);
    }
    case ExprKind::kAggregate: {
      const auto& aggregate = expr.As<AggregateExpr>();
      if (aggregate.op == AggregateOp::kCountValues ||
          IsSelection(aggregate.op)) {
        return false;
      }
      if (aggregate.without) return all_labels && HasOneMetricName(expr);
      return std::all_of(aggregate.grouping.begin(), aggregate.grouping.end(),
                         [&](const std::string& label) {
                           return label != model::kMetricName &&
                                  IsMatched(matching, label);
                         });
    }
    default:
      return false;
  }
}

void Constrain(const Facts& facts, Expr* expr);

void ConstrainSelector(const Facts& facts, VectorSelector* selector) {
  if (selector->anchored || selector->smoothed) return;
  for (const model::Matcher& fact : facts) {
    const bool known = std::any_of(
        selector->matchers.begin(), selector->matchers.end(),
        [&](const model::Matcher& m) {
          return m.type() == model::MatchType::kEqual &&
                 m.name() == fact.name() && m.value() == fact.value();
        });
    if (!known) selector->matchers.push_back(fact);
  }
}

/// Of a function that never warns.
void ConstrainCall(const Facts& facts, Call* call) {
  const absl::string_view name = call->function->name;
  if (name != "last_over_time" && name != "count_over_time" &&
      name != "present_over_time") {
    return;
  }
  Expr& range = const_cast<Expr&>(Unwrap(*call->args[0]));
  // Losing their names two series may become one, which is an error.
  if (range.kind == ExprKind::kMatrixSelector && HasOneMetricName(range)) {
    ConstrainSelector(facts, range.As<MatrixSelector>().selector.get());
  }
}

void ConstrainBinary(const Facts& facts, BinaryExpr* binary) {
  if (!IsSetOperator(binary->op)) return;
  const Facts matched = Matched(facts, *binary->matching);
  const bool is_or = binary->op == BinaryOp::kOr;
  // On the left of `or` also stands what keeps the right side out.
  Constrain(is_or ? matched : facts, binary->lhs.get());
  Constrain(is_or ? facts : matched, binary->rhs.get());
}

/// Of the series of `expr` only those with these labels are of use.
void Constrain(const Facts& facts, Expr* expr) {
  if (facts.empty()) return;
  switch (expr->kind) {
    case ExprKind::kParen:
      return Constrain(facts, expr->As<ParenExpr>().expr.get());
    case ExprKind::kStepInvariant:
      return Constrain(facts, expr->As<StepInvariantExpr>().expr.get());
    case ExprKind::kVectorSelector:
      return ConstrainSelector(facts, &expr->As<VectorSelector>());
    case ExprKind::kCall:
      return ConstrainCall(facts, &expr->As<Call>());
    case ExprKind::kBinary:
      return ConstrainBinary(facts, &expr->As<BinaryExpr>());
    default:
      return;
  }
}

void PropagateBetween(BinaryExpr* binary) {
  if (binary->lhs->type() != ValueType::kVector ||
      binary->rhs->type() != ValueType::kVector) {
    return;
  }
  const VectorMatching& matching = *binary->matching;
  const Facts left = Matched(FactsOf(*binary->lhs), matching);
  const Facts right = Matched(FactsOf(*binary->rhs), matching);
  switch (binary->op) {
    case BinaryOp::kOr:
      return;
    case BinaryOp::kUnless:
      return Constrain(left, binary->rhs.get());
    case BinaryOp::kAnd:
      break;
    default: {
      const bool one_left =
          matching.cardinality == VectorMatching::Cardinality::kOneToMany;
      if (matching.fill_left.has_value() || matching.fill_right.has_value() ||
          !IsOneOfGroup(one_left ? *binary->lhs : *binary->rhs, matching)) {
        return;
      }
      break;
    }
  }
  Constrain(right, binary->lhs.get());
  Constrain(left, binary->rhs.get());
}

}  // namespace

void PropagateMatchers(Expr* root) {
  if (root->kind == ExprKind::kBinary) {
    PropagateBetween(&root->As<BinaryExpr>());
  }
  for (const Expr* child : Children(*root)) {
    PropagateMatchers(const_cast<Expr*>(child));
  }
}

}  // namespace narthex::promql
