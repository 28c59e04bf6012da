#include "libs/cluster/internal/queryable_rep.h"

#include <grpcpp/channel.h>

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/cluster/column_codec.h"
#include "libs/cluster/fragment_wire.h"
#include "libs/cluster/internal/select_stream.h"
#include "libs/cluster/internal/stream_call.h"
#include "libs/cluster/label_table_wire.h"
#include "libs/rpc/channel.h"
#include "libs/storage/merge.h"

namespace narthex::cluster {
namespace internal {

IngesterPeer::IngesterPeer(const std::string& at)
    : address(at),
      stub(v1::Ingester::NewStub(rpc::NewChannel(at))),
      local(at) {}

}  // namespace internal
namespace {

using internal::CallLimits;
using EvaluateCall = internal::StreamCall<v1::EvaluateResponse>;

// The label sets that one ingester streams.
absl::StatusOr<storage::LabelTable> ReadLabels(internal::SelectCall& call) {
  LabelTableReader reader;
  v1::SelectResponse response;
  while (call.Read(&response)) {
    NARTHEX_RETURN_IF_ERROR(base::Annotate(reader.Add(response), call.peer()));
  }
  NARTHEX_RETURN_IF_ERROR(call.status());
  return std::move(reader).Take();
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

internal::AbsenceReport ReportTo(const QueryableOptions& options) {
  internal::AbsenceReport report{options.log, nullptr};
  if (options.registry != nullptr && options.replication_factor > 1) {
    report.missing = &options.registry->NewCounterFamily(
        "narthex_query_missing_ingesters_total",
        "Calls answered by replicas because an ingester did not.",
        {"ingester"});
  }
  return report;
}

}  // namespace

IngesterQueryable::Rep::Rep(const AddressList& ingesters,
                            const QueryableOptions& options,
                            const std::vector<std::string>& addresses)
    : options_(options), report_(ReportTo(options)) {
  Connect(addresses);
  watch_ = std::make_unique<internal::AddressWatch>(
      ingesters, [this](const auto& found) { Connect(found); },
      [](const absl::Status&) {});
}

void IngesterQueryable::Rep::Connect(
    const std::vector<std::string>& addresses) {
  // As many are asked as a whole answer needs.
  if (addresses.size() < replicas()) return;
  base::MutexLock lock(mutex_);
  internal::IngesterPeers peers;
  for (const std::string& address : addresses) {
    const auto known = std::find_if(
        peers_.begin(), peers_.end(),
        [&](const auto& peer) { return peer->address == address; });
    peers.push_back(known != peers_.end()
                        ? *known
                        : std::make_shared<internal::IngesterPeer>(address));
  }
  peers_ = std::move(peers);
}

std::unique_ptr<storage::ChunkSeriesSet> IngesterQueryable::Rep::Select(
    const v1::SelectRequest& request, std::int64_t deadline_ns,
    const std::atomic<bool>* cancelled) const {
  const auto limits = CallLimits::Of(options_.timeout, deadline_ns, cancelled);
  const internal::IngesterPeers asked = peers();
  return storage::MergeChunkSeries(
      replicas() == 1 ? internal::StreamSelections(asked, request, limits)
                      : internal::StreamReplicas(asked, request, limits,
                                                 NewAbsences(asked.size())));
}

absl::StatusOr<std::vector<storage::LabelTable>>
IngesterQueryable::Rep::SelectLabels(
    const std::vector<v1::SelectRequest>& requests) const {
  using Tables = std::vector<storage::LabelTable>;
  using Calls = std::vector<std::unique_ptr<internal::SelectCall>>;
  const auto start = [&](const internal::IngesterPeer& peer,
                         const std::atomic<bool>* cancelled, Calls* calls) {
    const auto limits = CallLimits::Of(options_.timeout, 0, cancelled);
    for (const v1::SelectRequest& request : requests) {
      calls->push_back(internal::StartSelect(peer, request, limits));
    }
  };
  const auto read = [](const Calls& calls) -> absl::StatusOr<Tables> {
    Tables tables;
    for (const auto& call : calls) {
      NARTHEX_ASSIGN_OR_RETURN(storage::LabelTable table, ReadLabels(*call));
      tables.push_back(std::move(table));
    }
    return tables;
  };
  if (replicas() == 1) {
    Calls calls;
    for (const auto& peer : peers()) start(*peer, nullptr, &calls);
    return read(calls);
  }
  NARTHEX_ASSIGN_OR_RETURN(
      std::vector<Tables> answers,
      Ask<Tables>([&](const auto& peer, internal::Cancellation& cancellation) {
        Calls calls;
        start(peer, cancellation.flag(), &calls);
        return read(calls);
      }));
  Tables all;
  for (Tables& tables : answers) {
    std::move(tables.begin(), tables.end(), std::back_inserter(all));
  }
  return all;
}

absl::StatusOr<std::vector<promql::FragmentReply>>
IngesterQueryable::Rep::Evaluate(const promql::Fragment& fragment,
                                 promql::ColumnSink sink) const {
  const internal::IngesterPeers peers = this->peers();
  if (peers.size() != fragment.places) {
    return absl::UnimplementedError("the set of ingesters has changed");
  }
  const auto limits =
      internal::CallLimits::Of(options_.timeout, fragment.settings.deadline_ns,
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

}  // namespace narthex::cluster
