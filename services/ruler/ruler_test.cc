#include <grpcpp/grpcpp.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/mutex.h"
#include "libs/cluster/push_columns.h"
#include "libs/http/server.h"
#include "libs/model/sample.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/server.h"
#include "narthex/v1/ingester.grpc.pb.h"
#include "narthex/v1/querier.grpc.pb.h"
#include "narthex/v1/ruler.grpc.pb.h"
#include "services/ruler/app.h"
#include "services/ruler/result_writer.h"

namespace narthex::ruler {
namespace {

// Keeps the last value of every series that is pushed to it.
class FakeIngester : public v1::Ingester::Service {
 public:
  grpc::Status Push(grpc::ServerContext*,
                    grpc::ServerReaderWriter<v1::PushResponse, v1::PushRequest>*
                        stream) override {
    std::map<std::uint64_t, std::string> labels;
    v1::PushRequest request;
    while (stream->Read(&request)) {
      for (int i = 0; i < request.new_refs_size(); ++i) {
        labels[request.new_refs(i)] = request.new_labels(i);
      }
      std::vector<cluster::RefSample> samples;
      if (!cluster::DecodePush(request, &samples).ok()) {
        return {grpc::StatusCode::INVALID_ARGUMENT, "columns"};
      }
      Store(labels, samples);
      v1::PushResponse response;
      response.set_batch(request.batch());
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

  // Nothing is restored.
  grpc::Status Select(grpc::ServerContext*, const v1::SelectRequest*,
                      grpc::ServerWriter<v1::SelectResponse>*) override {
    return grpc::Status::OK;
  }

  std::map<std::string, double> stored() {
    base::MutexLock lock(mutex_);
    return stored_;
  }

 private:
  void Store(const std::map<std::uint64_t, std::string>& names,
             const std::vector<cluster::RefSample>& samples) {
    base::MutexLock lock(mutex_);
    for (const cluster::RefSample& sample : samples) {
      model::Labels labels;
      if (!model::Labels::FromEncoded(names.at(sample.ref), &labels)) continue;
      stored_[labels.ToMetricString()] = sample.value;
    }
  }

  base::Mutex mutex_;
  std::map<std::string, double> stored_ ABSL_GUARDED_BY(mutex_);
};

// Answers every query with one series, "broken" with an error and "endless"
// not at all.
class FakeQuerier : public v1::Querier::Service {
 public:
  grpc::Status Query(grpc::ServerContext* context,
                     const v1::QueryRequest* request,
                     grpc::ServerWriter<v1::QueryResponse>* writer) override {
    if (request->expression() == "endless") {
      while (!context->IsCancelled()) std::this_thread::yield();
      return grpc::Status::CANCELLED;
    }
    if (request->expression() == "broken") {
      return {grpc::StatusCode::FAILED_PRECONDITION, "too many samples"};
    }
    const model::Labels labels = {{"__name__", "up"}, {"job", "a"}};
    v1::QueryResponse response;
    response.set_type(v1::QueryResponse::RESULT_TYPE_VECTOR);
    v1::QuerySample& sample = *response.add_samples();
    sample.set_labels(std::string(labels.encoded()));
    sample.set_value(1);
    writer->Write(response);
    return grpc::Status::OK;
  }
};

template <typename Done>
bool Eventually(const Done& done) {
  const auto limit =
      std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!done()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    std::this_thread::yield();
  }
  return true;
}

// A ruler between an ingester, a querier and an Alertmanager that are fakes.
class Suite {
 public:
  FakeIngester ingester;

  Suite() {
    router_.Post("/api/v2/alerts",
                 [this](const http::Request& request, http::Response& out) {
                   base::MutexLock lock(mutex_);
                   posted_ += request.body;
                   out.SetStatus(200);
                 });
    auto http = http::Server::Start({}, router_, base::Logger::Discard());
    auto ingesters = rpc::Server::Start("127.0.0.1:0", {&ingester});
    auto queriers = rpc::Server::Start("127.0.0.1:0", {&querier_});
    REQUIRE(http.ok());
    REQUIRE(ingesters.ok());
    REQUIRE(queriers.ok());
    http_ = *std::move(http);
    ingester_server_ = *std::move(ingesters);
    querier_server_ = *std::move(queriers);
    WriteConfig("rules.yml");
  }

  void WriteConfig(const std::string& rule_file) {
    Write("prometheus.yml",
          absl::StrCat("global: {evaluation_interval: 1s,"
                       " external_labels: {cluster: c}}\n"
                       "rule_files: [",
                       rule_file,
                       "]\n"
                       "alerting: {alertmanagers: [{static_configs: [{targets: "
                       "['127.0.0.1:",
                       http_->port(), "']}]}]}\n"));
  }
  void Write(const std::string& name, const std::string& text) {
    REQUIRE(base::WriteFileAtomically(
                absl::StrCat(directory_.path(), "/", name), text)
                .ok());
  }

  absl::Status Start() {
    return process.Start(
        {absl::StrCat("--config.file=", directory_.path(), "/prometheus.yml"),
         "--web.listen-address=127.0.0.1:0",
         "--grpc.listen-address=127.0.0.1:0",
         absl::StrCat("--ingester.addresses=127.0.0.1:",
                      ingester_server_->port()),
         absl::StrCat("--querier.addresses=127.0.0.1:",
                      querier_server_->port()),
         "--web.external-url=http://n:9090", "--log.level=error"});
  }

  std::vector<v1::RuleGroup> Rules() {
    const auto stub = v1::Ruler::NewStub(
        rpc::NewChannel(absl::StrCat("127.0.0.1:", app.grpc_port())));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::seconds(10));
    const auto reader = stub->Rules(&context, {});
    std::vector<v1::RuleGroup> groups;
    v1::RulesResponse response;
    while (reader->Read(&response)) {
      groups.insert(groups.end(), response.groups().begin(),
                    response.groups().end());
    }
    REQUIRE(reader->Finish().ok());
    return groups;
  }

  std::string posted() {
    base::MutexLock lock(mutex_);
    return posted_;
  }

 private:
  base::TemporaryDirectory directory_;
  http::Router router_;
  base::Mutex mutex_;
  std::string posted_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<http::Server> http_;
  FakeQuerier querier_;
  std::unique_ptr<rpc::Server> ingester_server_;
  std::unique_ptr<rpc::Server> querier_server_;

 public:
  RulerApp app;
  service::Process process{kIdentity, app};
};

TEST_CASE("a ruler stores results, sends alerts and tells its rules") {
  Suite suite;
  suite.Write("rules.yml", R"(groups:
- name: g
  rules:
  - {record: 'job:up', expr: up}
  - {record: bad, expr: broken}
  - {alert: Up, expr: up == 1, annotations: {text: '{{ $labels.job }}'}}
)");
  REQUIRE(suite.Start().ok());
  REQUIRE(Eventually([&] {
    return absl::StrContains(suite.posted(), "\"alertname\":\"Up\"");
  }));
  CHECK(absl::StrContains(suite.posted(), "\"cluster\":\"c\""));
  CHECK(absl::StrContains(suite.posted(), "\"text\":\"a\""));
  CHECK(absl::StrContains(
      suite.posted(), "\"http://n:9090/graph?g0.expr=up+%3D%3D+1&g0.tab=1\""));
  REQUIRE(Eventually(
      [&] { return suite.ingester.stored().count("job:up{job=\"a\"}") == 1; }));

  const auto groups = suite.Rules();
  REQUIRE(groups.size() == 1);
  REQUIRE(groups[0].rules_size() == 3);
  CHECK(groups[0].interval().seconds() == 1);
  CHECK(groups[0].rules(0).health() == v1::Rule::HEALTH_OK);
  CHECK(groups[0].rules(1).health() == v1::Rule::HEALTH_ERROR);
  CHECK(absl::StrContains(groups[0].rules(1).last_error(), "too many samples"));
  CHECK(groups[0].rules(2).alerting().state() == v1::ALERT_STATE_FIRING);
  CHECK(groups[0].rules(2).alerting().alerts_size() == 1);

  // After a restart ALERTS appear with the second evaluation.
  REQUIRE(Eventually([&] {
    return suite.ingester.stored().count(
               "ALERTS{alertname=\"Up\", alertstate=\"firing\", job=\"a\"}") ==
           1;
  }));
  suite.process.Stop();
}

TEST_CASE("a reload with a bad rule file changes nothing and says why") {
  Suite suite;
  suite.Write("rules.yml", "groups: [{name: g, rules: []}]\n");
  REQUIRE(suite.Start().ok());
  CHECK(suite.Rules().size() == 1);
  suite.Write("rules.yml",
              "groups: [{name: h}, {name: i, rules: [{record: x}]}]\n");
  const absl::Status status = suite.process.Reload();
  CHECK(absl::StrContains(status.message(), "rules.yml: line 1"));
  CHECK(absl::StrContains(status.message(), "field 'expr' must be set"));
  CHECK(suite.Rules()[0].name() == "g");
  suite.Write("rules.yml", "groups: [{name: h}, {name: i}]\n");
  CHECK(suite.process.Reload().ok());
  CHECK(suite.Rules().size() == 2);
  suite.process.Stop();
}

TEST_CASE("a ruler stops although a query does not end") {
  Suite suite;
  suite.Write("rules.yml",
              "groups: [{name: g, rules: [{record: x, expr: up}, {record: y, "
              "expr: endless}]}]\n");
  REQUIRE(suite.Start().ok());
  REQUIRE(Eventually(
      [&] { return suite.ingester.stored().count("x{job=\"a\"}") == 1; }));
  const auto start = std::chrono::steady_clock::now();
  suite.process.Stop();
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
}

TEST_CASE("a series that is ended gives its reference back") {
  FakeIngester ingester;
  auto server = rpc::Server::Start("127.0.0.1:0", {&ingester});
  REQUIRE(server.ok());
  metrics::Registry registry;
  cluster::AddressList addresses;
  addresses.fixed = {absl::StrCat("127.0.0.1:", (*server)->port())};
  auto writer =
      cluster::Writer::Create(addresses, {}, base::Logger::Discard(), registry);
  REQUIRE(writer.ok());
  ResultWriter results(**writer, std::chrono::seconds(10));
  const model::Labels labels = {{"__name__", "r"}};
  CHECK(results.Append({{labels, 1000, 1}}).ok());
  CHECK(results.Append({{labels, 2000, 2}}).ok());
  CHECK(results.series() == 1);
  CHECK(results.Append({{labels, 3000, model::StaleNan()}}).ok());
  CHECK(results.series() == 0);
  CHECK(results.Append({{labels, 4000, 4}}).ok());
  CHECK(ingester.stored().at("r") == 4);
  (*writer)->Stop(std::chrono::seconds(5));
}

}  // namespace
}  // namespace narthex::ruler
