#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/model/matcher.h"

namespace narthex::promql {

/// A half-open range of byte offsets into the text that was parsed.
struct PositionRange {
  int start = 0;
  int end = 0;
};

/// What an expression evaluates to.
enum class ValueType { kNone, kScalar, kString, kVector, kMatrix };

/// "scalar", "string", "instant vector", "range vector": as error messages and
/// the printed syntax tree name the type.
absl::string_view ValueTypeName(ValueType type);
/// "scalar", "string", "vector", "matrix": as the HTTP API names it.
absl::string_view ValueTypeApiName(ValueType type);

enum class BinaryOp {
  kPow,
  kMul,
  kDiv,
  kMod,
  kAtan2,
  kAdd,
  kSub,
  kEqual,
  kNotEqual,
  kGreater,
  kLess,
  kGreaterEqual,
  kLessEqual,
  kTrimUpper,  // "</": keeps the observations below.
  kTrimLower,  // ">/": keeps the observations above.
  kAnd,
  kUnless,
  kOr,
};

absl::string_view BinaryOpText(BinaryOp op);
/// == != > < >= <=
bool IsComparison(BinaryOp op);
/// and, or, unless
bool IsSetOperator(BinaryOp op);

enum class AggregateOp {
  kSum,
  kAvg,
  kMin,
  kMax,
  kCount,
  kGroup,
  kStddev,
  kStdvar,
  kTopk,
  kBottomk,
  kQuantile,
  kCountValues,
  kLimitk,
  kLimitRatio,
};

absl::string_view AggregateOpText(AggregateOp op);
/// Whether the operator takes a parameter before the vector: topk, bottomk,
/// quantile, count_values, limitk, limit_ratio.
bool HasParameter(AggregateOp op);

enum class ExprKind {
  kNumber,
  kString,
  kVectorSelector,
  kMatrixSelector,
  kSubquery,
  kCall,
  kAggregate,
  kBinary,
  kUnary,
  kParen,
  kStepInvariant,
};

/// A node of the syntax tree. Nodes own their children; a tree is not shared
/// while it is being changed.
struct Expr {
  explicit Expr(ExprKind node_kind) : kind(node_kind) {}
  virtual ~Expr() = default;
  Expr(const Expr&) = delete;
  Expr& operator=(const Expr&) = delete;

  /// The type of its value.
  virtual ValueType type() const = 0;

  /// As Prometheus prints it; parsing that gives an equal tree.
  std::string String() const;

  /// Downcast; the caller has looked at `kind`.
  template <typename T>
  T& As() {
    return static_cast<T&>(*this);
  }
  template <typename T>
  const T& As() const {
    return static_cast<const T&>(*this);
  }

  const ExprKind kind;
  PositionRange position;
};

using ExprPtr = std::unique_ptr<Expr>;

/// A duration that is computed: in ranges, offsets and steps.
struct DurationExpr {
  enum class Op {
    kNumber,  // `seconds`.
    kNegate,  // -lhs
    kPlus,    // +lhs
    kAdd,
    kSub,
    kMul,
    kDiv,
    kMod,
    kPow,
    kMinOf,
    kMaxOf,
    kStep,   // step(): the query's step.
    kRange,  // range(): the query's end minus start.
  };
  Op op = Op::kNumber;
  double seconds = 0;
  bool is_duration = false;  // Written as 5m, not as 300.
  bool wrapped = false;      // Written in parentheses.
  std::unique_ptr<DurationExpr> lhs;
  std::unique_ptr<DurationExpr> rhs;
  PositionRange position;

  std::string String() const;
  std::unique_ptr<DurationExpr> Clone() const;
};

/// The `offset` and `@` of a selector or subquery.
struct TimeModifiers {
  enum class At { kNone, kTimestamp, kStart, kEnd };

  At at = At::kNone;
  std::int64_t at_ms = 0;  // Meaning of kTimestamp.
  /// As written; ResolveDurations() fills it from `offset_expr`.
  std::int64_t offset_ms = 0;
  std::unique_ptr<DurationExpr> offset_expr;  // Null when a plain duration.
};

struct NumberLiteral : Expr {
  explicit NumberLiteral(double number)
      : Expr(ExprKind::kNumber), value(number) {}
  ValueType type() const override { return ValueType::kScalar; }

  double value;
  bool is_duration = false;  // Written as 5m, not as 300.
};

struct StringLiteral : Expr {
  explicit StringLiteral(std::string text)
      : Expr(ExprKind::kString), value(std::move(text)) {}
  ValueType type() const override { return ValueType::kString; }

  std::string value;
};

struct VectorSelector : Expr {
  VectorSelector() : Expr(ExprKind::kVectorSelector) {}
  ValueType type() const override { return ValueType::kVector; }

  /// The metric name when written outside or quoted inside the braces; it is
  /// also among `matchers`.
  std::string name;
  std::vector<model::Matcher> matchers;
  TimeModifiers time;
  bool anchored = false;
  bool smoothed = false;
  /// info()'s second argument: names which labels to join.
  bool bypass_empty_check = false;
};

struct MatrixSelector : Expr {
  MatrixSelector() : Expr(ExprKind::kMatrixSelector) {}
  ValueType type() const override { return ValueType::kMatrix; }

  /// Holds matchers, offset, @, anchored and smoothed.
  std::unique_ptr<VectorSelector> selector;
  std::int64_t range_ms = 0;
  std::unique_ptr<DurationExpr> range_expr;  // Null when a plain duration.
};

struct SubqueryExpr : Expr {
  SubqueryExpr() : Expr(ExprKind::kSubquery) {}
  ValueType type() const override { return ValueType::kMatrix; }

  ExprPtr expr;
  std::int64_t range_ms = 0;
  std::unique_ptr<DurationExpr> range_expr;
  std::int64_t step_ms = 0;  // 0: the default step.
  std::unique_ptr<DurationExpr> step_expr;
  TimeModifiers time;
};

/// What a function takes and gives.
struct Function {
  absl::string_view name;
  std::vector<ValueType> argument_types;
  /// 0: exactly argument_types; n > 0: the last may be left out or repeated up
  /// to n times in all; -1: the last may be repeated without bound.
  int variadic = 0;
  ValueType return_type = ValueType::kVector;
  bool experimental = false;
};

/// The function named `name`, or null.
const Function* FindFunction(absl::string_view name);
/// All functions, sorted by name.
const std::vector<Function>& AllFunctions();

struct Call : Expr {
  Call() : Expr(ExprKind::kCall) {}
  ValueType type() const override { return function->return_type; }

  const Function* function = nullptr;  // Lives as long as the program.
  std::vector<ExprPtr> args;
};

struct AggregateExpr : Expr {
  AggregateExpr() : Expr(ExprKind::kAggregate) {}
  ValueType type() const override { return ValueType::kVector; }

  AggregateOp op = AggregateOp::kSum;
  ExprPtr expr;
  ExprPtr param;                      // Null unless HasParameter(op).
  std::vector<std::string> grouping;  // As written.
  bool without = false;
};

struct VectorMatching {
  enum class Cardinality { kOneToOne, kManyToOne, kOneToMany, kManyToMany };

  Cardinality cardinality = Cardinality::kOneToOne;
  bool on = false;  // True: only `labels`; false: all but `labels`.
  std::vector<std::string> labels;
  std::vector<std::string> include;  // Of group_left(...), group_right(...).
  std::optional<double> fill_left;   // Value of a missing left side.
  std::optional<double> fill_right;
};

struct BinaryExpr : Expr {
  BinaryExpr() : Expr(ExprKind::kBinary) {}
  ValueType type() const override;

  BinaryOp op = BinaryOp::kAdd;
  ExprPtr lhs;
  ExprPtr rhs;
  /// Set when both sides are vectors, or when modifiers were written.
  std::optional<VectorMatching> matching;
  bool return_bool = false;
};

struct UnaryExpr : Expr {
  UnaryExpr() : Expr(ExprKind::kUnary) {}
  ValueType type() const override { return expr->type(); }

  bool negative = false;  // False: +.
  ExprPtr expr;
};

struct ParenExpr : Expr {
  ParenExpr() : Expr(ExprKind::kParen) {}
  ValueType type() const override { return expr->type(); }

  ExprPtr expr;
};

/// Marks a subtree whose value is the same at every step of a range query.
/// Only Prepare() makes it; it prints as its child.
struct StepInvariantExpr : Expr {
  StepInvariantExpr() : Expr(ExprKind::kStepInvariant) {}
  ValueType type() const override { return expr->type(); }

  ExprPtr expr;
};

/// The children that are expressions, in source order (an aggregation's
/// parameter after its vector; a MatrixSelector's selector included).
std::vector<const Expr*> Children(const Expr& expr);

/// Like String(), but what is longer than 100 characters is split over indented
/// lines, as Prometheus formats rule files.
std::string Pretty(const Expr& expr);

/// A deep copy.
ExprPtr Clone(const Expr& expr);

/// `expr` without the parentheses and step-invariant marks around it.
const Expr& Unwrap(const Expr& expr);

}  // namespace narthex::promql
