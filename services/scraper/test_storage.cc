#include "services/scraper/test_storage.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "libs/rpc/server.h"
#include "narthex/v1/ingester.grpc.pb.h"

namespace narthex::scraper {

class TestStorage::Ingester : public v1::Ingester::Service {
 public:
  grpc::Status Push(grpc::ServerContext*,
                    grpc::ServerReaderWriter<v1::PushResponse, v1::PushRequest>*
                        stream) override ABSL_LOCKS_EXCLUDED(mutex) {
    std::map<std::uint64_t, std::string> names;
    v1::PushRequest request;
    while (stream->Read(&request)) {
      for (int i = 0; i < request.new_refs_size(); ++i) {
        model::Labels labels;
        model::Labels::FromEncoded(request.new_labels(i), &labels);
        names[request.new_refs(i)] = labels.ToMetricString();
      }
      std::vector<cluster::RefSample> batch;
      if (!cluster::DecodePush(request, &batch).ok()) break;
      {
        base::MutexLock lock(mutex);
        for (const cluster::RefSample& sample : batch) {
          stored[names[sample.ref]].Append(sample.timestamp_ms, sample.value);
        }
      }
      v1::PushResponse response;
      response.set_batch(request.batch());
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

  base::Mutex mutex;
  std::map<std::string, model::SampleColumns> stored ABSL_GUARDED_BY(mutex);
};

TestStorage::TestStorage()
    : ingester_(std::make_unique<Ingester>()),
      server_(rpc::Server::Start("127.0.0.1:0", {ingester_.get()}).value()),
      writer_(cluster::Writer::Create(
                  {{absl::StrCat("127.0.0.1:", server_->port())}, ""}, {},
                  base::Logger::Discard(), registry_)
                  .value()) {}

TestStorage::~TestStorage() {
  writer_.reset();
  server_->Stop(std::chrono::milliseconds(0));
}

void TestStorage::Settle() {
  // Batches are stored in order, so this one comes after all others.
  const storage::SeriesRef ref =
      writer_->Declare(model::Labels{{"__name__", "settled"}});
  writer_->PushAndWait({{ref, 1, 1}}, std::chrono::seconds(20));
  writer_->Release({ref});
  base::MutexLock lock(ingester_->mutex);
  ingester_->stored.erase("settled");
}

model::SampleColumns TestStorage::Read(const std::string& series) {
  Settle();
  base::MutexLock lock(ingester_->mutex);
  return ingester_->stored[series];
}

std::vector<std::string> TestStorage::Series() {
  Settle();
  base::MutexLock lock(ingester_->mutex);
  std::vector<std::string> names;
  for (const auto& [name, samples] : ingester_->stored) {
    if (!samples.empty()) names.push_back(name);
  }
  return names;
}

}  // namespace narthex::scraper
