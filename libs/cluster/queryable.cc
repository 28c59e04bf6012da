#include "libs/cluster/queryable.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/cluster/internal/queryable_rep.h"
#include "libs/cluster/internal/stream_call.h"
#include "libs/cluster/wire.h"
#include "libs/storage/merge.h"
#include "libs/tsdb/chunk_series.h"

namespace narthex::cluster {
namespace {

using MatcherSets = std::vector<std::vector<model::Matcher>>;

v1::SelectRequest MakeSelect(const storage::TimeRange& range,
                             const std::vector<model::Matcher>& matchers) {
  v1::SelectRequest request;
  request.set_min_ms(range.min_ms);
  request.set_max_ms(range.max_ms);
  ToWire(matchers, request.mutable_matchers());
  return request;
}

std::vector<std::string> Take(
    google::protobuf::RepeatedPtrField<std::string>* texts) {
  return {std::make_move_iterator(texts->begin()),
          std::make_move_iterator(texts->end())};
}

// Sorts exemplars of several ingesters, dropping what more than one has.
void KeepOncePerReplica(std::vector<model::Exemplar>* exemplars) {
  std::stable_sort(exemplars->begin(), exemplars->end(),
                   [](const model::Exemplar& a, const model::Exemplar& b) {
                     return a.timestamp_ms < b.timestamp_ms;
                   });
  std::vector<model::Exemplar> kept;
  for (model::Exemplar& one : *exemplars) {
    bool known = false;
    for (auto it = kept.rbegin();
         it != kept.rend() && it->timestamp_ms == one.timestamp_ms; ++it) {
      known = known || (it->value == one.value && it->labels == one.labels);
    }
    if (!known) kept.push_back(std::move(one));
  }
  *exemplars = std::move(kept);
}

}  // namespace

absl::StatusOr<std::unique_ptr<IngesterQueryable>> IngesterQueryable::Create(
    const AddressList& ingesters, QueryableOptions options) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> addresses,
                           ResolveAddresses(ingesters));
  if (addresses.empty()) {
    return absl::InvalidArgumentError("no ingester addresses given");
  }
  NARTHEX_RETURN_IF_ERROR(
      CheckReplicationFactor(options.replication_factor, addresses));
  return std::unique_ptr<IngesterQueryable>(new IngesterQueryable(
      std::make_unique<Rep>(ingesters, options, addresses)));
}

IngesterQueryable::IngesterQueryable(std::unique_ptr<Rep> rep)
    : rep_(std::move(rep)) {}
IngesterQueryable::~IngesterQueryable() = default;

absl::StatusOr<std::unique_ptr<storage::SeriesSet>> IngesterQueryable::Select(
    const storage::SelectHints& hints,
    const std::vector<model::Matcher>& matchers) {
  v1::SelectRequest request = MakeSelect(hints.range, matchers);
  v1::SelectHints& wire = *request.mutable_hints();
  wire.set_step_ms(hints.step_ms);
  wire.set_range_ms(hints.range_ms);
  wire.set_function(hints.func);
  wire.set_by(hints.by);
  for (const std::string& name : hints.grouping) wire.add_grouping(name);
  return tsdb::DecodeSeriesSet(
      rep_->Select(request, hints.deadline_ns, hints.cancelled), hints.range);
}

std::size_t IngesterQueryable::places() const {
  // A series is in several places then.
  return rep_->replicas() > 1 ? 0 : rep_->peers().size();
}

std::string IngesterQueryable::WhyNowhere() const {
  return absl::StrCat(
      "nothing is evaluated in ingesters: each series is in ", rep_->replicas(),
      " of them, which are merged sample by sample as one may lack some");
}

absl::StatusOr<std::vector<promql::FragmentReply>> IngesterQueryable::Evaluate(
    const promql::Fragment& fragment, promql::ColumnSink sink) {
  return rep_->Evaluate(fragment, sink);
}

std::unique_ptr<storage::ChunkSeriesSet> IngesterQueryable::SelectChunks(
    const storage::TimeRange& range,
    const std::vector<model::Matcher>& matchers) {
  return rep_->Select(MakeSelect(range, matchers));
}

absl::StatusOr<std::vector<std::string>> IngesterQueryable::LabelNames(
    const storage::TimeRange& range, const MatcherSets& matcher_sets,
    std::size_t limit) {
  v1::LabelNamesRequest request;
  request.set_min_ms(range.min_ms);
  request.set_max_ms(range.max_ms);
  request.set_limit(limit);
  ToWire(matcher_sets, request.mutable_matcher_sets());
  NARTHEX_ASSIGN_OR_RETURN(
      auto responses,
      rep_->Call(&v1::Ingester::Stub::LabelNames, request, "LabelNames"));
  std::vector<std::vector<std::string>> lists;
  for (v1::LabelNamesResponse& response : responses) {
    lists.push_back(Take(response.mutable_names()));
  }
  return storage::MergeNames(std::move(lists), limit);
}

absl::StatusOr<std::vector<std::string>> IngesterQueryable::LabelValues(
    const std::string& name, const storage::TimeRange& range,
    const MatcherSets& matcher_sets, std::size_t limit) {
  v1::LabelValuesRequest request;
  request.set_name(name);
  request.set_min_ms(range.min_ms);
  request.set_max_ms(range.max_ms);
  request.set_limit(limit);
  ToWire(matcher_sets, request.mutable_matcher_sets());
  NARTHEX_ASSIGN_OR_RETURN(
      auto responses,
      rep_->Call(&v1::Ingester::Stub::LabelValues, request, "LabelValues"));
  std::vector<std::vector<std::string>> lists;
  for (v1::LabelValuesResponse& response : responses) {
    lists.push_back(Take(response.mutable_values()));
  }
  return storage::MergeNames(std::move(lists), limit);
}

absl::StatusOr<storage::LabelTable> IngesterQueryable::SeriesLabels(
    const storage::TimeRange& range, const MatcherSets& matcher_sets,
    std::size_t limit) {
  std::vector<v1::SelectRequest> requests;
  for (const auto& matchers : matcher_sets) {
    v1::SelectRequest& request =
        requests.emplace_back(MakeSelect(range, matchers));
    request.set_labels_only(true);
    request.set_label_table(true);
    request.set_limit(limit);
  }
  NARTHEX_ASSIGN_OR_RETURN(std::vector<storage::LabelTable> tables,
                           rep_->SelectLabels(requests));
  return storage::MergeLabelTables(std::move(tables), limit);
}

absl::StatusOr<std::vector<IngesterQueryable::SeriesExemplars>>
IngesterQueryable::Exemplars(const storage::TimeRange& range,
                             const MatcherSets& matcher_sets) {
  v1::ExemplarsRequest request;
  request.set_min_ms(range.min_ms);
  request.set_max_ms(range.max_ms);
  ToWire(matcher_sets, request.mutable_matcher_sets());
  using Received = std::vector<v1::ExemplarsResponse>;
  const auto ask =
      [&](const internal::IngesterPeer& peer,
          internal::Cancellation& cancellation) -> absl::StatusOr<Received> {
    grpc::ClientContext context;
    context.set_deadline(rep_->NewDeadline());
    const internal::Cancellation::Call call(cancellation, context);
    const auto reader = peer.stub->Exemplars(&context, request);
    Received responses;
    v1::ExemplarsResponse response;
    while (reader->Read(&response)) responses.push_back(std::move(response));
    NARTHEX_RETURN_IF_ERROR(
        internal::AsUnavailable(rpc::FromGrpc(reader->Finish(), peer.address)));
    return responses;
  };
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<Received> answers,
                           rep_->Ask<Received>(ask));
  std::map<std::string, std::vector<model::Exemplar>> found;
  for (const Received& responses : answers) {
    for (const v1::ExemplarsResponse& response : responses) {
      std::vector<model::Exemplar>& all = found[response.labels()];
      for (const v1::Exemplar& wire : response.exemplars()) {
        NARTHEX_RETURN_IF_ERROR(FromWire(wire, &all.emplace_back()));
      }
    }
  }
  std::vector<SeriesExemplars> merged;
  for (auto& [labels, exemplars] : found) {
    SeriesExemplars& one = merged.emplace_back();
    if (!model::Labels::FromEncoded(labels, &one.labels)) {
      return absl::DataLossError("received a malformed label set");
    }
    KeepOncePerReplica(&exemplars);
    one.exemplars = std::move(exemplars);
  }
  std::sort(merged.begin(), merged.end(), [](const auto& a, const auto& b) {
    return model::Labels::Compare(a.labels, b.labels) < 0;
  });
  return merged;
}

}  // namespace narthex::cluster
