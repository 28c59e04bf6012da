#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "libs/base/clock.h"
#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/base/task_pool.h"
#include "libs/rpc/local_server.h"
#include "libs/service/hangup_watch.h"
#include "libs/tsdb/db.h"
#include "narthex/v1/ingester.grpc.pb.h"
#include "services/ingester/caller.h"
#include "services/ingester/metrics.h"
#include "services/ingester/running_fragments.h"

namespace narthex::ingester {

/// Serves the Ingester contract over one database, which may still be opened
/// when the first calls come. Thread-safe.
class IngesterService : public v1::Ingester::Service {
 public:
  /// All references must outlive the service. Snapshots go below
  /// `snapshot_directory`.
  IngesterService(std::string snapshot_directory, base::Clock& clock,
                  base::Logger log, Metrics& metrics)
      : snapshot_directory_(std::move(snapshot_directory)),
        clock_(clock),
        log_(std::move(log)),
        metrics_(metrics),
        running_(metrics.running_fragments) {}

  /// Serves `db`, which must outlive the service, from now on. Before that
  /// every call but StorageStatus is answered by UNAVAILABLE.
  void Serve(tsdb::Db& db) { db_.store(&db); }
  /// How far the replay has come; told before Serve().
  void SetReplayProgress(const tsdb::ReplayProgress& progress)
      ABSL_LOCKS_EXCLUDED(mutex_);

  /// Ends the push streams after the batch at hand; writers keep what has
  /// not been answered. Other calls end by themselves.
  void EndPushStreams() ABSL_LOCKS_EXCLUDED(mutex_);

  grpc::Status Push(grpc::ServerContext* context,
                    grpc::ServerReaderWriter<v1::PushResponse, v1::PushRequest>*
                        stream) override ABSL_LOCKS_EXCLUDED(mutex_);
  grpc::Status Select(grpc::ServerContext* context,
                      const v1::SelectRequest* request,
                      grpc::ServerWriter<v1::SelectResponse>* writer) override;
  grpc::Status Evaluate(
      grpc::ServerContext* context, const v1::EvaluateRequest* request,
      grpc::ServerWriter<v1::EvaluateResponse>* writer) override;
  grpc::Status RunningFragments(
      grpc::ServerContext* context, const v1::RunningFragmentsRequest* request,
      v1::RunningFragmentsResponse* response) override;
  grpc::Status LabelNames(grpc::ServerContext* context,
                          const v1::LabelNamesRequest* request,
                          v1::LabelNamesResponse* response) override;
  grpc::Status LabelValues(grpc::ServerContext* context,
                           const v1::LabelValuesRequest* request,
                           v1::LabelValuesResponse* response) override;
  grpc::Status Exemplars(
      grpc::ServerContext* context, const v1::ExemplarsRequest* request,
      grpc::ServerWriter<v1::ExemplarsResponse>* writer) override;
  grpc::Status Cardinality(grpc::ServerContext* context,
                           const v1::CardinalityRequest* request,
                           v1::CardinalityResponse* response) override;
  grpc::Status DeleteSeries(grpc::ServerContext* context,
                            const v1::DeleteSeriesRequest* request,
                            v1::DeleteSeriesResponse* response) override;
  grpc::Status CleanTombstones(grpc::ServerContext* context,
                               const v1::CleanTombstonesRequest* request,
                               v1::CleanTombstonesResponse* response) override;
  grpc::Status Snapshot(grpc::ServerContext* context,
                        const v1::SnapshotRequest* request,
                        v1::SnapshotResponse* response) override;
  grpc::Status Flush(grpc::ServerContext* context,
                     const v1::FlushRequest* request,
                     v1::FlushResponse* response) override;
  grpc::Status StorageStatus(grpc::ServerContext* context,
                             const v1::StorageStatusRequest* request,
                             v1::StorageStatusResponse* response) override
      ABSL_LOCKS_EXCLUDED(mutex_);

  /// The methods that are called without gRPC on this machine, by name.
  std::map<std::string, rpc::LocalServer::Handler, std::less<>> LocalHandlers();

 private:
  // Threads that share the work of queries, at most.
  static constexpr std::size_t kMaxHelpers = 15;

  using Selecting = Caller<v1::SelectResponse>;

  // The next batch of a push stream of this machine.
  absl::Status PushLocally(rpc::LocalCall& call) ABSL_LOCKS_EXCLUDED(mutex_);

  absl::Status SendLabels(const tsdb::Db& db, const v1::SelectRequest& request,
                          const Selecting& caller);
  absl::Status SendSeries(const tsdb::Db& db, const v1::SelectRequest& request,
                          const Selecting& caller);
  // The methods of the contract without the way the call came.
  absl::Status DoSelect(const v1::SelectRequest& request,
                        const Selecting& caller);
  absl::Status DoEvaluate(const v1::EvaluateRequest& request,
                          const Caller<v1::EvaluateResponse>& caller);
  absl::Status DoLabelNames(const v1::LabelNamesRequest& request,
                            v1::LabelNamesResponse* response);
  absl::Status DoLabelValues(const v1::LabelValuesRequest& request,
                             v1::LabelValuesResponse* response);

  // Null until Serve().
  std::atomic<tsdb::Db*> db_{nullptr};
  const std::string snapshot_directory_;
  base::Clock& clock_;
  const base::Logger log_;
  Metrics& metrics_;
  service::HangupWatch hangups_;
  ingester::RunningFragments running_;
  base::TaskPool query_helpers_{base::TaskPool::HelpersOfMachine(kMaxHelpers)};

  base::Mutex mutex_;
  std::set<grpc::ServerContext*> push_streams_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  tsdb::ReplayProgress replay_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::ingester
