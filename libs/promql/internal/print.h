#pragma once

#include <string>
#include <vector>

#include "libs/promql/ast.h"

/// Pieces of printed expressions, shared by the one-line printer and the
/// formatter.
namespace narthex::promql::internal {

/// `sum by (a, b) ` with the blank that precedes the parenthesis.
std::string AggregateHead(const AggregateExpr& aggregate);

/// ` bool on (a) group_left (b) fill (0)`: what follows a binary operator.
std::string BinaryModifiers(const BinaryExpr& binary);

/// `[5m:1m] @ 10.000 offset 1m`: what follows a subquery's expression.
std::string SubquerySuffix(const SubqueryExpr& subquery);

/// `a, "b.c"`
std::string JoinLabels(const std::vector<std::string>& labels);

}  // namespace narthex::promql::internal
