#include "services/ingester/evaluate.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/cluster/addresses.h"
#include "libs/cluster/column_codec.h"
#include "libs/cluster/fragment_wire.h"
#include "libs/promql/fragment.h"
#include "libs/tsdb/db_queryable.h"

namespace narthex::ingester {
namespace {

// A series of which only some labels are looked at.
class Projected : public storage::Series {
 public:
  Projected(std::unique_ptr<storage::Series> series,
            const std::vector<std::string>& labels)
      : series_(std::move(series)), labels_(series_->labels().Of(labels)) {}
  const model::Labels& labels() const override { return labels_; }
  absl::Status Read(model::SampleColumns* out) const override {
    return series_->Read(out);
  }

 private:
  const std::unique_ptr<storage::Series> series_;
  const model::Labels labels_;
};

// Of a selection, all series must be this ingester's.
class OwnSeriesSet : public storage::SeriesSet {
 public:
  OwnSeriesSet(std::unique_ptr<storage::SeriesSet> set,
               const cluster::Owners& owners, std::size_t self,
               const storage::SelectHints& hints)
      : set_(std::move(set)), owners_(owners), self_(self) {
    if (hints.some_labels) labels_ = hints.labels;
  }

  bool Next() override {
    if (!status_.ok() || !set_->Next()) return false;
    current_ = set_->At();
    if (owners_.OwnerOf(current_->labels().Hash()) == self_) return true;
    status_ = absl::UnimplementedError(
        absl::StrCat("series ", current_->labels().ToMetricString(),
                     " belongs to another ingester"));
    return false;
  }
  std::unique_ptr<storage::Series> At() override {
    if (!labels_.has_value()) return std::move(current_);
    return std::make_unique<Projected>(std::move(current_), *labels_);
  }
  absl::Status status() const override {
    return status_.ok() ? set_->status() : status_;
  }
  std::vector<std::string> warnings() const override {
    return set_->warnings();
  }

 private:
  const std::unique_ptr<storage::SeriesSet> set_;
  const cluster::Owners& owners_;
  const std::size_t self_;
  // When only these are looked at, no others cross the wire.
  std::optional<std::vector<std::string>> labels_;
  std::unique_ptr<storage::Series> current_;
  absl::Status status_;
};

// A series that moved has samples in two ingesters: neither may evaluate it
// alone, so selections with series of others fail.
class OwnSeries : public storage::Queryable {
 public:
  OwnSeries(storage::Queryable& storage,
            const std::vector<std::string>& members, std::size_t self)
      : storage_(storage), owners_(members), self_(self) {}

  absl::StatusOr<std::unique_ptr<storage::SeriesSet>> Select(
      const storage::SelectHints& hints,
      const std::vector<model::Matcher>& matchers) override {
    // It takes all labels to tell whose a series is.
    storage::SelectHints whole = hints;
    whole.some_labels = false;
    NARTHEX_ASSIGN_OR_RETURN(auto set, storage_.Select(whole, matchers));
    return std::make_unique<OwnSeriesSet>(std::move(set), owners_, self_,
                                          hints);
  }
  absl::StatusOr<std::vector<std::string>> LabelNames(
      const storage::TimeRange& range,
      const std::vector<std::vector<model::Matcher>>& matcher_sets,
      std::size_t limit) override {
    return storage_.LabelNames(range, matcher_sets, limit);
  }
  absl::StatusOr<std::vector<std::string>> LabelValues(
      const std::string& name, const storage::TimeRange& range,
      const std::vector<std::vector<model::Matcher>>& matcher_sets,
      std::size_t limit) override {
    return storage_.LabelValues(name, range, matcher_sets, limit);
  }

 private:
  storage::Queryable& storage_;
  const cluster::Owners owners_;
  const std::size_t self_;
};

std::int64_t ToMonotonicNs(std::chrono::system_clock::time_point deadline,
                           const base::Clock& clock) {
  // A call without a deadline has the end of time as its.
  constexpr std::chrono::hours kLongest(24);
  const auto left = std::min<std::chrono::nanoseconds>(
      deadline - std::chrono::system_clock::now(), kLongest);
  return clock.MonotonicNs() + left.count();
}

}  // namespace

absl::StatusOr<std::int64_t> EvaluateOver(
    const tsdb::Db& db, const base::Clock& clock,
    const v1::EvaluateRequest& request,
    const Caller<v1::EvaluateResponse>& caller,
    const std::atomic<bool>& cancelled, base::TaskPool* helpers,
    promql::QueryProgress* progress) {
  promql::Fragment fragment = cluster::FromWire(request);
  fragment.settings.deadline_ns = ToMonotonicNs(caller.deadline, clock);
  fragment.settings.cancelled = &cancelled;
  fragment.settings.helpers = helpers;
  fragment.settings.progress = progress;

  // Series of several ingesters have no order but that of their labels.
  const bool alone = request.members_size() <= 1;
  using Order = tsdb::DbQueryable::Order;
  tsdb::DbQueryable storage(db,
                            alone ? Order::kAsPrometheus : Order::kByLabels);
  std::unique_ptr<OwnSeries> own;
  if (!alone) {
    if (request.member() >=
        static_cast<std::uint32_t>(request.members_size())) {
      return absl::InvalidArgumentError("the request names no such member");
    }
    own = std::make_unique<OwnSeries>(
        storage,
        std::vector<std::string>(request.members().begin(),
                                 request.members().end()),
        request.member());
  }

  Batch<v1::EvaluateResponse> batch(caller);
  const auto send = [&](promql::Column& column) -> absl::Status {
    std::string& columns = *batch.response().mutable_columns();
    const std::size_t before = columns.size();
    cluster::EncodeColumn(column, &columns);
    return batch.Added(columns.size() - before);
  };
  NARTHEX_ASSIGN_OR_RETURN(
      const promql::FragmentReply reply,
      promql::EvaluateFragment(
          fragment,
          own != nullptr ? static_cast<storage::Queryable&>(*own) : storage,
          clock, send));
  cluster::ToWire(reply, &batch.response());
  batch.Finish();
  return reply.stats.read;
}

}  // namespace narthex::ingester
