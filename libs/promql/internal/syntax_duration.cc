#include <cmath>
#include <utility>

#include "libs/promql/internal/syntax.h"

namespace narthex::promql::internal {
namespace {

using Op = DurationExpr::Op;

// Nanoseconds of a duration fit 64 bits.
constexpr double kMaxSeconds = 9223372036.854775807;

bool OutOfRange(double seconds) {
  return seconds > kMaxSeconds || seconds < -kMaxSeconds;
}

bool ToDurationOp(BinaryOp op, Op* duration_op) {
  switch (op) {
    case BinaryOp::kAdd:
      *duration_op = Op::kAdd;
      return true;
    case BinaryOp::kSub:
      *duration_op = Op::kSub;
      return true;
    case BinaryOp::kMul:
      *duration_op = Op::kMul;
      return true;
    case BinaryOp::kDiv:
      *duration_op = Op::kDiv;
      return true;
    case BinaryOp::kMod:
      *duration_op = Op::kMod;
      return true;
    case BinaryOp::kPow:
      *duration_op = Op::kPow;
      return true;
    default:
      return false;
  }
}

std::unique_ptr<DurationExpr> MakeDuration(Op op, PositionRange position) {
  auto expr = std::make_unique<DurationExpr>();
  expr->op = op;
  expr->position = position;
  return expr;
}

bool IsZero(const DurationExpr& expr) {
  return expr.op == Op::kNumber && expr.seconds == 0;
}

}  // namespace

std::unique_ptr<DurationExpr> Parser::ParsePositiveDuration() {
  DurationPtr expr = ParseDuration(0);
  if (expr != nullptr && expr->op == Op::kNumber && expr->seconds <= 0) {
    Error(expr->position, "duration must be greater than 0");
  }
  return expr;
}

// A single literal or call ends the offset, so that `a offset 5m + b` is a
// sum; only after a parenthesis does arithmetic go on.
std::unique_ptr<DurationExpr> Parser::ParseOffsetDuration() {
  if (At(TokenType::kLeftParen)) return ParseDuration(0);
  if (!AtSign()) return ParseDurationOperand();
  const Token sign = token_;
  Advance();
  if (AtSign()) {
    // "- -5m": the general form takes over.
    DurationPtr inner = ParseDuration(Precedence(BinaryOp::kPow));
    return inner == nullptr ? nullptr : ApplySign(sign, std::move(inner));
  }
  DurationPtr operand = ParseDurationOperand();
  return operand == nullptr ? nullptr : ApplySign(sign, std::move(operand));
}

std::unique_ptr<DurationExpr> Parser::ParseDuration(int min_precedence) {
  Nesting nesting(this);
  if (failed()) return nullptr;
  DurationPtr lhs;
  if (AtSign()) {
    const Token sign = token_;
    Advance();
    lhs = ParseDuration(Precedence(BinaryOp::kPow));
    if (lhs != nullptr) lhs = ApplySign(sign, std::move(lhs));
  } else {
    lhs = ParseDurationOperand();
  }
  Op op = Op::kAdd;
  while (lhs != nullptr && At(TokenType::kOperator) &&
         ToDurationOp(token_.op, &op)) {
    const int precedence = Precedence(token_.op);
    if (precedence < min_precedence) break;
    nesting.Add();
    const PositionRange sign = token_.range();
    Advance();
    DurationPtr rhs =
        ParseDuration(op == Op::kPow ? precedence : precedence + 1);
    if (rhs == nullptr) return nullptr;
    RequireDurationExpressions(*lhs);
    if (op == Op::kDiv && IsZero(*rhs)) Error(sign, "division by zero");
    if (op == Op::kMod && IsZero(*rhs)) Error(sign, "modulo by zero");
    DurationPtr binary =
        MakeDuration(op, {lhs->position.start, rhs->position.end});
    binary->lhs = std::move(lhs);
    binary->rhs = std::move(rhs);
    lhs = std::move(binary);
  }
  return lhs;
}

std::unique_ptr<DurationExpr> Parser::ParseDurationOperand() {
  switch (token_.type) {
    case TokenType::kNumber:
    case TokenType::kDuration:
      return ParseDurationNumber();
    case TokenType::kLeftParen:
      return ParseDurationParen();
    case TokenType::kStep:
    case TokenType::kRange:
    case TokenType::kMaxOf:
    case TokenType::kMinOf:
      return ParseDurationCall();
    default:
      return Unexpected();
  }
}

std::unique_ptr<DurationExpr> Parser::ParseDurationNumber() {
  DurationPtr expr = MakeDuration(Op::kNumber, token_.range());
  expr->seconds = NumberValue(token_, &expr->is_duration);
  if (OutOfRange(expr->seconds)) {
    Error(token_.range(), "duration out of range");
    expr->seconds = 0;
  }
  Advance();
  return expr;
}

std::unique_ptr<DurationExpr> Parser::ParseDurationParen() {
  const int start = token_.position;
  Advance();
  DurationPtr inner = ParseDuration(0);
  if (inner == nullptr || !Expect(TokenType::kRightParen)) return nullptr;
  RequireDurationExpressions(*inner);
  if (inner->op != Op::kNumber) {
    inner->wrapped = true;
    return inner;
  }
  // A bare number has no room for its parentheses.
  DurationPtr plus = MakeDuration(Op::kPlus, {start, previous_end_});
  plus->wrapped = true;
  plus->lhs = std::move(inner);
  return plus;
}

std::unique_ptr<DurationExpr> Parser::ParseDurationCall() {
  const Token name = token_;
  const bool constant =
      name.type == TokenType::kStep || name.type == TokenType::kRange;
  const Op op = name.type == TokenType::kStep    ? Op::kStep
                : name.type == TokenType::kRange ? Op::kRange
                : name.type == TokenType::kMaxOf ? Op::kMaxOf
                                                 : Op::kMinOf;
  DurationPtr call = MakeDuration(op, name.range());
  Advance();
  if (!Expect(TokenType::kLeftParen)) return nullptr;
  if (!constant) {
    call->lhs = ParseDuration(0);
    if (call->lhs == nullptr || !Expect(TokenType::kComma)) return nullptr;
    call->rhs = ParseDuration(0);
    if (call->rhs == nullptr) return nullptr;
  }
  if (!Expect(TokenType::kRightParen)) return nullptr;
  call->position.end = previous_end_;
  RequireDurationExpressions(*call);
  return call;
}

std::unique_ptr<DurationExpr> Parser::ApplySign(const Token& sign,
                                                DurationPtr operand) {
  const bool negative = sign.op == BinaryOp::kSub;
  if (operand->op == Op::kNumber) {
    if (negative) operand->seconds = -operand->seconds;
    operand->position.start = sign.position;
    return operand;
  }
  if (!negative) return operand;
  DurationPtr negate =
      MakeDuration(Op::kNegate, {sign.position, operand->position.end});
  negate->lhs = std::move(operand);
  return negate;
}

void Parser::RequireDurationExpressions(const DurationExpr& expr) {
  if (options_.duration_expressions) return;
  Error(expr.position, "experimental duration expression is not enabled");
}

}  // namespace narthex::promql::internal
