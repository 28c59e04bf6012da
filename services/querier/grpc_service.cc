#include "services/querier/grpc_service.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <utility>

#include "libs/cluster/wire.h"
#include "libs/rpc/status.h"

namespace narthex::querier {
namespace {

constexpr int kSamplesPerMessage = 5'000;

void AddTexts(const promql::QueryResult& result, v1::QueryResponse* response) {
  for (const std::string& text : result.warnings) response->add_warnings(text);
  for (const std::string& text : result.infos) response->add_infos(text);
}

// As many ms as the caller still waits, 0 when it set no deadline.
std::int64_t TimeLeftMs(const grpc::ServerContext& call) {
  const auto left = call.deadline() - std::chrono::system_clock::now();
  if (left > std::chrono::hours(24)) return 0;
  return std::max<std::int64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(left).count(), 1);
}

// "file;group", as rulers name themselves.
QueryOrigin OriginOf(const std::string& text) {
  QueryOrigin origin;
  const std::size_t split = text.rfind(';');
  if (split == std::string::npos) return origin;
  origin.rule_file = text.substr(0, split);
  origin.rule_group = text.substr(split + 1);
  return origin;
}

grpc::Status SendVector(const promql::QueryResult& result,
                        grpc::ServerWriter<v1::QueryResponse>* writer) {
  v1::QueryResponse response;
  AddTexts(result, &response);
  response.set_type(v1::QueryResponse::RESULT_TYPE_VECTOR);
  for (const promql::VectorSample& sample : result.value.vector) {
    if (response.samples_size() == kSamplesPerMessage) {
      if (!writer->Write(response)) return grpc::Status::CANCELLED;
      response.Clear();
      response.set_type(v1::QueryResponse::RESULT_TYPE_VECTOR);
    }
    v1::QuerySample* const out = response.add_samples();
    const absl::string_view labels = sample.labels.encoded();
    out->set_labels(labels.data(), labels.size());
    out->set_timestamp_ms(result.value.timestamp_ms);
    if (sample.histogram != nullptr) {
      cluster::ToWire({nullptr, sample.histogram}, out->mutable_histogram());
    } else {
      out->set_value(sample.value);
    }
  }
  writer->WriteLast(response, grpc::WriteOptions());
  return grpc::Status::OK;
}

}  // namespace

grpc::Status QuerierService::Query(
    grpc::ServerContext* call, const v1::QueryRequest* request,
    grpc::ServerWriter<v1::QueryResponse>* writer) {
  promql::QueryOptions options;
  options.timeout_ms = TimeLeftMs(*call);
  options.propagate_matchers = true;
  const std::function<bool()> is_cancelled = [call] {
    return call->IsCancelled();
  };
  const auto result =
      RunQuery(context_, {request->expression(), request->timestamp_ms(),
                          request->timestamp_ms(), 0, options,
                          OriginOf(request->origin()), is_cancelled});
  if (!result.ok()) return rpc::ToGrpc(result.status());
  switch (result->value.type) {
    case promql::ValueType::kVector:
      return SendVector(*result, writer);
    case promql::ValueType::kScalar: {
      v1::QueryResponse response;
      AddTexts(*result, &response);
      response.set_type(v1::QueryResponse::RESULT_TYPE_SCALAR);
      v1::QuerySample* const out = response.add_samples();
      out->set_timestamp_ms(result->value.timestamp_ms);
      out->set_value(result->value.scalar);
      writer->WriteLast(response, grpc::WriteOptions());
      return grpc::Status::OK;
    }
    default:
      // A rule's result has no other form.
      return rpc::ToGrpc(absl::FailedPreconditionError(
          "rule result is not a vector or scalar"));
  }
}

}  // namespace narthex::querier
