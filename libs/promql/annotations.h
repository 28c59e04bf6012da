#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "libs/promql/ast.h"

namespace narthex::promql {

/// What a query has to say beside its result: warnings and infos in
/// Prometheus's words, each text once, with the position of the expression
/// that caused it last. Not thread-safe.
class Annotations {
 public:
  enum class Level { kWarning, kInfo };
  /// Where and by how much the counts of a classic histogram were not
  /// cumulative.
  struct Monotonicity {
    std::int64_t min_ms = 0;
    std::int64_t max_ms = 0;
    double min_bucket = 0;
    double max_bucket = 0;
    double max_difference = 0;
    int occurrences = 1;
  };
  /// One text and what belongs to it.
  struct Entry {
    Level level = Level::kWarning;
    std::string text;  // Without what the other members add.
    std::optional<PositionRange> position;
    std::optional<Monotonicity> monotonicity;
    int overlaps = 0;  // How often a counter began too early.
  };

  /// `text` without the "PromQL warning: " or "PromQL info: " before it.
  void Warn(absl::string_view text, PositionRange position);
  void Info(absl::string_view text, PositionRange position);
  /// A warning of the storage: as it is, without a position.
  void AddStorageWarning(std::string text);
  /// Likewise an info.
  void AddStorageInfo(std::string text);

  void InvalidQuantile(double phi, PositionRange position);
  void BadBucketLabel(absl::string_view metric_name, absl::string_view label,
                      PositionRange position);
  void PossibleNonCounter(absl::string_view metric_name,
                          PositionRange position);
  /// `metric_name` was given with a `__type__` label that is no counter's.
  void PossibleNonCounterType(absl::string_view metric_name,
                              absl::string_view type, PositionRange position);

  // Of native histograms. `operation` is "addition", "subtraction" or
  // "aggregation".
  void MixedFloatsHistograms(absl::string_view metric_name,
                             PositionRange position);
  void MixedInAggregation(PositionRange position);
  void MixedClassicNative(absl::string_view metric_name,
                          PositionRange position);
  void HistogramNotCounter(absl::string_view metric_name,
                           PositionRange position);
  void HistogramNotGauge(absl::string_view metric_name, PositionRange position);
  void MixedSchemas(absl::string_view metric_name, PositionRange position);
  void IncompatibleLayout(absl::string_view op, PositionRange position);
  void IncompatibleTypes(absl::string_view left, absl::string_view op,
                         absl::string_view right, PositionRange position);
  void IgnoredInAggregation(absl::string_view aggregation,
                            PositionRange position);
  void IgnoredInRange(absl::string_view metric_name, PositionRange position);
  void QuantileIsNan(absl::string_view metric_name, PositionRange position);
  void QuantileIsSkewed(absl::string_view metric_name, PositionRange position);
  void FractionHasNan(absl::string_view metric_name, PositionRange position);
  void ResetCollision(absl::string_view operation, PositionRange position);
  void BoundsReconciled(absl::string_view operation, PositionRange position);

  /// A counter claims to have begun before the sample preceding it. Counts how
  /// often.
  void StartTimeOverlap(absl::string_view metric_name, PositionRange position);

  void ForcedMonotonicity(absl::string_view metric_name, PositionRange position,
                          const Monotonicity& where);

  /// Adds all of `other`, as if its calls had been made here, at the places
  /// that `move` gives for theirs.
  void Merge(const Annotations& other,
             absl::FunctionRef<PositionRange(PositionRange)> move);
  void Merge(const Annotations& other);
  /// The same with one of them.
  void Merge(const Entry& entry);
  /// In order of first appearance.
  const std::vector<Entry>& entries() const { return entries_; }
  bool empty() const { return entries_.empty(); }
  void Clear();

  /// The texts as the HTTP API gives them, in order of first appearance, ending
  /// in " (line:column)" of `query`; of more than `limit` (0: no limit) the
  /// rest is counted in a last text.
  std::vector<std::string> Warnings(absl::string_view query,
                                    std::size_t limit = 0) const;
  std::vector<std::string> Infos(absl::string_view query,
                                 std::size_t limit = 0) const;

 private:
  Entry& Add(Level level, std::string text,
             std::optional<PositionRange> position);
  std::vector<std::string> Texts(Level level, absl::string_view query,
                                 std::size_t limit) const;

  std::vector<Entry> entries_;
  absl::flat_hash_map<std::string, std::size_t> index_;  // By text.
};

}  // namespace narthex::promql
