#pragma once

#include <grpcpp/client_context.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "libs/base/mutex.h"
#include "libs/base/status.h"
#include "libs/cluster/internal/address_watch.h"
#include "libs/cluster/internal/ask_ingesters.h"
#include "libs/cluster/internal/ingester_peer.h"
#include "libs/cluster/internal/stream_call.h"
#include "libs/cluster/queryable.h"
#include "libs/rpc/status.h"

namespace narthex::cluster {
namespace internal {

/// How long an answer takes that is given at once.
constexpr std::chrono::milliseconds kAtOnce{100};

}  // namespace internal

/// The ingesters of an IngesterQueryable and the ways to call them.
class IngesterQueryable::Rep {
 public:
  Rep(const AddressList& ingesters, const QueryableOptions& options,
      const std::vector<std::string>& addresses);

  internal::IngesterPeers peers() const ABSL_LOCKS_EXCLUDED(mutex_) {
    base::ReaderMutexLock lock(mutex_);
    return peers_;
  }
  std::size_t replicas() const { return options_.replication_factor; }
  std::chrono::milliseconds timeout() const { return options_.timeout; }
  std::chrono::system_clock::time_point NewDeadline() const {
    return std::chrono::system_clock::now() + options_.timeout;
  }
  internal::Absences NewAbsences(std::size_t asked) const {
    return {asked, MayBeMissing(replicas()), report_};
  }

  /// Hands on what `ask` gets from the ingesters, asked at the same time: from
  /// all of them or, with replicas, from as many as make a whole.
  template <typename Answer>
  absl::StatusOr<std::vector<Answer>> Ask(
      const std::function<absl::StatusOr<Answer>(
          const internal::IngesterPeer&, internal::Cancellation&)>& ask) const {
    const internal::IngesterPeers asked = peers();
    return internal::AskIngesters<Answer>(asked, NewAbsences(asked.size()),
                                          ask);
  }

  /// Calls a unary method likewise. `local` is its name where ingesters on this
  /// machine answer it locally, or null.
  template <typename Request, typename Response>
  absl::StatusOr<std::vector<Response>> Call(
      grpc::Status (v1::Ingester::Stub::*method)(grpc::ClientContext*,
                                                 const Request&, Response*),
      const Request& request, const char* local = nullptr) const {
    return Ask<Response>([&](const auto& peer, auto& cancellation) {
      return CallOne(peer, method, request, local, cancellation,
                     options_.timeout);
    });
  }

  /// Calls a unary method of every ingester; one that does not answer is an
  /// error although there are replicas.
  template <typename Request, typename Response>
  absl::StatusOr<std::vector<Response>> CallEvery(
      grpc::Status (v1::Ingester::Stub::*method)(grpc::ClientContext*,
                                                 const Request&, Response*),
      const Request& request) const {
    std::vector<Response> answers;
    for (const auto& peer : peers()) {
      internal::Cancellation never;
      NARTHEX_ASSIGN_OR_RETURN(
          answers.emplace_back(),
          CallOne(*peer, method, request, nullptr, never, options_.timeout));
    }
    return answers;
  }

  /// Calls a unary method of all ingesters at the same time and returns the
  /// answers of those that give one at once.
  template <typename Request, typename Response>
  std::vector<Response> CallAtOnce(
      grpc::Status (v1::Ingester::Stub::*method)(grpc::ClientContext*,
                                                 const Request&, Response*),
      const Request& request, const char* local) const {
    const internal::IngesterPeers asked = peers();
    std::vector<absl::StatusOr<Response>> answers(asked.size());
    std::vector<std::thread> calls;
    for (std::size_t i = 0; i < asked.size(); ++i) {
      calls.emplace_back([&, i] {
        internal::Cancellation never;
        answers[i] = CallOne(*asked[i], method, request, local, never,
                             internal::kAtOnce);
      });
    }
    for (std::thread& call : calls) call.join();
    std::vector<Response> given;
    for (auto& answer : answers) {
      if (answer.ok()) given.push_back(*std::move(answer));
    }
    return given;
  }

  std::unique_ptr<storage::ChunkSeriesSet> Select(
      const v1::SelectRequest& request, std::int64_t deadline_ns = 0,
      const std::atomic<bool>* cancelled = nullptr) const;

  /// One table of each ingester that answers and each request.
  absl::StatusOr<std::vector<storage::LabelTable>> SelectLabels(
      const std::vector<v1::SelectRequest>& requests) const;

  absl::StatusOr<std::vector<promql::FragmentReply>> Evaluate(
      const promql::Fragment& fragment, promql::ColumnSink sink) const;

 private:
  void Connect(const std::vector<std::string>& addresses)
      ABSL_LOCKS_EXCLUDED(mutex_);

  template <typename Request, typename Response>
  absl::StatusOr<Response> CallOne(
      const internal::IngesterPeer& peer,
      grpc::Status (v1::Ingester::Stub::*method)(grpc::ClientContext*,
                                                 const Request&, Response*),
      const Request& request, const char* local,
      internal::Cancellation& cancellation,
      std::chrono::milliseconds timeout) const {
    const auto deadline = std::chrono::system_clock::now() + timeout;
    Response response;
    const auto stream =
        local == nullptr
            ? nullptr
            : peer.local.Call(local, request, deadline, cancellation.flag());
    if (stream != nullptr) {
      NARTHEX_RETURN_IF_ERROR(
          internal::TakeOne(*stream, peer.address, &response));
      return response;
    }
    grpc::ClientContext context;
    context.set_deadline(deadline);
    const internal::Cancellation::Call call(cancellation, context);
    NARTHEX_RETURN_IF_ERROR(internal::AsUnavailable(rpc::FromGrpc(
        (*peer.stub.*method)(&context, request, &response), peer.address)));
    return response;
  }

  const QueryableOptions options_;
  const internal::AbsenceReport report_;
  mutable base::Mutex mutex_;
  internal::IngesterPeers peers_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<internal::AddressWatch> watch_;
};

}  // namespace narthex::cluster
