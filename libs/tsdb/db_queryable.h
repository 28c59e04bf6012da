#pragma once

#include <string>
#include <vector>

#include "libs/storage/storage.h"
#include "libs/tsdb/db.h"

namespace narthex::tsdb {

/// A database as what queries are evaluated over. Thread-safe.
class DbQueryable : public storage::Queryable {
 public:
  enum class Order {
    kByLabels,
    /// As Prometheus: of a selection from the head alone the series that was
    /// created first goes first, otherwise they are ordered by labels. What
    /// depends on the order (ties of topk, the series of limitk) is the same
    /// then.
    kAsPrometheus,
  };

  /// `db` must outlive it.
  explicit DbQueryable(const Db& db, Order order = Order::kByLabels)
      : db_(db), order_(order) {}

  absl::StatusOr<std::unique_ptr<storage::SeriesSet>> Select(
      const storage::SelectHints& hints,
      const std::vector<model::Matcher>& matchers) override;
  absl::StatusOr<std::vector<std::string>> LabelNames(
      const storage::TimeRange& range,
      const std::vector<std::vector<model::Matcher>>& matcher_sets,
      std::size_t limit) override;
  absl::StatusOr<std::vector<std::string>> LabelValues(
      const std::string& name, const storage::TimeRange& range,
      const std::vector<std::vector<model::Matcher>>& matcher_sets,
      std::size_t limit) override;

 private:
  const Db& db_;
  const Order order_;
};

}  // namespace narthex::tsdb
