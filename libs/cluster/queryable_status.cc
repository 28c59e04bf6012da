// What is told of the ingesters' storage, and what is changed in it.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <utility>

#include "libs/base/status.h"
#include "libs/cluster/internal/queryable_rep.h"
#include "libs/cluster/queryable.h"
#include "libs/cluster/wire.h"
#include "libs/model/sample.h"

namespace narthex::cluster {
namespace {

using NamedCount = IngesterQueryable::NamedCount;

/// Counts of several ingesters as one. With replicas everything is counted
/// several times: then it is the mean, but never less than one ingester has.
/// Where all hold all that is exact, elsewhere as good as the hash is even.
class Total {
 public:
  void Add(std::uint64_t count) {
    sum_ += count;
    largest_ = std::max(largest_, count);
  }
  std::uint64_t Of(double share) const {
    if (share == 1) return sum_;
    const double mean = std::round(static_cast<double>(sum_) * share);
    return std::max(largest_, static_cast<std::uint64_t>(mean));
  }

 private:
  std::uint64_t sum_ = 0;
  std::uint64_t largest_ = 0;
};
using Totals = std::map<std::string, Total>;

void AddCounts(const google::protobuf::RepeatedPtrField<v1::NamedCount>& counts,
               Totals* totals) {
  for (const v1::NamedCount& count : counts) {
    (*totals)[count.name()].Add(count.count());
  }
}

/// How many values each name has, of all pairs ("name=value") there are.
Totals CountValues(const Totals& pairs, const Totals& names) {
  Totals values;
  for (const auto& [pair, series] : pairs) {
    // A name may hold the sign itself.
    for (std::size_t at = pair.find('='); at != std::string::npos;
         at = pair.find('=', at + 1)) {
      const std::string name = pair.substr(0, at);
      if (names.count(name) == 0) continue;
      values[name].Add(1);
      break;
    }
  }
  return values;
}

std::vector<NamedCount> TopOf(const Totals& totals, double share,
                              std::size_t limit) {
  std::vector<NamedCount> top;
  top.reserve(totals.size());
  for (const auto& [name, total] : totals)
    top.push_back({name, total.Of(share)});
  std::stable_sort(top.begin(), top.end(),
                   [](const NamedCount& a, const NamedCount& b) {
                     return a.count > b.count;
                   });
  if (top.size() > limit) top.resize(limit);
  return top;
}

}  // namespace

absl::StatusOr<IngesterQueryable::Cardinality>
IngesterQueryable::HeadCardinality(std::uint32_t limit) {
  const std::size_t ingesters = rep_->peers().size();
  // What is not among the most frequent in one ingester may be so in all, and
  // a value that several have is one: they tell all that they have.
  v1::CardinalityRequest request;
  request.set_limit(ingesters > 1 ? std::numeric_limits<std::uint32_t>::max()
                                  : limit);
  NARTHEX_ASSIGN_OR_RETURN(
      const auto responses,
      rep_->Call(&v1::Ingester::Stub::Cardinality, request));
  Cardinality sum;
  sum.min_ms = model::kMaxTime;
  sum.max_ms = model::kMinTime;
  Total series;
  Total label_pairs;
  Total chunks;
  Totals metrics;
  Totals values;
  Totals bytes;
  Totals pairs;
  for (const v1::CardinalityResponse& response : responses) {
    series.Add(response.series());
    label_pairs.Add(response.label_pairs());
    chunks.Add(response.chunks());
    sum.min_ms = std::min(sum.min_ms, response.min_ms());
    sum.max_ms = std::max(sum.max_ms, response.max_ms());
    AddCounts(response.series_by_metric(), &metrics);
    AddCounts(response.values_by_label(), &values);
    AddCounts(response.bytes_by_label(), &bytes);
    AddCounts(response.series_by_pair(), &pairs);
  }
  // Of what was counted; those that did not answer hold as much as the others.
  const double share =
      rep_->replicas() == 1
          ? 1
          : static_cast<double>(ingesters) /
                static_cast<double>(responses.size() * rep_->replicas());
  sum.series = series.Of(share);
  sum.label_pairs = ingesters > 1 ? pairs.size() : label_pairs.Of(share);
  sum.chunks = chunks.Of(share);
  sum.series_by_metric = TopOf(metrics, share, limit);
  sum.values_by_label = ingesters > 1
                            ? TopOf(CountValues(pairs, values), 1, limit)
                            : TopOf(values, share, limit);
  sum.bytes_by_label = TopOf(bytes, share, limit);
  sum.series_by_pair = TopOf(pairs, share, limit);
  return sum;
}

std::map<std::string, IngesterQueryable::FragmentCost>
IngesterQueryable::RunningFragments() {
  std::map<std::string, FragmentCost> costs;
  for (const auto& response :
       rep_->CallAtOnce(&v1::Ingester::Stub::RunningFragments,
                        v1::RunningFragmentsRequest(), "RunningFragments")) {
    for (const v1::RunningFragment& fragment : response.fragments()) {
      FragmentCost& cost = costs[fragment.query_id()];
      cost.samples += fragment.samples_read();
      cost.series += fragment.series_read();
      cost.bytes += fragment.bytes_held();
    }
  }
  return costs;
}

absl::StatusOr<std::vector<IngesterQueryable::StorageStatus>>
IngesterQueryable::StorageStatuses() {
  NARTHEX_ASSIGN_OR_RETURN(const auto responses,
                           rep_->Call(&v1::Ingester::Stub::StorageStatus,
                                      v1::StorageStatusRequest()));
  std::vector<StorageStatus> all;
  for (const v1::StorageStatusResponse& response : responses) {
    StorageStatus& one = all.emplace_back();
    one.first_segment = response.first_segment();
    one.last_segment = response.last_segment();
    one.current_segment = response.current_segment();
    one.replayed = response.replayed();
    one.corruptions = response.corruptions();
    one.retention_ms = response.retention_ms();
    one.retention_bytes = response.retention_bytes();
    one.retention_percentage = response.retention_percentage();
    one.block_metas.assign(response.block_metas().begin(),
                           response.block_metas().end());
  }
  return all;
}

absl::Status IngesterQueryable::DeleteSeries(
    const storage::TimeRange& range,
    const std::vector<std::vector<model::Matcher>>& matcher_sets) {
  v1::DeleteSeriesRequest request;
  request.set_min_ms(range.min_ms);
  request.set_max_ms(range.max_ms);
  ToWire(matcher_sets, request.mutable_matcher_sets());
  return rep_->CallEvery(&v1::Ingester::Stub::DeleteSeries, request).status();
}

absl::Status IngesterQueryable::CleanTombstones() {
  return rep_
      ->CallEvery(&v1::Ingester::Stub::CleanTombstones,
                  v1::CleanTombstonesRequest())
      .status();
}

absl::StatusOr<std::vector<std::string>> IngesterQueryable::Snapshot(
    bool skip_head) {
  v1::SnapshotRequest request;
  request.set_skip_head(skip_head);
  NARTHEX_ASSIGN_OR_RETURN(
      const auto responses,
      rep_->CallEvery(&v1::Ingester::Stub::Snapshot, request));
  std::vector<std::string> names;
  for (const v1::SnapshotResponse& response : responses) {
    names.push_back(response.name());
  }
  return names;
}

}  // namespace narthex::cluster
