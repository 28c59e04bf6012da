#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "libs/promql/ast.h"

namespace narthex::promql {

class Plan;
class SharedNodes;

/// Which nodes of a prepared tree look at the same series at the same steps,
/// so that these are read once for all: functions of ranges and plain
/// selections whose selectors are equal, whatever the ranges, as in
/// `rate(x[5m]) / increase(x[1h])` or `x > avg_over_time(x[1h])`.
///
/// The nodes of a group are operands of one chain of binary operators. These
/// have both sides in memory anyway; where columns are passed on as they come,
/// holding them would cost more than reading again.
class SharedReads {
 public:
  struct Member {
    const Expr* node = nullptr;  // A call, or the selector.
    const VectorSelector* selector = nullptr;
    std::size_t range_arg = 0;  // Of a call: which argument is the range.
  };
  /// In the order of the text; the first reads for the others.
  using Group = std::vector<Member>;

  /// Below `root`, which must outlive it. Nodes of `plan` are evaluated
  /// elsewhere, and nodes that `same` knows perhaps not at all; both may be
  /// null.
  SharedReads(const Expr& root, const Plan* plan, const SharedNodes* same);

  /// Null when nobody else looks at the series of this selector.
  const Group* Find(const VectorSelector& selector) const {
    const auto it = groups_.find(&selector);
    return it == groups_.end() ? nullptr : it->second.get();
  }
  bool empty() const { return groups_.empty(); }

 private:
  struct Search;

  absl::flat_hash_map<const VectorSelector*, std::shared_ptr<const Group>>
      groups_;
};

}  // namespace narthex::promql
