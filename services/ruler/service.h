#pragma once

#include "libs/rules/manager.h"
#include "libs/rules/notifier.h"
#include "narthex/v1/ruler.grpc.pb.h"

namespace narthex::ruler {

/// Serves the Ruler contract. Thread-safe.
class RulerService : public v1::Ruler::Service {
 public:
  RulerService(const rules::Manager& manager, const rules::Notifier& notifier)
      : manager_(manager), notifier_(notifier) {}

  grpc::Status Rules(grpc::ServerContext* context,
                     const v1::RulesRequest* request,
                     grpc::ServerWriter<v1::RulesResponse>* writer) override;
  grpc::Status Alertmanagers(grpc::ServerContext* context,
                             const v1::AlertmanagersRequest* request,
                             v1::AlertmanagersResponse* response) override;

 private:
  const rules::Manager& manager_;
  const rules::Notifier& notifier_;
};

/// A group as a message, with the rules of the wanted type; alerts unless
/// they are excluded.
v1::RuleGroup ToProto(const rules::GroupStatus& group,
                      const v1::RulesRequest& request);

}  // namespace narthex::ruler
