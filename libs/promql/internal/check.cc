#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/promql/internal/syntax.h"

namespace narthex::promql::internal {
namespace {

class Checker {
 public:
  Checker(absl::string_view text, ErrorSink* errors)
      : text_(text), errors_(errors) {}

  ValueType Check(Expr* expr);

 private:
  void Error(PositionRange position, absl::string_view message) {
    errors_->Add(position, message);
  }
  void ExpectType(Expr* expr, ValueType wanted, absl::string_view context);
  void CheckAggregate(AggregateExpr* aggregate);
  void CheckBinary(BinaryExpr* binary);
  void CheckMatching(BinaryExpr* binary, ValueType lhs, ValueType rhs);
  void CheckCall(Call* call);
  void CheckInfo(Call* call);
  void CheckSelector(VectorSelector* selector);
  PositionRange OperatorRange(const BinaryExpr& binary) const;

  absl::string_view text_;
  ErrorSink* const errors_;
};

bool IsVectorOrScalar(ValueType type) {
  return type == ValueType::kScalar || type == ValueType::kVector;
}

ValueType Checker::Check(Expr* expr) {
  switch (expr->kind) {
    case ExprKind::kAggregate:
      CheckAggregate(&expr->As<AggregateExpr>());
      break;
    case ExprKind::kBinary:
      CheckBinary(&expr->As<BinaryExpr>());
      break;
    case ExprKind::kCall:
      CheckCall(&expr->As<Call>());
      break;
    case ExprKind::kParen:
      Check(expr->As<ParenExpr>().expr.get());
      break;
    case ExprKind::kUnary:
      if (const ValueType type = Check(expr->As<UnaryExpr>().expr.get());
          !IsVectorOrScalar(type)) {
        Error(expr->position,
              absl::StrCat("unary expression only allowed on expressions of "
                           "type scalar or instant vector, got ",
                           base::Quote(ValueTypeName(type))));
      }
      break;
    case ExprKind::kSubquery:
      if (const ValueType type = Check(expr->As<SubqueryExpr>().expr.get());
          type != ValueType::kVector) {
        Error(expr->position,
              absl::StrCat("subquery is only allowed on instant vector, got ",
                           ValueTypeApiName(type), " instead"));
      }
      break;
    case ExprKind::kMatrixSelector:
      CheckSelector(expr->As<MatrixSelector>().selector.get());
      break;
    case ExprKind::kVectorSelector:
      CheckSelector(&expr->As<VectorSelector>());
      break;
    case ExprKind::kNumber:
    case ExprKind::kString:
    case ExprKind::kStepInvariant:
      break;
  }
  return expr->type();
}

void Checker::ExpectType(Expr* expr, ValueType wanted,
                         absl::string_view context) {
  const ValueType type = Check(expr);
  if (type == wanted) return;
  Error(expr->position,
        absl::StrCat("expected type ", ValueTypeName(wanted), " in ", context,
                     ", got ", ValueTypeName(type)));
}

void Checker::CheckAggregate(AggregateExpr* aggregate) {
  ExpectType(aggregate->expr.get(), ValueType::kVector,
             "aggregation expression");
  if (!HasParameter(aggregate->op)) return;
  const bool text = aggregate->op == AggregateOp::kCountValues;
  ExpectType(aggregate->param.get(),
             text ? ValueType::kString : ValueType::kScalar,
             "aggregation parameter");
}

PositionRange Checker::OperatorRange(const BinaryExpr& binary) const {
  PositionRange range = {binary.lhs->position.end,
                         binary.rhs->position.start - 1};
  const auto is_space = [this](int at) {
    return at >= 0 && at < static_cast<int>(text_.size()) &&
           absl::ascii_isspace(
               static_cast<unsigned char>(text_[static_cast<std::size_t>(at)]));
  };
  while (is_space(range.start)) ++range.start;
  while (is_space(range.end)) --range.end;
  return range;
}

void Checker::CheckBinary(BinaryExpr* binary) {
  const ValueType lhs = Check(binary->lhs.get());
  const ValueType rhs = Check(binary->rhs.get());
  if (binary->return_bool && !IsComparison(binary->op)) {
    Error(OperatorRange(*binary),
          "bool modifier can only be used on comparison operators");
  }
  if (IsComparison(binary->op) && !binary->return_bool &&
      lhs == ValueType::kScalar && rhs == ValueType::kScalar) {
    Error(OperatorRange(*binary),
          "comparisons between scalars must use BOOL modifier");
  }
  CheckMatching(binary, lhs, rhs);
  if ((lhs == ValueType::kScalar || rhs == ValueType::kScalar) &&
      IsSetOperator(binary->op)) {
    Error(binary->position,
          absl::StrCat("set operator ", base::Quote(BinaryOpText(binary->op)),
                       " not allowed in binary scalar expression"));
  }
}

void Checker::CheckMatching(BinaryExpr* binary, ValueType lhs, ValueType rhs) {
  using Cardinality = VectorMatching::Cardinality;
  VectorMatching& matching = *binary->matching;
  const bool set = IsSetOperator(binary->op);
  if (set && matching.cardinality == Cardinality::kOneToOne) {
    matching.cardinality = Cardinality::kManyToMany;
  }
  for (const std::string& label : matching.labels) {
    if (matching.on &&
        std::find(matching.include.begin(), matching.include.end(), label) !=
            matching.include.end()) {
      Error(OperatorRange(*binary),
            absl::StrCat("label ", base::Quote(label),
                         " must not occur in ON and GROUP clause at once"));
    }
  }
  constexpr absl::string_view kSides =
      "binary expression must contain only scalar and instant vector types";
  if (!IsVectorOrScalar(lhs)) Error(binary->lhs->position, kSides);
  if (!IsVectorOrScalar(rhs)) Error(binary->rhs->position, kSides);
  const bool fill =
      matching.fill_left.has_value() || matching.fill_right.has_value();
  if (lhs != ValueType::kVector || rhs != ValueType::kVector) {
    if (!matching.labels.empty()) {
      Error(binary->position,
            "vector matching only allowed between instant vectors");
    }
    if (fill) {
      Error(binary->position,
            "filling in missing series only allowed between instant vectors");
    }
    binary->matching.reset();
    return;
  }
  if (!set) return;
  if (matching.cardinality != Cardinality::kManyToMany) {
    Error(binary->position,
          absl::StrCat("no grouping allowed for ",
                       base::Quote(BinaryOpText(binary->op)), " operation"));
  }
  if (fill) {
    Error(binary->position,
          "filling in missing series not allowed for set operators");
  }
}

void Checker::CheckCall(Call* call) {
  const Function& function = *call->function;
  const auto given = static_cast<int>(call->args.size());
  const auto types = static_cast<int>(function.argument_types.size());
  const auto arity = [&](absl::string_view bound, int count) {
    Error(call->position,
          absl::StrCat("expected ", bound, count, " argument(s) in call to ",
                       base::Quote(function.name), ", got ", given));
  };
  if (function.variadic == 0) {
    if (given != types) arity("", types);
  } else if (types - 1 > given) {
    arity("at least ", types - 1);
  } else if (function.variadic > 0 && types - 1 + function.variadic < given) {
    arity("at most ", types - 1 + function.variadic);
  }
  if (function.name == "info" && given > 1) CheckInfo(call);
  for (int i = 0; i < given; ++i) {
    if (i >= types && function.variadic == 0) break;
    Expr* const arg = call->args[static_cast<std::size_t>(i)].get();
    const ValueType wanted =
        function
            .argument_types[static_cast<std::size_t>(std::min(i, types - 1))];
    const ValueType type = Check(arg);
    if (type == wanted) continue;
    Error(arg->position,
          absl::StrCat("expected type ", ValueTypeName(wanted),
                       " in call to function ", base::Quote(function.name),
                       ", got ", ValueTypeName(type)));
  }
}

void Checker::CheckInfo(Call* call) {
  Expr* const selector = call->args[1].get();
  if (selector->type() != ValueType::kVector) {
    Error(call->position,
          absl::StrCat("expected type instant vector in call to function "
                       "\"info\", got ",
                       ValueTypeName(selector->type())));
  }
  if (selector->kind != ExprKind::kVectorSelector) {
    Error(selector->position, "expected label selectors only");
  } else if (!selector->As<VectorSelector>().name.empty()) {
    Error(selector->position,
          "expected label selectors only, got vector selector instead");
  } else {
    selector->As<VectorSelector>().bypass_empty_check = true;
  }
}

void Checker::CheckSelector(VectorSelector* selector) {
  const auto& matchers = selector->matchers;
  if (!selector->name.empty()) {
    // The last one is the name before the braces.
    for (std::size_t i = 0; i + 1 < matchers.size(); ++i) {
      if (matchers[i].name() != model::kMetricName) continue;
      Error(selector->position,
            absl::StrCat("metric name must not be set twice: ",
                         base::Quote(selector->name), " or ",
                         base::Quote(matchers[i].value())));
    }
    return;
  }
  if (selector->bypass_empty_check) return;
  for (const model::Matcher& matcher : matchers) {
    if (!matcher.MatchesEmpty()) return;
  }
  Error(selector->position,
        "vector selector must contain at least one non-empty matcher");
}

}  // namespace

void CheckTypes(absl::string_view text, Expr* root, ErrorSink* errors) {
  Checker(text, errors).Check(root);
}

}  // namespace narthex::promql::internal
