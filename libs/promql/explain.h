#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "libs/promql/ast.h"

namespace narthex::promql {

/// What the evaluation of one node cost, in one place.
struct NodeTrace {
  std::uint32_t node = 0;  // As PlanNode() numbers it.
  /// With the nodes below, without those above.
  std::int64_t duration_ns = 0;
  std::int64_t columns = 0;
  /// Read from storage for it and the nodes below.
  std::int64_t series_read = 0;
  std::int64_t samples_read = 0;
  /// The node with which it was evaluated: one that says the same, or that
  /// looks at the same series.
  std::optional<std::uint32_t> same_as = {};
};

/// One node of an explained query.
struct ExplainedNode {
  std::uint32_t node = 0;
  std::size_t depth = 0;
  std::string text;
  bool is_fragment = false;   // Evaluated elsewhere, with all below.
  bool is_evaluated = false;  // Here; then `trace` says at what cost.
  NodeTrace trace;
};

/// Sums up traces by node of a tree.
class NodeTraces {
 public:
  explicit NodeTraces(const Expr& root);
  /// The trace of `expr`; null when it is no node of the tree.
  NodeTrace* Find(const Expr& expr);
  /// Those of nodes that were evaluated, by number.
  std::vector<NodeTrace> All() const;

 private:
  void Number(const Expr& expr);

  std::vector<NodeTrace> traces_;
  absl::flat_hash_map<const Expr*, std::uint32_t> numbers_;
};

}  // namespace narthex::promql
