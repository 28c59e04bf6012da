#pragma once

#include "libs/base/clock.h"
#include "narthex/v1/querier.grpc.pb.h"
#include "services/querier/query_api.h"

namespace narthex::querier {

/// Evaluates the expressions of rulers.
class QuerierService : public v1::Querier::Service {
 public:
  explicit QuerierService(QueryContext& context) : context_(context) {}

  grpc::Status Query(grpc::ServerContext* call, const v1::QueryRequest* request,
                     grpc::ServerWriter<v1::QueryResponse>* writer) override;

 private:
  QueryContext& context_;
};

}  // namespace narthex::querier
