#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/promql/annotations.h"
#include "libs/promql/ast.h"
#include "libs/promql/column.h"
#include "libs/promql/step_grid.h"
#include "libs/storage/storage.h"

namespace narthex::promql {

/// What bounds and shapes one evaluation.
struct EvaluationSettings {
  std::int64_t lookback_delta_ms = 0;
  std::int64_t default_subquery_step_ms = 0;
  std::int64_t max_samples = 0;
  bool delayed_name_removal = false;
  bool type_and_unit_labels = false;
  bool use_start_timestamps = false;
  /// On base::Clock::MonotonicNs().
  std::int64_t deadline_ns = 0;
  /// Set by another thread to give up; may be null.
  const std::atomic<bool>* cancelled = nullptr;
  /// Of the whole query; 0: an instant query.
  std::int64_t step_ms = 0;
};

/// How much a query has looked at.
struct SampleStats {
  std::int64_t total = 0;  // Samples seen, once for each step that saw them.
  std::int64_t read = 0;   // Samples taken from storage.
  std::int64_t peak = 0;   // Most samples held at a time.
};

/// Counts the samples a query holds.
class SampleBudget {
 public:
  explicit SampleBudget(std::int64_t limit) : limit_(limit) {}

  /// kFailedPrecondition when more than the limit are then held.
  absl::Status Add(std::size_t samples);
  /// The error of Add() when `samples` alone are more than the limit.
  absl::Status Check(std::size_t samples) const;
  void Remove(std::size_t samples) {
    held_ -= static_cast<std::int64_t>(samples);
  }
  std::int64_t peak() const { return peak_; }

 private:
  const std::int64_t limit_;
  std::int64_t held_ = 0;
  std::int64_t peak_ = 0;
};

/// A share of the budget, given back at the end of its life.
class SampleReservation {
 public:
  explicit SampleReservation(SampleBudget* budget) : budget_(budget) {}
  ~SampleReservation() { Clear(); }
  SampleReservation(SampleReservation&& other) noexcept
      : budget_(other.budget_), samples_(other.samples_) {
    other.samples_ = 0;
  }
  SampleReservation& operator=(SampleReservation&&) = delete;

  absl::Status Add(std::size_t samples);
  void Clear();

 private:
  SampleBudget* budget_;
  std::size_t samples_ = 0;
};

/// A vector with all its columns in memory.
struct Columns {
  std::vector<Column> list;
  SampleReservation reservation;
};

/// How the selector of an expression is used; from the tree around it.
struct SelectorUse {
  std::string function;
  std::vector<std::string> grouping;
  bool by = false;
  /// Of its histograms only counts and sums are looked at.
  bool counts_only = false;
};

/// Evaluates the nodes of one prepared expression. Every node yields its whole
/// vector at once, series by series, each with a value for every step of the
/// grid; what need not be held at once is passed on as a stream. Lives for one
/// query, on one thread.
class Evaluation {
 public:
  Evaluation(const EvaluationSettings& settings, storage::Queryable& storage,
             const base::Clock& clock, const Expr& root);

  /// Streams the instant vector `expr`. Errors: kFailedPrecondition when it
  /// cannot be evaluated, kDeadlineExceeded, kCancelled, those of the storage.
  absl::Status Vector(const Expr& expr, const StepGrid& grid, ColumnSink sink);
  /// The same, held in memory.
  absl::StatusOr<Columns> Collect(const Expr& expr, const StepGrid& grid);
  /// The scalar `expr` at every step.
  absl::StatusOr<std::vector<double>> Scalar(const Expr& expr,
                                             const StepGrid& grid);

  /// Takes one series at a time; it does not outlive the call.
  using SeriesSink =
      absl::FunctionRef<absl::Status(const storage::Series& series)>;

  /// Streams the series a selector matches that have samples in `range`,
  /// sorted by labels. Storage warnings become annotations.
  absl::Status Select(const VectorSelector& selector,
                      const storage::TimeRange& range, std::int64_t step_ms,
                      std::int64_t range_ms, SeriesSink sink);

  /// Whether only the counts and sums of the selector's histograms matter.
  bool CountsOnly(const VectorSelector& selector) const;

  /// kDeadlineExceeded or kCancelled when the query must end.
  absl::Status CheckAlive() const;

  const EvaluationSettings& settings() const { return settings_; }
  Annotations& annotations() { return annotations_; }
  SampleBudget& budget() { return budget_; }
  SampleStats& stats() { return stats_; }

 private:
  absl::Status Invariant(const Expr& expr, const StepGrid& grid,
                         ColumnSink sink);
  absl::Status Unary(const UnaryExpr& expr, const StepGrid& grid,
                     ColumnSink sink);
  absl::StatusOr<std::vector<double>> ScalarCall(const Call& call,
                                                 const StepGrid& grid);
  absl::StatusOr<std::vector<double>> ScalarOfVector(const Expr& vector,
                                                     const StepGrid& grid);
  /// What the nodes above an expression do with the buckets of histograms.
  struct BucketUse {
    bool counts = false;  // Some take counts or sums only.
    bool buckets = false;
  };
  void FindUses(const Expr& expr, const SelectorUse& use,
                const BucketUse& buckets);

  const EvaluationSettings settings_;
  storage::Queryable& storage_;
  const base::Clock& clock_;
  absl::flat_hash_map<const VectorSelector*, SelectorUse> uses_;
  Annotations annotations_;
  SampleBudget budget_;
  SampleStats stats_;
};

/// Whether all series of the vector `expr` surely have the same metric name or
/// none, so that dropping it cannot make two of them equal.
bool HasOneMetricName(const Expr& expr);

/// Passes columns on without their metric name (with delayed removal: only
/// marked so).
class NameDropper {
 public:
  enum class Repeats {
    kMerge,   ///< Equal labels are allowed at different steps.
    kRefuse,  ///< They are an error.
  };

  /// `source` is the expression the columns come from.
  NameDropper(const Evaluation& evaluation, const Expr& source, Repeats repeats,
              ColumnSink sink);

  absl::Status Add(Column& column);
  /// Passes on what had to be held back.
  absl::Status Finish();

 private:
  const bool delayed_;
  const bool may_repeat_;
  const bool hold_;
  ColumnSink sink_;
  ColumnMerger held_;
  absl::flat_hash_set<model::Labels> seen_;
};

}  // namespace narthex::promql
