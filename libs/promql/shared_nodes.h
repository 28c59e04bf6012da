#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "libs/promql/ast.h"

namespace narthex::promql {

class Plan;

/// Which nodes of a prepared tree say the same, so that one evaluation serves
/// all: instant vectors from storage with equal text, at equal steps. Of equal
/// trees only the roots count.
///
/// What a query answers, and what it says it looked at, is not changed by
/// sharing: annotations and samples of the evaluation are counted again, with
/// the positions of the other node, as if it had been repeated.
class SharedNodes {
 public:
  struct Group {
    /// In the order of the text. The first to be evaluated serves the others.
    std::vector<const Expr*> nodes;
  };

  /// Below `root`, which must outlive it. Nodes of `plan` (may be null) are
  /// evaluated elsewhere as a whole.
  SharedNodes(const Expr& root, const Plan* plan);

  /// Null when the node is one of its kind.
  const Group* Find(const Expr& expr) const {
    const auto it = groups_.find(&expr);
    return it == groups_.end() ? nullptr : it->second.get();
  }
  bool empty() const { return groups_.empty(); }
  /// Every group once for each of its nodes.
  const absl::flat_hash_map<const Expr*, std::shared_ptr<Group>>& all() const {
    return groups_;
  }

 private:
  struct Search;
  void Look(const Expr& expr, const std::string& steps, Search* search);

  absl::flat_hash_map<const Expr*, std::shared_ptr<Group>> groups_;
};

/// The place in the tree `to` of every place in the tree `from`, which says the
/// same.
class PositionMap {
 public:
  PositionMap(const Expr& from, const Expr& to);
  PositionRange operator()(PositionRange position) const;

 private:
  void Add(const Expr& from, const Expr& to);

  std::vector<std::pair<PositionRange, PositionRange>> places_;
};

}  // namespace narthex::promql
