#include "libs/promql/internal/syntax.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace narthex::promql::internal {
namespace {

// Far deeper than queries are; the evaluation of such a tree still fits any
// thread's stack.
constexpr int kMaxDepth = 1000;

}  // namespace

void ErrorSink::Add(PositionRange position, absl::string_view message) {
  if (failed()) return;
  status_ = absl::InvalidArgumentError(absl::StrCat(
      LineColumn(text_, position.start), ": parse error: ", message));
}

Parser::Parser(absl::string_view text, const ParserOptions& options)
    : lexer_(text), options_(options), errors_(text) {
  Advance();
}

void Parser::Deeper() {
  if (++depth_ <= kMaxDepth || stopped_) return;
  Error(token_.range(), "expression is nested too deeply");
  stopped_ = true;
}

void Parser::Advance() {
  previous_end_ = token_.end();
  token_ = lexer_.Next();
  if (!At(TokenType::kError)) return;
  Error(token_.range(), token_.message);
}

bool Parser::Expect(TokenType type) {
  if (!At(type)) {
    Unexpected();
    return false;
  }
  Advance();
  return true;
}

std::nullptr_t Parser::Unexpected() {
  if (stopped_) return nullptr;
  stopped_ = true;
  if (At(TokenType::kError)) return nullptr;  // Reported when it was read.
  std::string message = absl::StrCat("unexpected ", token_.Describe());
  if (*place_ != '\0') absl::StrAppend(&message, " in ", place_);
  if (*expected_ != '\0') absl::StrAppend(&message, ", expected ", expected_);
  Error(token_.range(), message);
  return nullptr;
}

ExprPtr Parser::ParseWholeExpression() {
  if (At(TokenType::kEof)) {
    Error({}, "no expression found in input");
    return nullptr;
  }
  ExprPtr expr = ParseExpr(0);
  if (!failed() && !At(TokenType::kEof)) Unexpected();
  return errors_.failed() ? nullptr : std::move(expr);
}

std::unique_ptr<VectorSelector> Parser::ParseWholeSelector() {
  if (!IsMetricName(token_) && !At(TokenType::kLeftBrace)) {
    return Unexpected();
  }
  auto selector = ParseSelector();
  if (!failed() && !At(TokenType::kEof)) Unexpected();
  return errors_.failed() ? nullptr : std::move(selector);
}

model::Labels Parser::ParseWholeMetric() {
  model::LabelsBuilder builder;
  std::string name;
  if (IsMetricName(token_)) {
    name = std::string(token_.text);
    Advance();
  }
  if (At(TokenType::kLeftBrace)) ParseLabelSet(&builder);
  if (!name.empty()) builder.Set(model::kMetricName, name);
  if (!failed() && !At(TokenType::kEof)) Unexpected();
  return builder.Build();
}

int Precedence(BinaryOp op) {
  switch (op) {
    case BinaryOp::kOr:
      return 1;
    case BinaryOp::kAnd:
    case BinaryOp::kUnless:
      return 2;
    case BinaryOp::kEqual:
    case BinaryOp::kNotEqual:
    case BinaryOp::kGreater:
    case BinaryOp::kLess:
    case BinaryOp::kGreaterEqual:
    case BinaryOp::kLessEqual:
    case BinaryOp::kTrimUpper:
    case BinaryOp::kTrimLower:
      return 3;
    case BinaryOp::kAdd:
    case BinaryOp::kSub:
      return 4;
    case BinaryOp::kMul:
    case BinaryOp::kDiv:
    case BinaryOp::kMod:
    case BinaryOp::kAtan2:
      return 5;
    case BinaryOp::kPow:
      return 6;
  }
  return 0;
}

bool IsMetricName(const Token& token) {
  switch (token.type) {
    case TokenType::kIdentifier:
    case TokenType::kMetricIdentifier:
    case TokenType::kAggregate:
    case TokenType::kBy:
    case TokenType::kWithout:
    case TokenType::kFill:
    case TokenType::kFillLeft:
    case TokenType::kFillRight:
    case TokenType::kOffset:
    case TokenType::kAnchored:
    case TokenType::kSmoothed:
    case TokenType::kStart:
    case TokenType::kEnd:
    case TokenType::kStep:
    case TokenType::kRange:
    case TokenType::kMaxOf:
    case TokenType::kMinOf:
      return true;
    case TokenType::kOperator:
      return IsSetOperator(token.op);
    default:
      return false;
  }
}

std::int64_t SecondsToMs(double seconds) {
  // Nanoseconds first, as durations are counted upstream.
  return static_cast<std::int64_t>(std::round(seconds * 1e9)) / 1'000'000;
}

}  // namespace narthex::promql::internal
