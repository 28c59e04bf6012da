#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/log.h"
#include "libs/cluster/addresses.h"
#include "libs/metrics/metrics.h"
#include "libs/model/exemplar.h"
#include "libs/promql/fragment.h"
#include "libs/storage/label_table.h"
#include "libs/storage/storage.h"

namespace narthex::cluster {

struct QueryableOptions {
  /// How long an ingester may take to answer one call.
  std::chrono::milliseconds timeout{120'000};
  /// In how many ingesters each series is. With more than one, answers do
  /// without MayBeMissing() of the ingesters; `log` and `registry`, which may
  /// be null and otherwise outlives the storage, are told of those.
  std::size_t replication_factor = 1;
  base::Logger log = base::Logger::Discard();
  metrics::Registry* registry = nullptr;
};

/// What all ingesters hold, as one storage. Selections are sent to all of
/// them at once and merged as they stream in; fragments of queries are
/// evaluated by them. An ingester that does not answer fails the call with
/// kUnavailable naming it.
///
/// With replicas a call fails when more ingesters are missing than the answer
/// can do without, naming them; replicas of a series are merged sample by
/// sample, and no fragments are evaluated.
class IngesterQueryable : public storage::Queryable,
                          public promql::FragmentEvaluator {
 public:
  /// A DNS name is resolved again every few seconds.
  static absl::StatusOr<std::unique_ptr<IngesterQueryable>> Create(
      const AddressList& ingesters, QueryableOptions options);
  ~IngesterQueryable() override;

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

  std::size_t places() const override;
  std::string WhyNowhere() const override;
  absl::StatusOr<std::vector<promql::FragmentReply>> Evaluate(
      const promql::Fragment& fragment, promql::ColumnSink sink) override;

  /// The series with their chunks as they are stored: they may begin before
  /// and end after the range, and those of several ingesters overlap.
  std::unique_ptr<storage::ChunkSeriesSet> SelectChunks(
      const storage::TimeRange& range,
      const std::vector<model::Matcher>& matchers);

  /// Label sets of series that satisfy at least one matcher set; at most
  /// `limit` (0: all). No sample crosses the wire.
  absl::StatusOr<storage::LabelTable> SeriesLabels(
      const storage::TimeRange& range,
      const std::vector<std::vector<model::Matcher>>& matcher_sets,
      std::size_t limit);

  /// The exemplars inside `range` of series that satisfy at least one matcher
  /// set, sorted by labels; of each series ascending by time, once each.
  struct SeriesExemplars {
    model::Labels labels;
    std::vector<model::Exemplar> exemplars;
  };
  absl::StatusOr<std::vector<SeriesExemplars>> Exemplars(
      const storage::TimeRange& range,
      const std::vector<std::vector<model::Matcher>>& matcher_sets);

  /// Counts of names and values in the heads of all ingesters, added up;
  /// replicas count once, as an estimate where not all ingesters hold all.
  struct NamedCount {
    std::string name;
    std::uint64_t count = 0;
  };
  struct Cardinality {
    std::uint64_t series = 0;
    std::uint64_t label_pairs = 0;
    std::uint64_t chunks = 0;
    std::int64_t min_ms = 0;
    std::int64_t max_ms = 0;
    std::vector<NamedCount> series_by_metric;
    std::vector<NamedCount> values_by_label;
    std::vector<NamedCount> bytes_by_label;
    std::vector<NamedCount> series_by_pair;
  };
  absl::StatusOr<Cardinality> HeadCardinality(std::uint32_t limit);

  /// What the evaluation of a query's fragments has cost by now.
  struct FragmentCost {
    std::int64_t samples = 0;
    std::int64_t series = 0;
    std::int64_t bytes = 0;  // Held now.
  };
  /// By promql::QueryProgress::id, added up over the ingesters. An ingester
  /// that does not answer at once is left out.
  std::map<std::string, FragmentCost> RunningFragments();

  /// How the storage of one ingester is doing.
  struct StorageStatus {
    /// Segments of the log replayed at the start, and the one at hand.
    std::int64_t first_segment = 0;
    std::int64_t last_segment = 0;
    std::int64_t current_segment = 0;
    bool replayed = false;
    std::uint64_t corruptions = 0;
    /// What is kept; 0: no bound.
    std::int64_t retention_ms = 0;
    std::uint64_t retention_bytes = 0;
    double retention_percentage = 0;
    /// The content of each block's meta.json.
    std::vector<std::string> block_metas;
  };
  /// One of each ingester; answered during their replay too.
  absl::StatusOr<std::vector<StorageStatus>> StorageStatuses();

  /// Marks samples as deleted on all ingesters: one that does not answer is an
  /// error, with replicas too, as what it holds would come back.
  absl::Status DeleteSeries(
      const storage::TimeRange& range,
      const std::vector<std::vector<model::Matcher>>& matcher_sets);
  absl::Status CleanTombstones();
  /// Names of the snapshots made, one per ingester.
  absl::StatusOr<std::vector<std::string>> Snapshot(bool skip_head);

 private:
  class Rep;
  explicit IngesterQueryable(std::unique_ptr<Rep> rep);
  std::unique_ptr<Rep> rep_;
};

}  // namespace narthex::cluster
