#include "services/ruler/querier_client.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/cluster/wire.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/status.h"
#include "narthex/v1/querier.grpc.pb.h"

namespace narthex::ruler {

class QuerierClient::Call {
 public:
  explicit Call(QuerierClient& client) : client_(client) {
    context_.set_deadline(std::chrono::system_clock::now() + client.timeout_);
    base::MutexLock lock(client_.mutex_);
    client_.calls_.insert(&context_);
    if (client_.stopped_) context_.TryCancel();
  }
  ~Call() {
    base::MutexLock lock(client_.mutex_);
    client_.calls_.erase(&context_);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  grpc::ClientContext& context() { return context_; }

 private:
  QuerierClient& client_;
  grpc::ClientContext context_;
};

QuerierClient::QuerierClient(const cluster::AddressList& queriers,
                             std::chrono::milliseconds timeout)
    : timeout_(timeout) {
  if (!queriers.dns_name.empty()) {
    // gRPC resolves the name again whenever its connection breaks.
    peers_.push_back({queriers.dns_name, rpc::NewChannel(absl::StrCat(
                                             "dns:///", queriers.dns_name))});
  }
  for (const std::string& address : queriers.fixed) {
    peers_.push_back({address, rpc::NewChannel(address)});
  }
}

QuerierClient::~QuerierClient() = default;

absl::StatusOr<std::vector<promql::VectorSample>> QuerierClient::Query(
    absl::string_view expression, std::int64_t time_ms,
    absl::string_view origin) {
  absl::Status last = absl::UnavailableError("no querier is known");
  const std::size_t first = next_.fetch_add(1, std::memory_order_relaxed);
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    const Peer& peer = peers_[(first + i) % peers_.size()];
    auto result = Ask(peer, expression, time_ms, origin);
    if (!absl::IsUnavailable(result.status())) return result;
    last = result.status();
  }
  return last;
}

void QuerierClient::Stop() {
  base::MutexLock lock(mutex_);
  stopped_ = true;
  for (grpc::ClientContext* context : calls_) context->TryCancel();
}

absl::StatusOr<std::vector<promql::VectorSample>> QuerierClient::Ask(
    const Peer& peer, absl::string_view expression, std::int64_t time_ms,
    absl::string_view origin) {
  Call call(*this);
  grpc::ClientContext& context = call.context();
  v1::QueryRequest request;
  request.set_expression(std::string(expression));
  request.set_timestamp_ms(time_ms);
  request.set_origin(absl::StrCat("rule group ", origin));
  const auto stub = v1::Querier::NewStub(peer.channel);
  const auto reader = stub->Query(&context, request);
  std::vector<promql::VectorSample> vector;
  v1::QueryResponse response;
  while (reader->Read(&response)) {
    for (const v1::QuerySample& sample : response.samples()) {
      promql::VectorSample& out = vector.emplace_back();
      out.value = sample.value();
      if (sample.has_histogram()) {
        model::HistogramValue histogram;
        const absl::Status status =
            cluster::FromWire(sample.histogram(), &histogram);
        if (!status.ok()) {
          context.TryCancel();
          reader->Finish();
          return base::Annotate(status, peer.address);
        }
        out.histogram = std::move(histogram.floating);
      }
      if (!model::Labels::FromEncoded(sample.labels(), &out.labels)) {
        context.TryCancel();
        reader->Finish();
        return absl::InternalError(
            absl::StrCat(peer.address, " sent a malformed label set"));
      }
    }
  }
  NARTHEX_RETURN_IF_ERROR(rpc::FromGrpc(reader->Finish(), peer.address));
  return vector;
}

}  // namespace narthex::ruler
