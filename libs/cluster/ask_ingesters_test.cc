#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "libs/base/mutex.h"
#include "libs/cluster/queryable.h"
#include "libs/rpc/server.h"
#include "narthex/v1/ingester.grpc.pb.h"

namespace narthex::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{10};

/// Where calls wait for each other.
class Meeting {
 public:
  explicit Meeting(int size) : size_(size) {}
  /// Whether all have come.
  bool Arrive() ABSL_LOCKS_EXCLUDED(mutex_) {
    const auto give_up = steady_clock::now() + kPatience;
    base::MutexLock lock(mutex_);
    const int round = round_;
    if (++arrived_ == size_) {
      arrived_ = 0;
      ++round_;
      changed_.NotifyAll();
    }
    while (round_ == round && steady_clock::now() < give_up) {
      changed_.WaitFor(mutex_, milliseconds(20));
    }
    return round_ != round;
  }

 private:
  const int size_;
  base::Mutex mutex_;
  base::CondVar changed_;
  int arrived_ ABSL_GUARDED_BY(mutex_) = 0;
  int round_ ABSL_GUARDED_BY(mutex_) = 0;
};

/// Answers when all ingesters are asked.
class MeetingIngester : public v1::Ingester::Service {
 public:
  explicit MeetingIngester(Meeting& meeting) : meeting_(meeting) {}

  grpc::Status LabelNames(grpc::ServerContext*, const v1::LabelNamesRequest*,
                          v1::LabelNamesResponse*) override {
    return Meet();
  }
  grpc::Status LabelValues(grpc::ServerContext*, const v1::LabelValuesRequest*,
                           v1::LabelValuesResponse*) override {
    return Meet();
  }
  grpc::Status Exemplars(grpc::ServerContext*, const v1::ExemplarsRequest*,
                         grpc::ServerWriter<v1::ExemplarsResponse>*) override {
    return Meet();
  }
  grpc::Status Cardinality(grpc::ServerContext*, const v1::CardinalityRequest*,
                           v1::CardinalityResponse*) override {
    return Meet();
  }
  grpc::Status StorageStatus(grpc::ServerContext*,
                             const v1::StorageStatusRequest*,
                             v1::StorageStatusResponse*) override {
    return Meet();
  }

 private:
  grpc::Status Meet() {
    return meeting_.Arrive()
               ? grpc::Status::OK
               : grpc::Status(grpc::StatusCode::UNAVAILABLE, "asked alone");
  }

  Meeting& meeting_;
};

/// Answers when nobody waits any more.
class PatientIngester : public v1::Ingester::Service {
 public:
  grpc::Status LabelNames(grpc::ServerContext* context,
                          const v1::LabelNamesRequest*,
                          v1::LabelNamesResponse*) override {
    const auto give_up = steady_clock::now() + kPatience;
    while (!context->IsCancelled() && steady_clock::now() < give_up) {
      std::this_thread::sleep_for(milliseconds(5));
    }
    return grpc::Status::OK;
  }
};

class BrokenIngester : public v1::Ingester::Service {
 public:
  grpc::Status LabelNames(grpc::ServerContext*, const v1::LabelNamesRequest*,
                          v1::LabelNamesResponse*) override {
    return {grpc::StatusCode::UNAVAILABLE, "broken on purpose"};
  }
};

struct Server {
  explicit Server(grpc::Service* service)
      : server(rpc::Server::Start("127.0.0.1:0", {service}).value()),
        address("127.0.0.1:" + std::to_string(server->port())) {}
  const std::unique_ptr<rpc::Server> server;
  const std::string address;
};

}  // namespace

TEST_CASE("all ingesters are asked at the same time") {
  Meeting meeting(3);
  MeetingIngester one(meeting);
  MeetingIngester two(meeting);
  MeetingIngester three(meeting);
  const Server servers[] = {Server(&one), Server(&two), Server(&three)};
  std::vector<std::string> addresses;
  for (const Server& server : servers) addresses.push_back(server.address);
  const auto queryable = IngesterQueryable::Create({addresses, ""}, {}).value();
  const storage::TimeRange range{0, 1};
  const std::function<absl::Status()> ask =
      GENERATE_REF(values<std::function<absl::Status()>>({
          [&] { return queryable->LabelNames(range, {}, 0).status(); },
          [&] { return queryable->LabelValues("a", range, {}, 0).status(); },
          [&] { return queryable->Exemplars(range, {}).status(); },
          [&] { return queryable->HeadCardinality(10).status(); },
          [&] { return queryable->StorageStatuses().status(); },
      }));

  const absl::Status status = ask();

  INFO(status.ToString());
  CHECK(status.ok());
}

TEST_CASE("the error of one ingester ends the calls of the others") {
  PatientIngester patient;
  BrokenIngester broken;
  const Server first(&patient);
  const Server second(&broken);
  const auto queryable =
      IngesterQueryable::Create({{first.address, second.address}, ""}, {})
          .value();
  const auto begin = steady_clock::now();

  const auto names = queryable->LabelNames({0, 1}, {}, 0);

  CHECK(absl::IsUnavailable(names.status()));
  CHECK(std::string(names.status().message()).find(second.address) !=
        std::string::npos);
  CHECK(steady_clock::now() - begin < kPatience / 2);
}

}  // namespace narthex::cluster
