#include "services/ingester/service.h"

#include <atomic>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "libs/base/status.h"
#include "libs/cluster/label_table_wire.h"
#include "libs/cluster/wire.h"
#include "libs/rpc/status.h"
#include "services/ingester/evaluate.h"
#include "services/ingester/push_stream.h"

namespace narthex::ingester {
namespace {

void Fill(const std::vector<tsdb::NamedCount>& counts,
          google::protobuf::RepeatedPtrField<v1::NamedCount>* out) {
  for (const tsdb::NamedCount& count : counts) {
    v1::NamedCount* wire = out->Add();
    wire->set_name(count.name);
    wire->set_count(count.count);
  }
}

std::size_t BytesOf(const storage::ChunkSeries& series) {
  std::size_t bytes = series.labels.encoded().size();
  for (const storage::Chunk& chunk : series.chunks) {
    bytes += chunk.bytes.size() + 24;
  }
  return bytes;
}

// Unique within the process and, by its time, between runs.
std::string SnapshotName(std::int64_t now_ms) {
  static std::atomic<std::uint32_t> serial{0};
  return absl::StrCat(
      absl::FormatTime("%Y%m%dT%H%M%SZ", absl::FromUnixMillis(now_ms),
                       absl::UTCTimeZone()),
      absl::StrFormat("-%08x%08x", now_ms & 0xffffffff, ++serial));
}

absl::Status NotReplayed() {
  return absl::UnavailableError(
      "the ingester is still replaying its write-ahead log");
}

// A push stream of this machine, with memory that its requests share.
struct LocalPush {
  LocalPush(tsdb::Db& db, Metrics& its_metrics, const base::Logger& log)
      : metrics(its_metrics), stream(db, its_metrics, log) {
    metrics.push_streams.Add(1);
  }
  ~LocalPush() { metrics.push_streams.Add(-1); }
  LocalPush(const LocalPush&) = delete;
  LocalPush& operator=(const LocalPush&) = delete;

  Metrics& metrics;
  PushStream stream;
  v1::PushRequest request;
};

// Calls `use` with the request of a local call.
template <typename Request, typename Use>
absl::Status WithRequest(const rpc::LocalCall& call, const Use& use) {
  Request request;
  const absl::string_view bytes = call.request();
  if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::InternalError("received a malformed request");
  }
  return use(request);
}

}  // namespace

void IngesterService::SetReplayProgress(const tsdb::ReplayProgress& progress) {
  base::MutexLock lock(mutex_);
  replay_ = progress;
}

grpc::Status IngesterService::StorageStatus(
    grpc::ServerContext*, const v1::StorageStatusRequest*,
    v1::StorageStatusResponse* response) {
  {
    base::ReaderMutexLock lock(mutex_);
    response->set_first_segment(replay_.first);
    response->set_last_segment(replay_.last);
    response->set_current_segment(replay_.current);
  }
  const tsdb::Db* const db = db_.load();
  if (db == nullptr) return grpc::Status::OK;
  response->set_replayed(true);
  response->set_corruptions(db->corruption_count());
  const tsdb::Retention retention = db->retention();
  response->set_retention_ms(retention.time_ms);
  response->set_retention_bytes(retention.bytes);
  response->set_retention_percentage(retention.percentage);
  for (const tsdb::BlockMeta& meta : db->Blocks()) {
    response->add_block_metas(tsdb::FormatBlockMeta(meta));
  }
  return grpc::Status::OK;
}

void IngesterService::EndPushStreams() {
  base::MutexLock lock(mutex_);
  stopping_ = true;
  for (grpc::ServerContext* context : push_streams_) context->TryCancel();
}

grpc::Status IngesterService::Push(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<v1::PushResponse, v1::PushRequest>* stream) {
  tsdb::Db* const db = db_.load();
  if (db == nullptr) return rpc::ToGrpc(NotReplayed());
  {
    base::MutexLock lock(mutex_);
    if (stopping_) {
      return {grpc::StatusCode::UNAVAILABLE, "the ingester is stopping"};
    }
    push_streams_.insert(context);
  }
  metrics_.push_streams.Add(1);
  PushStream push(*db, metrics_, log_.With({{"peer", context->peer()}}));
  v1::PushRequest request;
  while (stream->Read(&request)) {
    if (!stream->Write(push.Handle(request))) break;
  }
  metrics_.push_streams.Add(-1);
  base::MutexLock lock(mutex_);
  push_streams_.erase(context);
  return grpc::Status::OK;
}

absl::Status IngesterService::SendSeries(const tsdb::Db& db,
                                         const v1::SelectRequest& request,
                                         const Selecting& caller) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<model::Matcher> matchers,
                           cluster::FromWire(request.matchers()));
  NARTHEX_ASSIGN_OR_RETURN(
      const auto set,
      db.SelectChunks({request.min_ms(), request.max_ms()}, matchers));
  Batch<v1::SelectResponse> batch(caller);
  std::uint64_t sent = 0;
  storage::ChunkSeries series;
  while ((request.limit() == 0 || sent < request.limit()) &&
         set->Next(&series)) {
    cluster::ToWire(series, batch.response().add_series());
    ++sent;
    NARTHEX_RETURN_IF_ERROR(batch.Added(BytesOf(series)));
  }
  NARTHEX_RETURN_IF_ERROR(set->status());
  metrics_.selected_series.Inc(static_cast<double>(sent));
  if (batch.response().series_size() > 0) batch.Finish();
  return absl::OkStatus();
}

absl::Status IngesterService::SendLabels(const tsdb::Db& db,
                                         const v1::SelectRequest& request,
                                         const Selecting& caller) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<model::Matcher> matchers,
                           cluster::FromWire(request.matchers()));
  NARTHEX_ASSIGN_OR_RETURN(
      const storage::LabelTable table,
      db.SelectLabels({request.min_ms(), request.max_ms()}, matchers));
  metrics_.selected_series.Inc(static_cast<double>(table.size()));
  const auto send = [&caller](const v1::SelectResponse& response, bool last) {
    return !caller.is_cancelled() && caller.send(response, last);
  };
  if (!cluster::SendLabelTable(table, request.limit(), send)) {
    return absl::CancelledError("the querier hung up");
  }
  return absl::OkStatus();
}

absl::Status IngesterService::DoSelect(const v1::SelectRequest& request,
                                       const Selecting& caller) {
  tsdb::Db* const db = db_.load();
  if (db == nullptr) return NotReplayed();
  metrics_.selects.Inc();
  return request.labels_only() ? SendLabels(*db, request, caller)
                               : SendSeries(*db, request, caller);
}

absl::Status IngesterService::DoEvaluate(
    const v1::EvaluateRequest& request,
    const Caller<v1::EvaluateResponse>& caller) {
  tsdb::Db* const db = db_.load();
  if (db == nullptr) return NotReplayed();
  metrics_.fragments.Inc();
  const service::HangupWatch::Scope watch(hangups_, caller.is_cancelled);
  ingester::RunningFragments::Scope listed(running_, request.query_id());
  NARTHEX_ASSIGN_OR_RETURN(
      const std::int64_t samples,
      EvaluateOver(*db, clock_, request, caller, watch.cancelled(),
                   &query_helpers_, listed.progress()));
  metrics_.fragment_samples.Inc(static_cast<double>(samples));
  return absl::OkStatus();
}

absl::Status IngesterService::DoLabelNames(const v1::LabelNamesRequest& request,
                                           v1::LabelNamesResponse* response) {
  tsdb::Db* const db = db_.load();
  if (db == nullptr) return NotReplayed();
  NARTHEX_ASSIGN_OR_RETURN(const auto sets,
                           cluster::FromWire(request.matcher_sets()));
  NARTHEX_ASSIGN_OR_RETURN(
      auto names, db->LabelNames({request.min_ms(), request.max_ms()}, sets,
                                 request.limit()));
  response->mutable_names()->Reserve(static_cast<int>(names.size()));
  for (std::string& name : names) response->add_names(std::move(name));
  return absl::OkStatus();
}

absl::Status IngesterService::DoLabelValues(
    const v1::LabelValuesRequest& request, v1::LabelValuesResponse* response) {
  tsdb::Db* const db = db_.load();
  if (db == nullptr) return NotReplayed();
  NARTHEX_ASSIGN_OR_RETURN(const auto sets,
                           cluster::FromWire(request.matcher_sets()));
  NARTHEX_ASSIGN_OR_RETURN(
      auto values,
      db->LabelValues(request.name(), {request.min_ms(), request.max_ms()},
                      sets, request.limit()));
  response->mutable_values()->Reserve(static_cast<int>(values.size()));
  for (std::string& value : values) response->add_values(std::move(value));
  return absl::OkStatus();
}

// A push stream is what a connection's calls have in common.
absl::Status IngesterService::PushLocally(rpc::LocalCall& call) {
  tsdb::Db* const db = db_.load();
  if (db == nullptr) return NotReplayed();
  {
    base::ReaderMutexLock lock(mutex_);
    if (stopping_) return absl::UnavailableError("the ingester is stopping");
  }
  if (call.state() == nullptr) {
    call.state() = std::make_shared<LocalPush>(*db, metrics_, log_);
  }
  auto& push = *static_cast<LocalPush*>(call.state().get());
  const absl::string_view bytes = call.request();
  if (!push.request.ParseFromArray(bytes.data(),
                                   static_cast<int>(bytes.size()))) {
    return absl::InternalError("received a malformed request");
  }
  call.Send(push.stream.Handle(push.request));
  // Declarations are rare, and their memory is not kept for more of them.
  if (push.request.new_labels_size() > 0) {
    v1::PushRequest().Swap(&push.request);
  }
  return absl::OkStatus();
}

std::map<std::string, rpc::LocalServer::Handler, std::less<>>
IngesterService::LocalHandlers() {
  return {
      {"Push", [this](rpc::LocalCall& call) { return PushLocally(call); }},
      {"Select",
       [this](rpc::LocalCall& call) {
         return WithRequest<v1::SelectRequest>(call, [&](const auto& request) {
           return DoSelect(request, Selecting::Of(call));
         });
       }},
      {"Evaluate",
       [this](rpc::LocalCall& call) {
         return WithRequest<v1::EvaluateRequest>(
             call, [&](const auto& request) {
               return DoEvaluate(request,
                                 Caller<v1::EvaluateResponse>::Of(call));
             });
       }},
      {"RunningFragments",
       [this](rpc::LocalCall& call) {
         v1::RunningFragmentsResponse response;
         running_.FillIn(&response);
         call.Send(response);
         return absl::OkStatus();
       }},
      {"LabelNames",
       [this](rpc::LocalCall& call) {
         return WithRequest<v1::LabelNamesRequest>(
             call, [&](const auto& request) -> absl::Status {
               v1::LabelNamesResponse response;
               NARTHEX_RETURN_IF_ERROR(DoLabelNames(request, &response));
               call.Send(response);
               return absl::OkStatus();
             });
       }},
      {"LabelValues",
       [this](rpc::LocalCall& call) {
         return WithRequest<v1::LabelValuesRequest>(
             call, [&](const auto& request) -> absl::Status {
               v1::LabelValuesResponse response;
               NARTHEX_RETURN_IF_ERROR(DoLabelValues(request, &response));
               call.Send(response);
               return absl::OkStatus();
             });
       }},
  };
}

grpc::Status IngesterService::Select(
    grpc::ServerContext* context, const v1::SelectRequest* request,
    grpc::ServerWriter<v1::SelectResponse>* writer) {
  return rpc::ToGrpc(DoSelect(*request, Selecting::Of(context, writer)));
}

grpc::Status IngesterService::Evaluate(
    grpc::ServerContext* context, const v1::EvaluateRequest* request,
    grpc::ServerWriter<v1::EvaluateResponse>* writer) {
  return rpc::ToGrpc(
      DoEvaluate(*request, Caller<v1::EvaluateResponse>::Of(context, writer)));
}

grpc::Status IngesterService::RunningFragments(
    grpc::ServerContext*, const v1::RunningFragmentsRequest*,
    v1::RunningFragmentsResponse* response) {
  running_.FillIn(response);
  return grpc::Status::OK;
}

grpc::Status IngesterService::LabelNames(grpc::ServerContext*,
                                         const v1::LabelNamesRequest* request,
                                         v1::LabelNamesResponse* response) {
  return rpc::ToGrpc(DoLabelNames(*request, response));
}

grpc::Status IngesterService::LabelValues(grpc::ServerContext*,
                                          const v1::LabelValuesRequest* request,
                                          v1::LabelValuesResponse* response) {
  return rpc::ToGrpc(DoLabelValues(*request, response));
}

grpc::Status IngesterService::Exemplars(
    grpc::ServerContext*, const v1::ExemplarsRequest* request,
    grpc::ServerWriter<v1::ExemplarsResponse>* writer) {
  tsdb::Db* const db = db_.load();
  if (db == nullptr) return rpc::ToGrpc(NotReplayed());
  const auto sets = cluster::FromWire(request->matcher_sets());
  if (!sets.ok()) return rpc::ToGrpc(sets.status());
  for (const tsdb::SeriesExemplars& one :
       db->SelectExemplars({request->min_ms(), request->max_ms()}, *sets)) {
    v1::ExemplarsResponse response;
    response.set_labels(std::string(one.labels.encoded()));
    for (const model::Exemplar& exemplar : one.exemplars) {
      cluster::ToWire(exemplar, response.add_exemplars());
    }
    if (!writer->Write(response)) break;
  }
  return grpc::Status::OK;
}

grpc::Status IngesterService::Cardinality(grpc::ServerContext*,
                                          const v1::CardinalityRequest* request,
                                          v1::CardinalityResponse* response) {
  tsdb::Db* const db = db_.load();
  if (db == nullptr) return rpc::ToGrpc(NotReplayed());
  const tsdb::Cardinality counts = db->GetCardinality(request->limit());
  response->set_series(counts.series);
  response->set_label_pairs(counts.label_pairs);
  response->set_chunks(counts.chunks);
  response->set_min_ms(counts.min_ms);
  response->set_max_ms(counts.max_ms);
  Fill(counts.series_by_metric, response->mutable_series_by_metric());
  Fill(counts.values_by_label, response->mutable_values_by_label());
  Fill(counts.bytes_by_label, response->mutable_bytes_by_label());
  Fill(counts.series_by_pair, response->mutable_series_by_pair());
  return grpc::Status::OK;
}

grpc::Status IngesterService::DeleteSeries(
    grpc::ServerContext*, const v1::DeleteSeriesRequest* request,
    v1::DeleteSeriesResponse*) {
  tsdb::Db* const db = db_.load();
  if (db == nullptr) return rpc::ToGrpc(NotReplayed());
  const auto sets = cluster::FromWire(request->matcher_sets());
  if (!sets.ok()) return rpc::ToGrpc(sets.status());
  for (const auto& matchers : *sets) {
    const absl::Status status =
        db->DeleteSeries({request->min_ms(), request->max_ms()}, matchers);
    if (!status.ok()) return rpc::ToGrpc(status);
  }
  return grpc::Status::OK;
}

grpc::Status IngesterService::CleanTombstones(grpc::ServerContext*,
                                              const v1::CleanTombstonesRequest*,
                                              v1::CleanTombstonesResponse*) {
  tsdb::Db* const db = db_.load();
  if (db == nullptr) return rpc::ToGrpc(NotReplayed());
  return rpc::ToGrpc(db->CleanTombstones());
}

grpc::Status IngesterService::Snapshot(grpc::ServerContext*,
                                       const v1::SnapshotRequest* request,
                                       v1::SnapshotResponse* response) {
  tsdb::Db* const db = db_.load();
  if (db == nullptr) return rpc::ToGrpc(NotReplayed());
  const std::string name = SnapshotName(clock_.NowMs());
  response->set_name(name);
  return rpc::ToGrpc(db->Snapshot(absl::StrCat(snapshot_directory_, "/", name),
                                  request->skip_head()));
}

grpc::Status IngesterService::Flush(grpc::ServerContext*,
                                    const v1::FlushRequest*,
                                    v1::FlushResponse*) {
  tsdb::Db* const db = db_.load();
  if (db == nullptr) return rpc::ToGrpc(NotReplayed());
  return rpc::ToGrpc(db->Flush());
}

}  // namespace narthex::ingester
