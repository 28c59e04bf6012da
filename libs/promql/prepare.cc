#include <array>
#include <cmath>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/promql/parser.h"

namespace narthex::promql {
namespace {

constexpr double kMaxSeconds = 9223372036.854775807;

struct QueryTimes {
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 0;
  std::int64_t step_ms = 0;
};

absl::Status DurationError(const DurationExpr& expr,
                           absl::string_view message) {
  return absl::InvalidArgumentError(
      absl::StrCat(expr.position.start, ":", expr.position.end, ": ", message));
}

class DurationResolver {
 public:
  DurationResolver(std::int64_t range_ms, std::int64_t step_ms)
      : range_seconds_(static_cast<double>(range_ms) / 1000),
        step_seconds_(static_cast<double>(step_ms) / 1000) {}

  absl::Status Resolve(Expr* expr) {
    switch (expr->kind) {
      case ExprKind::kVectorSelector:
        return ResolveTime(&expr->As<VectorSelector>().time);
      case ExprKind::kMatrixSelector: {
        auto& matrix = expr->As<MatrixSelector>();
        NARTHEX_RETURN_IF_ERROR(Set(
            matrix.range_expr, /*may_be_negative=*/false, &matrix.range_ms));
        return ResolveTime(&matrix.selector->time);
      }
      case ExprKind::kSubquery: {
        auto& subquery = expr->As<SubqueryExpr>();
        NARTHEX_RETURN_IF_ERROR(ResolveTime(&subquery.time));
        NARTHEX_RETURN_IF_ERROR(
            Set(subquery.step_expr, false, &subquery.step_ms));
        NARTHEX_RETURN_IF_ERROR(
            Set(subquery.range_expr, false, &subquery.range_ms));
        break;
      }
      default:
        break;
    }
    for (const Expr* child : Children(*expr)) {
      NARTHEX_RETURN_IF_ERROR(Resolve(const_cast<Expr*>(child)));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status ResolveTime(TimeModifiers* time) {
    return Set(time->offset_expr, /*may_be_negative=*/true, &time->offset_ms);
  }

  absl::Status Set(const std::unique_ptr<DurationExpr>& expr,
                   bool may_be_negative, std::int64_t* ms) {
    if (expr == nullptr) return absl::OkStatus();
    NARTHEX_ASSIGN_OR_RETURN(const double seconds, Evaluate(*expr));
    if (!std::isfinite(seconds)) {
      return DurationError(*expr, "duration is NaN or infinite");
    }
    if (seconds <= 0 && !may_be_negative) {
      return DurationError(*expr, "duration must be greater than 0");
    }
    if (std::abs(seconds) > kMaxSeconds) {
      return DurationError(*expr, "duration is out of range");
    }
    *ms = static_cast<std::int64_t>(seconds * 1000);
    return absl::OkStatus();
  }

  absl::StatusOr<double> Evaluate(const DurationExpr& expr) {
    using Op = DurationExpr::Op;
    double lhs = 0;
    double rhs = 0;
    if (expr.lhs != nullptr) {
      NARTHEX_ASSIGN_OR_RETURN(lhs, Evaluate(*expr.lhs));
    }
    if (expr.rhs != nullptr) {
      NARTHEX_ASSIGN_OR_RETURN(rhs, Evaluate(*expr.rhs));
    }
    switch (expr.op) {
      case Op::kNumber:
        return expr.seconds;
      case Op::kNegate:
        return -lhs;
      case Op::kPlus:
        return lhs;
      case Op::kAdd:
        return lhs + rhs;
      case Op::kSub:
        return lhs - rhs;
      case Op::kMul:
        return lhs * rhs;
      case Op::kDiv:
        if (rhs == 0) return DurationError(expr, "division by zero");
        return lhs / rhs;
      case Op::kMod:
        if (rhs == 0) return DurationError(expr, "modulo by zero");
        return std::fmod(lhs, rhs);
      case Op::kPow:
        return std::pow(lhs, rhs);
      case Op::kMinOf:
        return std::isnan(lhs) || std::isnan(rhs) ? std::nan("")
                                                  : std::min(lhs, rhs);
      case Op::kMaxOf:
        return std::isnan(lhs) || std::isnan(rhs) ? std::nan("")
                                                  : std::max(lhs, rhs);
      case Op::kStep:
        return step_seconds_;
      case Op::kRange:
        return range_seconds_;
    }
    return 0;
  }

  const double range_seconds_;
  const double step_seconds_;
};

// The children of a node as slots, so that they can be replaced.
std::vector<ExprPtr*> Slots(Expr* expr) {
  switch (expr->kind) {
    case ExprKind::kSubquery:
      return {&expr->As<SubqueryExpr>().expr};
    case ExprKind::kCall: {
      std::vector<ExprPtr*> slots;
      for (ExprPtr& arg : expr->As<Call>().args) slots.push_back(&arg);
      return slots;
    }
    case ExprKind::kAggregate: {
      auto& aggregate = expr->As<AggregateExpr>();
      if (aggregate.param == nullptr) return {&aggregate.expr};
      return {&aggregate.expr, &aggregate.param};
    }
    case ExprKind::kBinary:
      return {&expr->As<BinaryExpr>().lhs, &expr->As<BinaryExpr>().rhs};
    case ExprKind::kUnary:
      return {&expr->As<UnaryExpr>().expr};
    case ExprKind::kParen:
      return {&expr->As<ParenExpr>().expr};
    default:
      return {};
  }
}

// Replaces start(), end(), range() and step() by their values.
void FoldContext(const QueryTimes& times, ExprPtr* slot) {
  if ((*slot)->kind == ExprKind::kCall) {
    const absl::string_view name = (*slot)->As<Call>().function->name;
    const std::int64_t range = times.end_ms - times.start_ms;
    const std::int64_t step = range == 0 ? 0 : times.step_ms;
    const std::int64_t* ms = name == "start"   ? &times.start_ms
                             : name == "end"   ? &times.end_ms
                             : name == "range" ? &range
                             : name == "step"  ? &step
                                               : nullptr;
    if (ms != nullptr) {
      auto number =
          std::make_unique<NumberLiteral>(static_cast<double>(*ms) / 1000);
      number->position = (*slot)->position;
      *slot = std::move(number);
      return;
    }
  }
  for (ExprPtr* child : Slots(slot->get())) FoldContext(times, child);
}

void FixAt(const QueryTimes& times, TimeModifiers* time) {
  if (time->at == TimeModifiers::At::kStart) time->at_ms = times.start_ms;
  if (time->at == TimeModifiers::At::kEnd) time->at_ms = times.end_ms;
  if (time->at != TimeModifiers::At::kNone) {
    time->at = TimeModifiers::At::kTimestamp;
  }
}

// Their value depends on the evaluation time even when the argument's does
// not.
bool DependsOnTime(absl::string_view function) {
  constexpr std::array<absl::string_view, 15> kNames = {
      "day_of_month", "day_of_week", "day_of_year", "days_in_month",  "end",
      "hour",         "minute",      "month",       "predict_linear", "range",
      "start",        "step",        "time",        "timestamp",      "year"};
  return absl::c_linear_search(kNames, function);
}

void Wrap(ExprPtr* slot) {
  auto wrapper = std::make_unique<StepInvariantExpr>();
  wrapper->position = (*slot)->position;
  wrapper->expr = std::move(*slot);
  *slot = std::move(wrapper);
}

void RemoveParens(ExprPtr* slot) {
  while ((*slot)->kind == ExprKind::kParen) {
    ExprPtr inner = std::move((*slot)->As<ParenExpr>().expr);
    *slot = std::move(inner);
  }
}

struct Invariance {
  bool invariant = false;
  bool wrap = false;  // Literals and ranges are invariant but not wrapped.
};

class InvarianceFinder {
 public:
  explicit InvarianceFinder(const QueryTimes& times) : times_(times) {}

  Invariance Find(Expr* expr) {
    switch (expr->kind) {
      case ExprKind::kVectorSelector: {
        const bool fixed = Fixed(&expr->As<VectorSelector>().time);
        return {fixed, fixed};
      }
      case ExprKind::kMatrixSelector:
        return {Fixed(&expr->As<MatrixSelector>().selector->time), false};
      case ExprKind::kSubquery: {
        auto& subquery = expr->As<SubqueryExpr>();
        if (Find(subquery.expr.get()).invariant) Wrap(&subquery.expr);
        return {Fixed(&subquery.time), false};
      }
      case ExprKind::kAggregate: {
        auto& aggregate = expr->As<AggregateExpr>();
        RemoveParens(&aggregate.expr);
        if (aggregate.param == nullptr) return Find(aggregate.expr.get());
        RemoveParens(&aggregate.param);
        const Invariance param = Find(aggregate.param.get());
        Invariance inner = Find(aggregate.expr.get());
        if (!inner.invariant || param.invariant) return inner;
        // A parameter that changes with time makes the whole change.
        if (inner.wrap) Wrap(&aggregate.expr);
        return {false, false};
      }
      case ExprKind::kBinary:
        return FindBinary(&expr->As<BinaryExpr>());
      case ExprKind::kCall:
        return FindCall(&expr->As<Call>());
      case ExprKind::kParen:
        return Find(expr->As<ParenExpr>().expr.get());
      case ExprKind::kUnary:
        return Find(expr->As<UnaryExpr>().expr.get());
      case ExprKind::kStepInvariant:
      case ExprKind::kNumber:
      case ExprKind::kString:
        break;
    }
    return {true, false};
  }

 private:
  bool Fixed(TimeModifiers* time) {
    FixAt(times_, time);
    return time->at != TimeModifiers::At::kNone;
  }

  Invariance FindBinary(BinaryExpr* binary) {
    const Invariance lhs = Find(binary->lhs.get());
    const Invariance rhs = Find(binary->rhs.get());
    if (lhs.invariant && rhs.invariant) return {true, true};
    if (lhs.wrap) Wrap(&binary->lhs);
    if (rhs.wrap) Wrap(&binary->rhs);
    return {false, false};
  }

  Invariance FindCall(Call* call) {
    bool all = true;
    bool only_selectors = true;
    std::vector<ExprPtr*> to_wrap;
    for (ExprPtr& arg : call->args) {
      RemoveParens(&arg);
      const Invariance found = Find(arg.get());
      all = all && found.invariant;
      only_selectors = only_selectors && arg->kind == ExprKind::kVectorSelector;
      if (found.wrap) to_wrap.push_back(&arg);
    }
    // timestamp(m @ 1) takes its samples' own times, whatever the step.
    const bool timestamps =
        call->function->name == "timestamp" && only_selectors;
    if (all && (timestamps || !DependsOnTime(call->function->name))) {
      return {true, true};
    }
    for (ExprPtr* arg : to_wrap) Wrap(arg);
    return {false, false};
  }

  const QueryTimes times_;
};

}  // namespace

absl::Status ResolveDurations(std::int64_t range_ms, std::int64_t step_ms,
                              Expr* root) {
  return DurationResolver(range_ms, step_ms).Resolve(root);
}

absl::StatusOr<ExprPtr> Prepare(ExprPtr root, std::int64_t start_ms,
                                std::int64_t end_ms, std::int64_t step_ms) {
  const QueryTimes times = {start_ms, end_ms, step_ms};
  FoldContext(times, &root);
  NARTHEX_RETURN_IF_ERROR(
      ResolveDurations(end_ms - start_ms, step_ms, root.get()));
  if (InvarianceFinder(times).Find(root.get()).wrap) Wrap(&root);
  return root;
}

}  // namespace narthex::promql
