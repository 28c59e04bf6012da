#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/model/labels.h"
#include "libs/model/matcher.h"
#include "libs/promql/ast.h"
#include "libs/promql/internal/lexer.h"
#include "libs/promql/parser.h"

namespace narthex::promql::internal {

/// Remembers the first thing wrong with an expression: the one users see.
class ErrorSink {
 public:
  explicit ErrorSink(absl::string_view text) : text_(text) {}
  void Add(PositionRange position, absl::string_view message);
  bool failed() const { return !status_.ok(); }
  const absl::Status& status() const { return status_; }

 private:
  absl::string_view text_;
  absl::Status status_;
};

/// Finds type errors in a syntactically correct tree; completes vector
/// matching on the way.
void CheckTypes(absl::string_view text, Expr* root, ErrorSink* errors);

/// Recursive descent with precedence climbing, one token of lookahead. A
/// function that meets a syntax error records it and returns null; callers
/// return at once. Semantic errors are recorded and parsing goes on.
class Parser {
 public:
  Parser(absl::string_view text, const ParserOptions& options);

  ExprPtr ParseWholeExpression();
  std::unique_ptr<VectorSelector> ParseWholeSelector();
  model::Labels ParseWholeMetric();
  const absl::Status& status() const { return errors_.status(); }

 private:
  using DurationPtr = std::unique_ptr<DurationExpr>;

  /// What an unexpected token is said to be in, and what was expected, until
  /// the next one is set; restored at the end of the scope.
  class Context {
   public:
    Context(Parser* parser, const char* place, const char* expected)
        : parser_(parser),
          place_(parser->place_),
          expected_(parser->expected_) {
      Set(place, expected);
    }
    ~Context() { parser_->SetContext(place_, expected_); }
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;
    void Set(const char* place, const char* expected) {
      parser_->SetContext(place, expected);
    }

   private:
    Parser* const parser_;
    const char* const place_;
    const char* const expected_;
  };

  /// Counts nesting, so that hostile input cannot exhaust the stack.
  class Nesting {
   public:
    explicit Nesting(Parser* parser) : parser_(parser) { parser_->Deeper(); }
    ~Nesting() { parser_->depth_ -= taken_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;
    /// Another level that lasts as long as this one.
    void Add() {
      parser_->Deeper();
      ++taken_;
    }

   private:
    Parser* const parser_;
    int taken_ = 1;
  };

  void SetContext(const char* place, const char* expected) {
    place_ = place;
    expected_ = expected;
  }
  void Deeper();
  void Advance();
  bool At(TokenType type) const { return token_.type == type; }
  bool AtOperator(BinaryOp op) const {
    return At(TokenType::kOperator) && token_.op == op;
  }
  bool AtSign() const {
    return AtOperator(BinaryOp::kAdd) || AtOperator(BinaryOp::kSub);
  }
  /// Takes a token of that type, or reports the one there is.
  bool Expect(TokenType type);
  bool failed() const { return stopped_; }
  std::nullptr_t Unexpected();
  void Error(PositionRange position, absl::string_view message) {
    errors_.Add(position, message);
  }

  // Expressions.
  ExprPtr ParseExpr(int min_precedence);
  ExprPtr ParseOperand();
  ExprPtr ParseUnary();
  ExprPtr ParsePrimary();
  ExprPtr ParsePostfix(ExprPtr expr);
  ExprPtr ParseParen();
  ExprPtr ParseCall(const Token& name);
  /// Stops at the closing parenthesis, which is not taken.
  bool ParseArguments(std::vector<ExprPtr>* args);
  ExprPtr ParseAggregate(const Token& op);
  bool ParseAggregateModifier(AggregateExpr* aggregate);
  ExprPtr FinishAggregate(std::unique_ptr<AggregateExpr> aggregate,
                          std::vector<ExprPtr> args);
  bool ParseBinaryModifiers(BinaryExpr* binary);
  bool ParseFill(BinaryExpr* binary);
  bool ParseFillValue(double* value);
  bool ParseGrouping(std::vector<std::string>* labels);
  bool ParseGroupingLabel(std::vector<std::string>* labels);
  ExprPtr ParseNumber();
  double NumberValue(const Token& token, bool* is_duration);
  std::string StringValue(const Token& token);

  // Selectors and what may follow them.
  std::unique_ptr<VectorSelector> ParseSelector();
  bool ParseMatchers(VectorSelector* selector);
  bool ParseMatcher(VectorSelector* selector);
  void AddMatcher(model::MatchType type, const std::string& name,
                  const Token& first, const Token& value,
                  VectorSelector* selector);
  bool ParseLabelSet(model::LabelsBuilder* builder);
  ExprPtr ParseBrackets(ExprPtr expr);
  ExprPtr MakeMatrix(ExprPtr expr, PositionRange brackets, DurationPtr range);
  ExprPtr ParseOffset(ExprPtr expr);
  ExprPtr ParseAt(ExprPtr expr);
  ExprPtr ParseExtended(ExprPtr expr);
  TimeModifiers* ModifiersOf(Expr* expr, absl::string_view what);

  // Durations.
  DurationPtr ParsePositiveDuration();
  DurationPtr ParseOffsetDuration();
  DurationPtr ParseDuration(int min_precedence);
  DurationPtr ParseDurationOperand();
  DurationPtr ParseDurationNumber();
  DurationPtr ParseDurationCall();
  DurationPtr ParseDurationParen();
  DurationPtr ApplySign(const Token& sign, DurationPtr operand);
  void RequireDurationExpressions(const DurationExpr& expr);

  Lexer lexer_;
  const ParserOptions options_;
  ErrorSink errors_;
  Token token_;             // The lookahead.
  int previous_end_ = 0;    // Where the token before it ended.
  bool stopped_ = false;    // By a syntax error.
  const char* place_ = "";  // Of Context.
  const char* expected_ = "";
  int depth_ = 0;
};

/// Binding strength, from 1 (or) to 6 (^).
int Precedence(BinaryOp op);

/// Whether a token can be a metric name outside braces.
bool IsMetricName(const Token& token);

/// A plain number as milliseconds.
std::int64_t SecondsToMs(double seconds);

}  // namespace narthex::promql::internal
