#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "libs/promql/ast.h"

namespace narthex::promql {

/// The node numbered `number` of a tree, parents before their children and
/// those in source order, the root 0; null when there are fewer.
const Expr* PlanNode(const Expr& root, std::uint32_t number);

/// How the columns of several places become those of a node.
enum class Merge {
  kUnion,      ///< Each place has other series.
  kAggregate,  ///< The aggregation of the node is applied to them again.
  kCount,      ///< They are added up.
  kParts,      ///< They are parts of the aggregation: see EvaluateParts().
};

/// Which nodes of a prepared tree are evaluated in the places that hold the
/// data: the highest ones whose result, merged, is exactly that of evaluating
/// them in one place.
///
/// With several places that holds for functions of single series, for binary
/// operators whose sides are made of the same ones (`rate(x[5m]) / x`), and of
/// the aggregations over those:
///  - min, max, group, topk and bottomk of the results are those of the whole;
///  - counts add up, those of count_values by value;
///  - of sum and avg the compensated sums are merged with what rounding has
///    taken from them, so that the result is as exact as in one place. Which
///    series come first differs, as it does between two Prometheus. What is
///    then not the same is refused: infinite sums of avg, at which Prometheus
///    begins to take the mean incrementally, and histograms whose warnings
///    depend on others;
///  - limit_ratio looks at each series alone, and the first k in the order of
///    labels (limitk) are among the first k of each place, provided that the
///    names by which they are ordered are not dropped before.
/// The other aggregations are made where all series come together. quantile
/// takes all values. stddev and stdvar follow Welford, whose rounding depends
/// on every step: of large values close to each other two halves merged may
/// differ by more than 1e-9.
class Plan {
 public:
  struct Node {
    std::uint32_t number = 0;
    Merge merge = Merge::kUnion;
  };

  Plan() = default;
  /// `root` must outlive the plan. With one place every instant vector that
  /// comes from storage is evaluated there. With several: aggregations over,
  /// and functions of, single series.
  Plan(const Expr& root, std::size_t places);

  bool empty() const { return nodes_.empty(); }
  std::size_t places() const { return places_; }
  /// Null when `expr` is evaluated here.
  const Node* Find(const Expr* expr) const {
    const auto it = nodes_.find(expr);
    return it == nodes_.end() ? nullptr : &it->second;
  }

 private:
  void Place(const Expr& expr, std::uint32_t* number);
  std::optional<Merge> MergeOf(const Expr& expr) const;

  std::size_t places_ = 0;
  absl::flat_hash_map<const Expr*, Node> nodes_;
};

}  // namespace narthex::promql
