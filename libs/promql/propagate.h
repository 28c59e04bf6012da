#pragma once

#include "libs/promql/ast.h"

namespace narthex::promql {

/// Adds to selectors of a prepared tree the equality matchers of those whose
/// series theirs must match to be of any use, so that fewer series are read:
/// `a{job="x"} / b` reads `b{job="x"}`, and `a and on (job) b{job="x"}` only
/// `a{job="x"}`.
///
/// Done where neither values nor warnings nor errors change:
///  - of `and` and `unless`, whose sides fail for no reason of their own. What
///    `unless` keeps says nothing about its left side;
///  - of operators whose "one" side cannot have two series of one match group:
///    that is an error, even of groups that match nothing. So either all labels
///    are matched and the metric name is fixed, or it is an aggregation by
///    matched labels;
///  - in selectors, and functions of them, that never warn of a series.
/// Not where series without a match count (`fill`, the sides of `or`).
///
/// What changes is the number of samples looked at, so not for queries that
/// shall tell it, nor with type and unit labels, of which a name may have
/// several.
void PropagateMatchers(Expr* root);

}  // namespace narthex::promql
