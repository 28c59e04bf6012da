#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/promql/ast.h"
#include "libs/promql/evaluation.h"

namespace narthex::promql {

/// What a group keeps for each step. `value` is Absent() before the first.
class GroupColumns {
 public:
  virtual ~GroupColumns() = default;
  virtual void Add(const std::vector<double>& values) = 0;
  /// Whether the step has had a value.
  virtual bool Has(std::size_t) const { return false; }
  /// The results; called once, at the end. Fails only when `alive` does.
  virtual absl::StatusOr<std::vector<double>> Finish(AliveCheck& alive) = 0;

  /// Of what it keeps, the columns that make it up, to be given to AddPart()
  /// of another group, each with its number.
  virtual std::vector<std::vector<double>> Parts() { return {}; }
  virtual void AddPart(std::size_t, const std::vector<double>&) {}
  /// Whether the order of values may decide about the result, beyond rounding.
  virtual bool DependsOnOrder() const { return false; }
};

/// Of sum, avg, min, max, count, group, stddev, stdvar and quantile. The
/// `parameter`, of quantile, has a value for every step and must outlive it.
std::unique_ptr<GroupColumns> NewGroup(AggregateOp op, std::size_t steps,
                                       const std::vector<double>& parameter);

}  // namespace narthex::promql
