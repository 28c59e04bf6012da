#pragma once

#include <cmath>

#include "libs/promql/ast.h"

namespace narthex::promql {

/// Calls `visitor` with the arithmetic of `op` as a callable (double, double)
/// -> double, so that loops around it are compiled for each operator. For a
/// comparison the callable gives a bool.
template <typename Visitor>
auto VisitOperator(BinaryOp op, const Visitor& visitor) {
  switch (op) {
    case BinaryOp::kPow:
      return visitor([](double a, double b) { return std::pow(a, b); });
    case BinaryOp::kMul:
      return visitor([](double a, double b) { return a * b; });
    case BinaryOp::kDiv:
      return visitor([](double a, double b) { return a / b; });
    case BinaryOp::kMod:
      return visitor([](double a, double b) { return std::fmod(a, b); });
    case BinaryOp::kAtan2:
      return visitor([](double a, double b) { return std::atan2(a, b); });
    case BinaryOp::kAdd:
      return visitor([](double a, double b) { return a + b; });
    case BinaryOp::kSub:
      return visitor([](double a, double b) { return a - b; });
    case BinaryOp::kEqual:
      return visitor([](double a, double b) { return a == b; });
    case BinaryOp::kNotEqual:
      return visitor([](double a, double b) { return a != b; });
    case BinaryOp::kGreater:
      return visitor([](double a, double b) { return a > b; });
    case BinaryOp::kLess:
      return visitor([](double a, double b) { return a < b; });
    case BinaryOp::kGreaterEqual:
      return visitor([](double a, double b) { return a >= b; });
    default:
      return visitor([](double a, double b) { return a <= b; });
  }
}

/// "</" and ">/": for histograms only.
inline bool IsTrim(BinaryOp op) {
  return op == BinaryOp::kTrimUpper || op == BinaryOp::kTrimLower;
}

/// Arithmetic gives a quantity of another kind: the name goes at once.
inline bool IsArithmetic(BinaryOp op) {
  return !IsComparison(op) && !IsSetOperator(op) && !IsTrim(op);
}

}  // namespace narthex::promql
