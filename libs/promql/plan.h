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
};

/// Which nodes of a prepared tree are evaluated in the places that hold the
/// data: the highest ones whose result, merged, is exactly that of evaluating
/// them in one place.
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
