#include "libs/cluster/queryable.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/mutex.h"
#include "libs/base/status.h"
#include "libs/cluster/internal/address_watch.h"
#include "libs/cluster/wire.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/status.h"
#include "libs/storage/merge.h"
#include "libs/tsdb/chunk_series.h"
#include "narthex/v1/ingester.grpc.pb.h"

namespace narthex::cluster {
namespace {

using MatcherSets = std::vector<std::vector<model::Matcher>>;

// One ingester and how to call it.
struct Peer {
  std::string address;
  std::unique_ptr<v1::Ingester::Stub> stub;
};
using Peers = std::vector<std::shared_ptr<const Peer>>;

// An unreachable or silent ingester is the same to a user: the answer would
// not be whole.
absl::Status AsUnavailable(const absl::Status& status) {
  if (!absl::IsDeadlineExceeded(status)) return status;
  return absl::UnavailableError(status.message());
}

// A selection as it streams in from one ingester.
class StreamedSet : public storage::ChunkSeriesSet {
 public:
  StreamedSet(std::shared_ptr<const Peer> peer,
              const v1::SelectRequest& request,
              std::chrono::milliseconds timeout)
      : peer_(std::move(peer)) {
    context_.set_deadline(std::chrono::system_clock::now() + timeout);
    reader_ = peer_->stub->Select(&context_, request);
  }

  ~StreamedSet() override {
    if (finished_) return;
    context_.TryCancel();
    reader_->Finish();
  }

  bool Next(storage::ChunkSeries* series) override {
    while (next_ == message_.series_size()) {
      if (finished_) return false;
      next_ = 0;
      if (!reader_->Read(&message_)) {
        message_.Clear();
        Finish(AsUnavailable(rpc::FromGrpc(reader_->Finish(), peer_->address)));
        return false;
      }
    }
    const absl::Status status =
        FromWire(message_.mutable_series(next_++), series);
    if (status.ok()) return true;
    context_.TryCancel();
    reader_->Finish();
    Finish(base::Annotate(status, peer_->address));
    return false;
  }

  absl::Status status() const override { return status_; }

 private:
  void Finish(absl::Status status) {
    finished_ = true;
    status_ = std::move(status);
  }

  const std::shared_ptr<const Peer> peer_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::SelectResponse>> reader_;
  v1::SelectResponse message_;
  int next_ = 0;
  bool finished_ = false;
  absl::Status status_;
};

v1::SelectRequest MakeSelect(const storage::TimeRange& range,
                             const std::vector<model::Matcher>& matchers) {
  v1::SelectRequest request;
  request.set_min_ms(range.min_ms);
  request.set_max_ms(range.max_ms);
  ToWire(matchers, request.mutable_matchers());
  return request;
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
  for (const auto& [name, count] : sums) top.push_back({name, count});
  std::stable_sort(top.begin(), top.end(),
                   [](const NamedCount& a, const NamedCount& b) {
                     return a.count > b.count;
                   });
  if (top.size() > limit) top.resize(limit);
  return top;
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
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + options_.timeout);
      Response response;
      NARTHEX_RETURN_IF_ERROR(AsUnavailable(rpc::FromGrpc(
          call(*peer->stub, &context, &response), peer->address)));
      use(response);
    }
    return absl::OkStatus();
  }

  std::unique_ptr<storage::ChunkSeriesSet> Select(
      const v1::SelectRequest& request) const {
    std::vector<std::unique_ptr<storage::ChunkSeriesSet>> sets;
    for (const auto& peer : peers()) {
      sets.push_back(
          std::make_unique<StreamedSet>(peer, request, options_.timeout));
    }
    return storage::MergeChunkSeries(std::move(sets));
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
      peers.push_back(
          known != peers_.end()
              ? *known
              : std::make_shared<const Peer>(Peer{
                    address, v1::Ingester::NewStub(rpc::NewChannel(address))}));
    }
    peers_ = std::move(peers);
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
  return tsdb::DecodeSeriesSet(rep_->Select(request), hints.range);
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
      [&](auto& stub, auto* context, auto* response) {
        return stub.LabelNames(context, request, response);
      },
      [&](const v1::LabelNamesResponse& response) {
        lists.emplace_back(response.names().begin(), response.names().end());
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
      [&](auto& stub, auto* context, auto* response) {
        return stub.LabelValues(context, request, response);
      },
      [&](const v1::LabelValuesResponse& response) {
        lists.emplace_back(response.values().begin(), response.values().end());
      }));
  return storage::MergeNames(std::move(lists), limit);
}

absl::StatusOr<std::vector<model::Labels>> IngesterQueryable::SeriesLabels(
    const storage::TimeRange& range, const MatcherSets& matcher_sets,
    std::size_t limit) {
  std::vector<std::unique_ptr<storage::ChunkSeriesSet>> sets;
  for (const auto& matchers : matcher_sets) {
    v1::SelectRequest request = MakeSelect(range, matchers);
    request.set_labels_only(true);
    request.set_limit(limit);
    sets.push_back(rep_->Select(request));
  }
  const auto merged = storage::MergeChunkSeries(std::move(sets));
  std::vector<model::Labels> found;
  storage::ChunkSeries series;
  while ((limit == 0 || found.size() < limit) && merged->Next(&series)) {
    found.push_back(std::move(series.labels));
  }
  NARTHEX_RETURN_IF_ERROR(merged->status());
  return found;
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
