#include "libs/cluster/queryable.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/mutex.h"
#include "libs/base/status.h"
#include "libs/cluster/column_codec.h"
#include "libs/cluster/fragment_wire.h"
#include "libs/cluster/internal/address_watch.h"
#include "libs/cluster/internal/stream_call.h"
#include "libs/cluster/label_table_wire.h"
#include "libs/cluster/wire.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/local_channel.h"
#include "libs/rpc/status.h"
#include "libs/storage/merge.h"
#include "libs/tsdb/chunk_series.h"
#include "narthex/v1/ingester.grpc.pb.h"

namespace narthex::cluster {
namespace {

using MatcherSets = std::vector<std::vector<model::Matcher>>;

// One ingester and how to call it.
struct Peer {
  explicit Peer(const std::string& at)
      : address(at),
        stub(v1::Ingester::NewStub(rpc::NewChannel(at))),
        local(at) {}

  const std::string address;
  const std::unique_ptr<v1::Ingester::Stub> stub;
  // What is asked often; nobody answers when the ingester is elsewhere.
  mutable rpc::LocalChannel local;
};
using Peers = std::vector<std::shared_ptr<Peer>>;

// An unreachable or silent ingester is the same to a user: the answer would
// not be whole.
absl::Status AsUnavailable(const absl::Status& status) {
  if (!absl::IsDeadlineExceeded(status)) return status;
  return absl::UnavailableError(status.message());
}

using SelectCall = internal::StreamCall<v1::SelectResponse>;
using EvaluateCall = internal::StreamCall<v1::EvaluateResponse>;

std::unique_ptr<SelectCall> StartSelect(const Peer& peer,
                                        const v1::SelectRequest& request,
                                        const internal::CallLimits& limits) {
  return std::make_unique<SelectCall>(
      peer.address, limits,
      peer.local.Call("Select", request, limits.deadline, limits.cancelled),
      [&](auto* context, auto* queue, void* tag) {
        return peer.stub->AsyncSelect(context, request, queue, tag);
      });
}

// A selection as it streams in from one ingester.
class StreamedSet : public storage::ChunkSeriesSet {
 public:
  StreamedSet(std::shared_ptr<Peer> peer, const v1::SelectRequest& request,
              const internal::CallLimits& limits)
      : peer_(std::move(peer)), call_(StartSelect(*peer_, request, limits)) {}

  bool Next(storage::ChunkSeries* series) override {
    while (next_ == message_.series_size()) {
      next_ = 0;
      message_.Clear();
      if (!call_->Read(&message_)) {
        message_.Clear();
        return false;
      }
    }
    status_ = FromWire(message_.mutable_series(next_++), series);
    if (status_.ok()) return true;
    status_ = base::Annotate(status_, peer_->address);
    call_->Cancel();
    message_.Clear();
    next_ = 0;
    return false;
  }

  absl::Status status() const override {
    return status_.ok() ? call_->status() : status_;
  }

 private:
  const std::shared_ptr<Peer> peer_;
  const std::unique_ptr<SelectCall> call_;
  v1::SelectResponse message_;
  int next_ = 0;  // Of its series.
  absl::Status status_;
};

// The label sets that one ingester streams.
absl::StatusOr<storage::LabelTable> ReadLabels(SelectCall& call) {
  LabelTableReader reader;
  v1::SelectResponse response;
  while (call.Read(&response)) {
    NARTHEX_RETURN_IF_ERROR(base::Annotate(reader.Add(response), call.peer()));
  }
  NARTHEX_RETURN_IF_ERROR(call.status());
  return std::move(reader).Take();
}

v1::SelectRequest MakeSelect(const storage::TimeRange& range,
                             const std::vector<model::Matcher>& matchers) {
  v1::SelectRequest request;
  request.set_min_ms(range.min_ms);
  request.set_max_ms(range.max_ms);
  ToWire(matchers, request.mutable_matchers());
  return request;
}

// What is wrong with a query is not the fault of the ingester that says so.
absl::Status WithoutPeer(const absl::Status& status, const std::string& peer) {
  if (!absl::IsInvalidArgument(status) && !absl::IsFailedPrecondition(status)) {
    return status;
  }
  return absl::Status(
      status.code(),
      absl::StripPrefix(status.message(), absl::StrCat(peer, ": ")));
}

absl::Status ReadColumns(EvaluateCall& call, std::size_t steps,
                         promql::ColumnSink sink,
                         promql::FragmentReply* reply) {
  v1::EvaluateResponse response;
  while (call.Read(&response)) {
    NARTHEX_RETURN_IF_ERROR(DecodeColumns(response.columns(), steps, sink));
    AddTo(response, reply);
  }
  return WithoutPeer(call.status(), call.peer());
}

// The only response of a call.
template <typename Response>
absl::Status TakeOne(rpc::LocalStream& stream, const std::string& peer,
                     Response* response) {
  stream.Read(response);
  Response none;
  while (stream.Read(&none)) {
  }
  return internal::WithPeer(stream.status(), peer);
}

using NamedCount = IngesterQueryable::NamedCount;

void AddCounts(const google::protobuf::RepeatedPtrField<v1::NamedCount>& counts,
               std::map<std::string, std::uint64_t>* sums) {
  for (const v1::NamedCount& count : counts) {
    (*sums)[count.name()] += count.count();
  }
}

std::vector<NamedCount> TopOf(const std::map<std::string, std::uint64_t>& sums,
                              std::size_t limit) {
  std::vector<NamedCount> top;
  top.reserve(sums.size());
  for (const auto& [name, count] : sums) top.push_back({name, count});
  std::stable_sort(top.begin(), top.end(),
                   [](const NamedCount& a, const NamedCount& b) {
                     return a.count > b.count;
                   });
  if (top.size() > limit) top.resize(limit);
  return top;
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

class IngesterQueryable::Rep {
 public:
  Rep(const AddressList& ingesters, const QueryableOptions& options,
      const std::vector<std::string>& addresses)
      : options_(options) {
    Connect(addresses);
    watch_ = std::make_unique<internal::AddressWatch>(
        ingesters, [this](const auto& found) { Connect(found); },
        [](const absl::Status&) {});
  }

  Peers peers() const {
    base::ReaderMutexLock lock(mutex_);
    return peers_;
  }

  std::chrono::milliseconds timeout() const { return options_.timeout; }

  /// Calls one unary method on all ingesters, one after the other, and hands
  /// each answer to `use`.
  template <typename Response, typename Call, typename Use>
  absl::Status CallAll(const Call& call, const Use& use) const {
    for (const auto& peer : peers()) {
      Response response;
      NARTHEX_RETURN_IF_ERROR(
          AsUnavailable(CallRemote(*peer, call, &response)));
      use(response);
    }
    return absl::OkStatus();
  }

  /// The same with a method that ingesters on this machine answer locally.
  template <typename Response, typename Request, typename Call, typename Use>
  absl::Status CallAll(absl::string_view method, const Request& request,
                       const Call& call, const Use& use) const {
    for (const auto& peer : peers()) {
      Response response;
      const auto stream = peer->local.Call(
          method, request, std::chrono::system_clock::now() + options_.timeout,
          nullptr);
      NARTHEX_RETURN_IF_ERROR(AsUnavailable(
          stream == nullptr ? CallRemote(*peer, call, &response)
                            : TakeOne(*stream, peer->address, &response)));
      use(response);
    }
    return absl::OkStatus();
  }

  std::unique_ptr<storage::ChunkSeriesSet> Select(
      const v1::SelectRequest& request, std::int64_t deadline_ns = 0,
      const std::atomic<bool>* cancelled = nullptr) const {
    const auto limits =
        internal::CallLimits::Of(options_.timeout, deadline_ns, cancelled);
    std::vector<std::unique_ptr<storage::ChunkSeriesSet>> sets;
    for (const auto& peer : peers()) {
      sets.push_back(std::make_unique<StreamedSet>(peer, request, limits));
    }
    return storage::MergeChunkSeries(std::move(sets));
  }

  absl::StatusOr<std::vector<storage::LabelTable>> SelectLabels(
      const std::vector<v1::SelectRequest>& requests) const {
    const auto limits = internal::CallLimits::Of(options_.timeout, 0, nullptr);
    std::vector<std::unique_ptr<SelectCall>> calls;
    for (const auto& peer : peers()) {
      for (const v1::SelectRequest& request : requests) {
        calls.push_back(StartSelect(*peer, request, limits));
      }
    }
    std::vector<storage::LabelTable> tables;
    for (const auto& call : calls) {
      NARTHEX_ASSIGN_OR_RETURN(storage::LabelTable table, ReadLabels(*call));
      tables.push_back(std::move(table));
    }
    return tables;
  }

  absl::StatusOr<std::vector<promql::FragmentReply>> Evaluate(
      const promql::Fragment& fragment, promql::ColumnSink sink) const {
    const Peers peers = this->peers();
    if (peers.size() != fragment.places) {
      return absl::UnimplementedError("the set of ingesters has changed");
    }
    const auto limits = internal::CallLimits::Of(options_.timeout,
                                                 fragment.settings.deadline_ns,
                                                 fragment.settings.cancelled);
    v1::EvaluateRequest request;
    ToWire(fragment, &request);
    if (peers.size() > 1) {
      for (const auto& peer : peers) request.add_members(peer->address);
    }
    std::vector<std::unique_ptr<EvaluateCall>> calls;
    for (const auto& peer : peers) {
      request.set_member(static_cast<std::uint32_t>(calls.size()));
      calls.push_back(std::make_unique<EvaluateCall>(
          peer->address, limits,
          peer->local.Call("Evaluate", request, limits.deadline,
                           limits.cancelled),
          [&](auto* context, auto* queue, void* tag) {
            return peer->stub->AsyncEvaluate(context, request, queue, tag);
          }));
    }
    // One after the other: they run at the same time, but sums of their
    // columns must not depend on which is faster.
    std::vector<promql::FragmentReply> replies;
    for (const auto& call : calls) {
      replies.emplace_back().place = call->peer();
      NARTHEX_RETURN_IF_ERROR(
          ReadColumns(*call, fragment.grid.count, sink, &replies.back()));
    }
    return replies;
  }

 private:
  void Connect(const std::vector<std::string>& addresses)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    base::MutexLock lock(mutex_);
    Peers peers;
    for (const std::string& address : addresses) {
      const auto known = std::find_if(
          peers_.begin(), peers_.end(),
          [&](const auto& peer) { return peer->address == address; });
      peers.push_back(known != peers_.end() ? *known
                                            : std::make_shared<Peer>(address));
    }
    peers_ = std::move(peers);
  }

  template <typename Response, typename Call>
  absl::Status CallRemote(const Peer& peer, const Call& call,
                          Response* response) const {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + options_.timeout);
    return rpc::FromGrpc(call(*peer.stub, &context, response), peer.address);
  }

  const QueryableOptions options_;
  mutable base::Mutex mutex_;
  Peers peers_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<internal::AddressWatch> watch_;
};

absl::StatusOr<std::unique_ptr<IngesterQueryable>> IngesterQueryable::Create(
    const AddressList& ingesters, QueryableOptions options) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> addresses,
                           ResolveAddresses(ingesters));
  if (addresses.empty()) {
    return absl::InvalidArgumentError("no ingester addresses given");
  }
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

std::size_t IngesterQueryable::places() const { return rep_->peers().size(); }

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
  std::vector<std::vector<std::string>> lists;
  NARTHEX_RETURN_IF_ERROR(rep_->CallAll<v1::LabelNamesResponse>(
      "LabelNames", request,
      [&](auto& stub, auto* context, auto* response) {
        return stub.LabelNames(context, request, response);
      },
      [&](v1::LabelNamesResponse& response) {
        lists.push_back(Take(response.mutable_names()));
      }));
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
  std::vector<std::vector<std::string>> lists;
  NARTHEX_RETURN_IF_ERROR(rep_->CallAll<v1::LabelValuesResponse>(
      "LabelValues", request,
      [&](auto& stub, auto* context, auto* response) {
        return stub.LabelValues(context, request, response);
      },
      [&](v1::LabelValuesResponse& response) {
        lists.push_back(Take(response.mutable_values()));
      }));
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
  std::map<std::string, std::vector<model::Exemplar>> found;
  for (const auto& peer : rep_->peers()) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + rep_->timeout());
    const auto reader = peer->stub->Exemplars(&context, request);
    v1::ExemplarsResponse response;
    absl::Status malformed;
    while (reader->Read(&response)) {
      std::vector<model::Exemplar>& all = found[response.labels()];
      for (const v1::Exemplar& wire : response.exemplars()) {
        malformed.Update(FromWire(wire, &all.emplace_back()));
      }
    }
    NARTHEX_RETURN_IF_ERROR(
        AsUnavailable(rpc::FromGrpc(reader->Finish(), peer->address)));
    NARTHEX_RETURN_IF_ERROR(base::Annotate(malformed, peer->address));
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

absl::StatusOr<IngesterQueryable::Cardinality>
IngesterQueryable::HeadCardinality(std::uint32_t limit) {
  v1::CardinalityRequest request;
  request.set_limit(limit);
  Cardinality sum;
  sum.min_ms = model::kMaxTime;
  sum.max_ms = model::kMinTime;
  std::map<std::string, std::uint64_t> metrics;
  std::map<std::string, std::uint64_t> values;
  std::map<std::string, std::uint64_t> bytes;
  std::map<std::string, std::uint64_t> pairs;
  NARTHEX_RETURN_IF_ERROR(rep_->CallAll<v1::CardinalityResponse>(
      [&](auto& stub, auto* context, auto* response) {
        return stub.Cardinality(context, request, response);
      },
      [&](const v1::CardinalityResponse& response) {
        sum.series += response.series();
        sum.label_pairs += response.label_pairs();
        sum.chunks += response.chunks();
        sum.min_ms = std::min(sum.min_ms, response.min_ms());
        sum.max_ms = std::max(sum.max_ms, response.max_ms());
        AddCounts(response.series_by_metric(), &metrics);
        AddCounts(response.values_by_label(), &values);
        AddCounts(response.bytes_by_label(), &bytes);
        AddCounts(response.series_by_pair(), &pairs);
      }));
  sum.series_by_metric = TopOf(metrics, limit);
  sum.values_by_label = TopOf(values, limit);
  sum.bytes_by_label = TopOf(bytes, limit);
  sum.series_by_pair = TopOf(pairs, limit);
  return sum;
}

absl::StatusOr<std::vector<IngesterQueryable::StorageStatus>>
IngesterQueryable::StorageStatuses() {
  std::vector<StorageStatus> all;
  NARTHEX_RETURN_IF_ERROR(rep_->CallAll<v1::StorageStatusResponse>(
      [](auto& stub, auto* context, auto* response) {
        return stub.StorageStatus(context, {}, response);
      },
      [&](const v1::StorageStatusResponse& response) {
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
      }));
  return all;
}

absl::Status IngesterQueryable::DeleteSeries(const storage::TimeRange& range,
                                             const MatcherSets& matcher_sets) {
  v1::DeleteSeriesRequest request;
  request.set_min_ms(range.min_ms);
  request.set_max_ms(range.max_ms);
  ToWire(matcher_sets, request.mutable_matcher_sets());
  return rep_->CallAll<v1::DeleteSeriesResponse>(
      [&](auto& stub, auto* context, auto* response) {
        return stub.DeleteSeries(context, request, response);
      },
      [](const auto&) {});
}

absl::Status IngesterQueryable::CleanTombstones() {
  return rep_->CallAll<v1::CleanTombstonesResponse>(
      [](auto& stub, auto* context, auto* response) {
        return stub.CleanTombstones(context, {}, response);
      },
      [](const auto&) {});
}

absl::StatusOr<std::vector<std::string>> IngesterQueryable::Snapshot(
    bool skip_head) {
  v1::SnapshotRequest request;
  request.set_skip_head(skip_head);
  std::vector<std::string> names;
  NARTHEX_RETURN_IF_ERROR(rep_->CallAll<v1::SnapshotResponse>(
      [&](auto& stub, auto* context, auto* response) {
        return stub.Snapshot(context, request, response);
      },
      [&](const v1::SnapshotResponse& response) {
        names.push_back(response.name());
      }));
  return names;
}

}  // namespace narthex::cluster
