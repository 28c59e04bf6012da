#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/promql/internal/syntax.h"

namespace narthex::promql::internal {
namespace {

constexpr char kMatching[] = "label matching";

bool IsMatchOperator(const Token& token, model::MatchType* type) {
  switch (token.type) {
    case TokenType::kEqual:
      *type = model::MatchType::kEqual;
      return true;
    case TokenType::kRegex:
      *type = model::MatchType::kRegex;
      return true;
    case TokenType::kNotRegex:
      *type = model::MatchType::kNotRegex;
      return true;
    case TokenType::kOperator:
      *type = model::MatchType::kNotEqual;
      return token.op == BinaryOp::kNotEqual;
    default:
      return false;
  }
}

}  // namespace

std::unique_ptr<VectorSelector> Parser::ParseSelector() {
  auto selector = std::make_unique<VectorSelector>();
  selector->position = token_.range();
  if (!At(TokenType::kLeftBrace)) {
    selector->name = std::string(token_.text);
    Advance();
  }
  if (At(TokenType::kLeftBrace)) {
    if (!ParseMatchers(selector.get())) return nullptr;
    selector->position.end = previous_end_;
  }
  if (!selector->name.empty()) {
    selector->matchers.push_back(
        model::Matcher::Equal(model::kMetricName, selector->name));
  }
  return selector;
}

bool Parser::ParseMatchers(VectorSelector* selector) {
  Context context(this, kMatching, "identifier or \"}\"");
  Advance();
  while (!At(TokenType::kRightBrace)) {
    context.Set(kMatching, "identifier or \"}\"");
    if (!ParseMatcher(selector)) return false;
    if (At(TokenType::kRightBrace)) break;
    context.Set(kMatching, "\",\" or \"}\"");
    if (!Expect(TokenType::kComma)) return false;
  }
  Advance();
  return true;
}

bool Parser::ParseMatcher(VectorSelector* selector) {
  const Token first = token_;
  std::string name;
  if (first.type == TokenType::kIdentifier) {
    name = std::string(first.text);
  } else if (first.type == TokenType::kString) {
    name = StringValue(first);
  } else {
    Unexpected();
    return false;
  }
  Advance();
  model::MatchType type = model::MatchType::kEqual;
  if (!IsMatchOperator(token_, &type)) {
    if (first.type == TokenType::kString) {
      // A quoted text alone is the metric's name.
      selector->matchers.push_back(
          model::Matcher::Equal(model::kMetricName, name));
      return true;
    }
    SetContext(kMatching, "label matching operator");
    Unexpected();
    return false;
  }
  Advance();
  if (!At(TokenType::kString)) {
    SetContext(kMatching, "string");
    Unexpected();
    return false;
  }
  AddMatcher(type, name, first, token_, selector);
  Advance();
  return true;
}

void Parser::AddMatcher(model::MatchType type, const std::string& name,
                        const Token& first, const Token& value,
                        VectorSelector* selector) {
  auto matcher = model::Matcher::Create(type, name, StringValue(value));
  if (matcher.ok()) {
    selector->matchers.push_back(*std::move(matcher));
  } else {
    Error({first.position, value.end()}, matcher.status().message());
  }
}

bool Parser::ParseLabelSet(model::LabelsBuilder* builder) {
  constexpr char kPlace[] = "label set";
  Context context(this, kPlace, "identifier or \"}\"");
  Advance();
  while (!At(TokenType::kRightBrace)) {
    context.Set(kPlace, "identifier or \"}\"");
    const Token first = token_;
    const bool quoted = first.type == TokenType::kString;
    if (!quoted && first.type != TokenType::kIdentifier) {
      Unexpected();
      return false;
    }
    const std::string name =
        quoted ? StringValue(first) : std::string(first.text);
    Advance();
    if (At(TokenType::kEqual)) {
      Advance();
      context.Set(kPlace, "string");
      const Token value = token_;
      if (!Expect(TokenType::kString)) return false;
      builder->Set(name, StringValue(value));
    } else if (quoted) {
      builder->Set(model::kMetricName, name);
    } else {
      context.Set(kPlace, "\"=\"");
      Unexpected();
      return false;
    }
    if (At(TokenType::kRightBrace)) break;
    context.Set(kPlace, "\",\" or \"}\"");
    if (!Expect(TokenType::kComma)) return false;
  }
  Advance();
  return true;
}

ExprPtr Parser::ParsePostfix(ExprPtr expr) {
  Nesting nesting(this);
  while (expr != nullptr && !failed()) {
    nesting.Add();
    switch (token_.type) {
      case TokenType::kLeftBracket:
        expr = ParseBrackets(std::move(expr));
        break;
      case TokenType::kOffset:
        expr = ParseOffset(std::move(expr));
        break;
      case TokenType::kAt:
        expr = ParseAt(std::move(expr));
        break;
      case TokenType::kAnchored:
      case TokenType::kSmoothed:
        expr = ParseExtended(std::move(expr));
        break;
      default:
        return expr;
    }
  }
  return failed() ? nullptr : std::move(expr);
}

ExprPtr Parser::ParseBrackets(ExprPtr expr) {
  Context context(this, "subquery or range selector",
                  "number, duration, step(), or range()");
  const int start = token_.position;
  Advance();
  DurationPtr range = ParsePositiveDuration();
  if (range == nullptr) return nullptr;
  if (At(TokenType::kRightBracket)) {
    expr = MakeMatrix(std::move(expr), {start, token_.end()}, std::move(range));
    Advance();
    return expr;
  }
  context.Set("subquery or range", "\":\" or \"]\"");
  if (!Expect(TokenType::kColon)) return nullptr;
  context.Set("subquery selector",
              "number, duration, step(), range(), or \"]\"");
  DurationPtr step;
  if (!At(TokenType::kRightBracket)) {
    step = ParsePositiveDuration();
    if (step == nullptr) return nullptr;
    context.Set("subquery selector", "\"]\"");
  }
  if (!Expect(TokenType::kRightBracket)) return nullptr;
  auto subquery = std::make_unique<SubqueryExpr>();
  subquery->position = {expr->position.start, previous_end_};
  subquery->expr = std::move(expr);
  if (range->op == DurationExpr::Op::kNumber) {
    subquery->range_ms = SecondsToMs(range->seconds);
  } else {
    subquery->range_expr = std::move(range);
  }
  if (step != nullptr && step->op == DurationExpr::Op::kNumber) {
    subquery->step_ms = SecondsToMs(step->seconds);
  } else {
    subquery->step_expr = std::move(step);
  }
  return subquery;
}

ExprPtr Parser::MakeMatrix(ExprPtr expr, PositionRange brackets,
                           DurationPtr range) {
  absl::string_view problem;
  if (expr->kind != ExprKind::kVectorSelector) {
    problem = "ranges only allowed for vector selectors";
  } else {
    const TimeModifiers& time = expr->As<VectorSelector>().time;
    if (time.offset_ms != 0 || time.offset_expr != nullptr) {
      problem = "no offset modifiers allowed before range";
    } else if (time.at != TimeModifiers::At::kNone) {
      problem = "no @ modifiers allowed before range";
    }
  }
  if (!problem.empty()) {
    Error(brackets, problem);
    return expr;
  }
  auto matrix = std::make_unique<MatrixSelector>();
  matrix->position = {expr->position.start, brackets.end};
  matrix->selector.reset(static_cast<VectorSelector*>(expr.release()));
  if (range->op == DurationExpr::Op::kNumber) {
    matrix->range_ms = SecondsToMs(range->seconds);
  } else {
    matrix->range_expr = std::move(range);
  }
  return matrix;
}

TimeModifiers* Parser::ModifiersOf(Expr* expr, absl::string_view what) {
  switch (expr->kind) {
    case ExprKind::kVectorSelector:
      return &expr->As<VectorSelector>().time;
    case ExprKind::kMatrixSelector:
      return &expr->As<MatrixSelector>().selector->time;
    case ExprKind::kSubquery:
      return &expr->As<SubqueryExpr>().time;
    default:
      Error(expr->position,
            absl::StrCat(what,
                         " modifier must be preceded by an instant vector "
                         "selector or range vector selector or a subquery"));
      return nullptr;
  }
}

ExprPtr Parser::ParseOffset(ExprPtr expr) {
  Context context(this, "offset", "number, duration, step(), or range()");
  Advance();
  DurationPtr offset = ParseOffsetDuration();
  if (offset == nullptr) return nullptr;
  TimeModifiers* const time = ModifiersOf(expr.get(), "offset");
  if (time == nullptr) return expr;
  if (time->offset_ms != 0 || time->offset_expr != nullptr) {
    Error(expr->position, "offset may not be set multiple times");
  } else if (offset->op == DurationExpr::Op::kNumber) {
    time->offset_ms = SecondsToMs(offset->seconds);
  } else {
    time->offset_expr = std::move(offset);
  }
  expr->position.end = previous_end_;
  return expr;
}

ExprPtr Parser::ParseAt(ExprPtr expr) {
  Context context(this, "@", "timestamp");
  Advance();
  auto at = TimeModifiers::At::kTimestamp;
  double seconds = 0;
  if (At(TokenType::kStart) || At(TokenType::kEnd)) {
    at = At(TokenType::kStart) ? TimeModifiers::At::kStart
                               : TimeModifiers::At::kEnd;
    Advance();
    if (!Expect(TokenType::kLeftParen) || !Expect(TokenType::kRightParen)) {
      return nullptr;
    }
  } else {
    const bool negative = AtOperator(BinaryOp::kSub);
    if (AtSign()) Advance();
    if (!At(TokenType::kNumber) && !At(TokenType::kDuration)) {
      return Unexpected();
    }
    bool is_duration = false;
    seconds = NumberValue(token_, &is_duration);
    if (negative) seconds = -seconds;
    Advance();
    if (!(std::abs(seconds) < 9223372036854775808.0)) {
      Error(expr->position,
            absl::StrFormat("timestamp out of bounds for @ modifier: %s",
                            std::isnan(seconds) ? "NaN"
                            : std::isinf(seconds)
                                ? (seconds > 0 ? "+Inf" : "-Inf")
                                : absl::StrFormat("%f", seconds)));
      return expr;
    }
  }
  TimeModifiers* const time = ModifiersOf(expr.get(), "@");
  if (time == nullptr) return expr;
  if (time->at != TimeModifiers::At::kNone) {
    Error(expr->position, "@ <timestamp> may not be set multiple times");
    return expr;
  }
  time->at = at;
  // Clamped: beyond any storable time a selector finds nothing anyway.
  constexpr double kLimit = 9.2e15;
  time->at_ms = static_cast<std::int64_t>(
      std::round(std::clamp(seconds, -kLimit, kLimit) * 1000));
  expr->position.end = previous_end_;
  return expr;
}

ExprPtr Parser::ParseExtended(ExprPtr expr) {
  const bool anchored = At(TokenType::kAnchored);
  const absl::string_view word = anchored ? "anchored" : "smoothed";
  Advance();
  if (!options_.extended_range_selectors) {
    Error(expr->position,
          absl::StrCat(word, " modifier is experimental and not enabled"));
    return expr;
  }
  VectorSelector* selector = nullptr;
  if (expr->kind == ExprKind::kVectorSelector) {
    selector = &expr->As<VectorSelector>();
  } else if (expr->kind == ExprKind::kMatrixSelector) {
    selector = expr->As<MatrixSelector>().selector.get();
  } else if (expr->kind == ExprKind::kSubquery) {
    Error(expr->position,
          absl::StrCat(word, " modifier is not supported for subqueries"));
    return expr;
  } else {
    Error(expr->position, absl::StrCat(word, " modifier not implemented"));
    return expr;
  }
  (anchored ? selector->anchored : selector->smoothed) = true;
  if (selector->anchored && selector->smoothed) {
    Error(expr->position,
          "anchored and smoothed modifiers cannot be used together");
  }
  return expr;
}

}  // namespace narthex::promql::internal
