#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <string>

#include "libs/base/file.h"
#include "libs/cluster/queryable.h"
#include "libs/cluster/writer.h"
#include "libs/promql/engine.h"
#include "libs/rpc/channel.h"
#include "narthex/v1/ingester.grpc.pb.h"
#include "services/ingester/app.h"

namespace narthex::ingester {
namespace {

using std::chrono::seconds;

// An ingester in this process, on free ports.
class Ingester {
 public:
  explicit Ingester(const std::string& path,
                    std::vector<std::string> arguments = {})
      : process_(kIdentity, app_) {
    arguments.push_back("--web.listen-address=127.0.0.1:0");
    arguments.push_back("--grpc.listen-address=127.0.0.1:0");
    arguments.push_back("--log.level=error");
    arguments.push_back("--storage.tsdb.path=" + path);
    const absl::Status status = process_.Start(arguments);
    INFO(status.ToString());
    REQUIRE(status.ok());
  }

  cluster::AddressList addresses() const {
    return {{"127.0.0.1:" + std::to_string(app_.grpc_port())}, ""};
  }
  service::Process& process() { return process_; }

 private:
  IngesterApp app_;
  service::Process process_;
};

model::Labels Named(int i) {
  return model::Labels{{"__name__", "m"}, {"i", std::to_string(i)}};
}

// All samples of the metric "m", by series.
std::map<std::string, model::SampleColumns> ReadAll(const Ingester& ingester) {
  const auto queryable =
      cluster::IngesterQueryable::Create(ingester.addresses(), {}).value();
  storage::SelectHints hints;
  hints.range = {0, 1'000'000};
  auto set = queryable->Select(hints, {model::Matcher::Equal("__name__", "m")});
  REQUIRE(set.ok());
  std::map<std::string, model::SampleColumns> all;
  while ((*set)->Next()) {
    const auto series = (*set)->At();
    REQUIRE(series->Read(&all[series->labels().ToString()]).ok());
  }
  INFO((*set)->status().ToString());
  REQUIRE((*set)->status().ok());
  return all;
}

struct Writing {
  explicit Writing(const Ingester& ingester)
      : writer(cluster::Writer::Create(ingester.addresses(), {},
                                       base::Logger::Discard(), registry)
                   .value()) {}
  metrics::Registry registry;
  std::unique_ptr<cluster::Writer> writer;
};

}  // namespace

TEST_CASE("what was acknowledged is there after a restart") {
  const base::TemporaryDirectory directory;
  {
    const Ingester ingester(directory.path());
    Writing w(ingester);
    std::vector<cluster::RefSample> batch;
    for (int i = 0; i < 50; ++i) {
      const auto ref = w.writer->Declare(Named(i));
      for (int t = 0; t < 300; ++t) batch.push_back({ref, t * 1000, t * 0.5});
    }
    const auto outcome = w.writer->PushAndWait(batch, seconds(20));
    REQUIRE(outcome.status.ok());
    REQUIRE(outcome.rejected.empty());
    CHECK(ReadAll(ingester).size() == 50);
  }
  const Ingester again(directory.path());
  const auto all = ReadAll(again);
  REQUIRE(all.size() == 50);
  for (const auto& [name, samples] : all) {
    INFO(name);
    REQUIRE(samples.size() == 300);
    CHECK(samples.timestamps_ms.back() == 299'000);
    CHECK(samples.values.back() == 149.5);
  }
}

TEST_CASE("refused samples are told by index and reason, others are kept") {
  const base::TemporaryDirectory directory;
  const Ingester ingester(directory.path());
  Writing w(ingester);
  const auto ref = w.writer->Declare(Named(1));
  const auto outcome = w.writer->PushAndWait({{ref, 2000, 1},
                                              {ref, 1000, 1},
                                              {ref, 2000, 1},
                                              {ref, 2000, 7},
                                              {ref, 3000, 1}},
                                             seconds(20));
  REQUIRE(outcome.status.ok());
  REQUIRE(outcome.rejected.size() == 2);
  CHECK(outcome.rejected[0].index == 1);
  CHECK(outcome.rejected[0].reason == storage::RejectReason::kOutOfOrder);
  CHECK(outcome.rejected[1].index == 3);
  CHECK(outcome.rejected[1].reason == storage::RejectReason::kDuplicate);
  CHECK(ReadAll(ingester).begin()->second.size() == 2);
}

TEST_CASE("a malformed label set costs the samples of its series only") {
  const base::TemporaryDirectory directory;
  const Ingester ingester(directory.path());
  const auto channel = rpc::NewChannel(ingester.addresses().fixed[0]);
  const auto stub = v1::Ingester::NewStub(channel);
  grpc::ClientContext context;
  const auto stream = stub->Push(&context);
  v1::PushRequest request;
  request.set_batch(1);
  request.add_new_refs(1);
  request.add_new_labels("no label set");
  request.add_new_refs(2);
  request.add_new_labels(std::string(Named(2).encoded()));
  request.add_new_refs(4'000'000'000);
  request.add_new_labels(std::string(Named(3).encoded()));
  cluster::PushEncoder encoder(&request);
  encoder.Add({{1, 1000, 1}, {2, 1000, 2}, {1, 2000, 3}, {2, 2000, 4}});
  encoder.Finish();
  REQUIRE(stream->Write(request));
  v1::PushResponse response;
  REQUIRE(stream->Read(&response));
  CHECK(response.code() == 0);
  REQUIRE(response.rejected_size() == 2);
  CHECK(response.rejected(0).index() == 0);
  CHECK(response.rejected(0).reason() == v1::REJECT_REASON_INVALID);
  CHECK(response.rejected(1).index() == 2);
  context.TryCancel();
  const auto all = ReadAll(ingester);
  REQUIRE(all.size() == 1);
  CHECK(all.begin()->second.size() == 2);
}

TEST_CASE("of what is all or none a refused sample keeps the others out") {
  const base::TemporaryDirectory directory;
  const Ingester ingester(directory.path());
  Writing w(ingester);
  const auto one = w.writer->Declare(Named(1));
  const auto two = w.writer->Declare(Named(2));
  const auto push = [&](std::vector<cluster::RefSample> samples) {
    cluster::PushBatch batch;
    batch.samples = std::move(samples);
    batch.all_or_none = true;
    auto outcome = w.writer->PushAndWait(std::move(batch), seconds(20));
    REQUIRE(outcome.status.ok());
    return outcome.rejected;
  };
  CHECK(push({{one, 2000, 1}, {two, 2000, 1}}).empty());
  const auto rejected = push({{two, 3000, 2}, {one, 1000, 1}});
  REQUIRE(rejected.size() == 1);
  CHECK(rejected[0].index == 1);
  CHECK(rejected[0].reason == storage::RejectReason::kOutOfOrder);
  CHECK(push({{two, 2500, 2}}).empty());
  const auto all = ReadAll(ingester);
  CHECK(all.at(Named(1).ToString()).timestamps_ms ==
        std::vector<std::int64_t>{2000});
  CHECK(all.at(Named(2).ToString()).timestamps_ms ==
        std::vector<std::int64_t>{2000, 2500});
}

TEST_CASE("the out-of-order window of the configuration is used and reloaded") {
  const base::TemporaryDirectory directory;
  const std::string file = directory.path() + "/prometheus.yml";
  const auto write_config = [&](const std::string& window) {
    REQUIRE(base::WriteFileAtomically(
                file,
                "storage: {tsdb: {out_of_order_time_window: " + window + "}}\n")
                .ok());
  };
  write_config("1s");
  Ingester ingester(directory.path() + "/data", {"--config.file=" + file});
  Writing w(ingester);
  const auto ref = w.writer->Declare(Named(1));
  const auto push = [&](std::int64_t timestamp_ms) {
    const auto outcome =
        w.writer->PushAndWait({{ref, timestamp_ms, 1}}, seconds(20));
    REQUIRE(outcome.status.ok());
    return outcome.rejected.empty()
               ? 0
               : static_cast<int>(outcome.rejected[0].reason);
  };
  CHECK(push(100'000) == 0);
  CHECK(push(99'500) == 0);
  CHECK(push(98'000) == static_cast<int>(storage::RejectReason::kTooOld));
  write_config("1m");
  REQUIRE(ingester.process().Reload().ok());
  CHECK(push(98'000) == 0);
  CHECK(ReadAll(ingester).begin()->second.timestamps_ms ==
        std::vector<std::int64_t>{98'000, 99'500, 100'000});
}

TEST_CASE("new series beyond the limit are refused, known ones go on") {
  const base::TemporaryDirectory directory;
  const Ingester ingester(directory.path(), {"--storage.tsdb.max-series=1"});
  Writing w(ingester);
  const auto one = w.writer->Declare(Named(1));
  const auto two = w.writer->Declare(Named(2));
  REQUIRE(w.writer->PushAndWait({{one, 1, 1}}, seconds(20)).rejected.empty());
  const auto outcome =
      w.writer->PushAndWait({{two, 2, 1}, {one, 2, 1}}, seconds(20));
  REQUIRE(outcome.status.ok());
  REQUIRE(outcome.rejected.size() == 1);
  CHECK(outcome.rejected[0].index == 0);
  CHECK(outcome.rejected[0].reason == storage::RejectReason::kLimit);
  // Also of what is all or none.
  cluster::PushBatch batch;
  batch.samples = {{two, 3, 1}, {one, 3, 1}};
  batch.all_or_none = true;
  const auto again = w.writer->PushAndWait(std::move(batch), seconds(20));
  REQUIRE(again.status.ok());
  REQUIRE(again.rejected.size() == 1);
  CHECK(again.rejected[0].reason == storage::RejectReason::kLimit);
  CHECK(ReadAll(ingester).at(Named(1).ToString()).timestamps_ms ==
        std::vector<std::int64_t>{1, 2, 3});
}

TEST_CASE("labels, cardinality, deletion and snapshots are served") {
  const base::TemporaryDirectory directory;
  const Ingester ingester(directory.path());
  Writing w(ingester);
  std::vector<cluster::RefSample> batch;
  for (int i = 0; i < 3; ++i) {
    batch.push_back({w.writer->Declare(Named(i)), 1000, 1});
  }
  REQUIRE(w.writer->PushAndWait(batch, seconds(20)).status.ok());
  const auto queryable =
      cluster::IngesterQueryable::Create(ingester.addresses(), {}).value();
  const storage::TimeRange range{0, 10'000};
  CHECK(queryable->LabelNames(range, {}, 0).value() ==
        std::vector<std::string>{"__name__", "i"});
  CHECK(queryable->LabelValues("i", range, {}, 2).value() ==
        std::vector<std::string>{"0", "1"});
  const std::vector<model::Matcher> one = {model::Matcher::Equal("i", "1")};
  const auto series = queryable->SeriesLabels(range, {one}, 0);
  REQUIRE(series.ok());
  REQUIRE(series->size() == 1);
  CHECK(series->LabelsOf(0) == Named(1));
  CHECK(queryable->SeriesLabels(range, {one, {}}, 2)->size() == 2);
  CHECK(queryable->SeriesLabels({1001, 2000}, {{}}, 0)->size() == 0);
  const auto cardinality = queryable->HeadCardinality(10);
  REQUIRE(cardinality.ok());
  CHECK(cardinality->series == 3);
  REQUIRE_FALSE(cardinality->series_by_metric.empty());
  CHECK(cardinality->series_by_metric[0].name == "m");
  CHECK(cardinality->series_by_metric[0].count == 3);
  const auto snapshot = queryable->Snapshot(false);
  REQUIRE(snapshot.ok());
  CHECK(base::Exists(directory.path() + "/snapshots/" + snapshot->at(0)));
  REQUIRE(queryable->DeleteSeries(range, {one}).ok());
  CHECK(ReadAll(ingester).size() == 2);
}

TEST_CASE("flags and configuration say together what is kept") {
  const std::int64_t day = 24 * 60 * 60 * 1000;
  Options options;
  CHECK(options.RetentionOf({}).time_ms == 15 * day);
  options.retention_bytes = 1 << 20;
  CHECK(options.RetentionOf({}).time_ms == 0);
  CHECK(options.RetentionOf({}).bytes == 1 << 20);
  options.retention_ms = 3 * day;
  config::StorageConfig storage;
  storage.retention_time_ms = 2 * day;
  storage.retention_size_bytes = 5;
  storage.retention_percentage = 40;
  storage.retention_rules.push_back({{"up"}, {{}}, day});
  const tsdb::Retention both = options.RetentionOf(storage);
  CHECK(both.time_ms == 2 * day);
  CHECK(both.bytes == 5);
  CHECK(both.percentage == 40);
  REQUIRE(both.rules.size() == 1);
  CHECK(both.rules[0].time_ms == day);
}

TEST_CASE("a reload changes what is kept and a bad one does not") {
  const base::TemporaryDirectory directory;
  const std::string file = directory.path() + "/p.yml";
  const auto configure = [&file](const std::string& retention) {
    REQUIRE(base::WriteFileAtomically(
                file, "storage: {tsdb: {retention: {" + retention + "}}}\n")
                .ok());
  };
  configure("time: 3d");
  Ingester ingester(directory.path() + "/data", {"--config.file=" + file});
  const auto shows = [&ingester](const std::string& line) {
    return ingester.process().registry().Expose().find("\n" + line + "\n") !=
           std::string::npos;
  };
  CHECK(shows("prometheus_tsdb_retention_limit_seconds 259200"));
  configure("time: 1d, rules: [{match: [up], time: 1h}]");
  REQUIRE(ingester.process().Reload().ok());
  CHECK(shows("prometheus_tsdb_retention_limit_seconds 86400"));
  CHECK(shows("prometheus_config_last_reload_successful 1"));
  configure("time: 1d, rules: [{match: ['up{'], time: 1h}]");
  CHECK_FALSE(ingester.process().Reload().ok());
  CHECK(shows("prometheus_tsdb_retention_limit_seconds 86400"));
  CHECK(shows("prometheus_config_last_reload_successful 0"));
}

TEST_CASE("bad flags are refused with the reason") {
  const base::TemporaryDirectory directory;
  IngesterApp app;
  service::Process process(kIdentity, app);
  const absl::Status status =
      process.Start({"--storage.tsdb.path=" + directory.path(),
                     "--storage.tsdb.wal-segment-size=1MB", "--log.level=error",
                     "--web.listen-address=127.0.0.1:0"});
  CHECK(std::string(status.message()).find("wal-segment-size") !=
        std::string::npos);
}

TEST_CASE("queries are evaluated next to the data") {
  const base::TemporaryDirectory directory;
  const Ingester ingester(directory.path());
  Writing w(ingester);
  std::vector<cluster::RefSample> batch;
  for (int i = 0; i < 200; ++i) {
    const auto ref = w.writer->Declare(Named(i));
    for (int t = 0; t < 150; ++t) batch.push_back({ref, t * 1000, i + t * 0.5});
  }
  REQUIRE(w.writer->PushAndWait(batch, seconds(20)).status.ok());
  const auto queryable =
      cluster::IngesterQueryable::Create(ingester.addresses(), {}).value();
  promql::Engine engine({}, base::Clock::System());
  promql::QueryOptions pushed;
  pushed.fragments = queryable.get();
  for (const char* query :
       {"m", "sum(rate(m[1m]))", "count by (__name__) ({i=~\".*1\"})",
        "topk(3, m)", "max_over_time(m[30s] offset 10s)", "m @ 50"}) {
    INFO(query);
    const auto there =
        engine.Range(*queryable, query, 100'000, 149'000, 7'000, pushed);
    const auto here = engine.Range(*queryable, query, 100'000, 149'000, 7'000);
    REQUIRE(there.ok());
    REQUIRE(here.ok());
    CHECK(there->fragments.size() == 1);
    CHECK(there->warnings == here->warnings);
    REQUIRE(there->value.matrix.size() == here->value.matrix.size());
    for (std::size_t i = 0; i < here->value.matrix.size(); ++i) {
      CHECK(there->value.matrix[i].labels == here->value.matrix[i].labels);
      CHECK(there->value.matrix[i].samples.timestamps_ms ==
            here->value.matrix[i].samples.timestamps_ms);
      CHECK(there->value.matrix[i].samples.values ==
            here->value.matrix[i].samples.values);
    }
  }
  const auto wrong = engine.Instant(*queryable, "m + on (n) m", 1000, pushed);
  CHECK(absl::IsFailedPrecondition(wrong.status()));
  CHECK(std::string(wrong.status().message()).rfind("found duplicate", 0) == 0);
}

TEST_CASE("several ingesters count the series that are theirs") {
  const base::TemporaryDirectory first_directory;
  const base::TemporaryDirectory second_directory;
  const Ingester first(first_directory.path());
  const Ingester second(second_directory.path());
  cluster::AddressList both = first.addresses();
  both.fixed.push_back(second.addresses().fixed[0]);
  metrics::Registry registry;
  const auto writer =
      cluster::Writer::Create(both, {}, base::Logger::Discard(), registry)
          .value();
  std::vector<cluster::RefSample> batch;
  for (int i = 0; i < 100; ++i) {
    batch.push_back({writer->Declare(Named(i)), 1000, 1.0 * i});
  }
  REQUIRE(writer->PushAndWait(batch, seconds(20)).status.ok());
  const auto queryable = cluster::IngesterQueryable::Create(both, {}).value();
  promql::Engine engine({}, base::Clock::System());
  promql::QueryOptions pushed;
  pushed.fragments = queryable.get();

  const auto sum = engine.Instant(*queryable, "sum(m)", 2000, pushed);
  REQUIRE(sum.ok());
  REQUIRE(sum->fragments.size() == 1);
  CHECK(sum->fragments[0].replies.size() == 2);
  CHECK(sum->value.vector.at(0).value == 4950);

  // A series of the other one, as is left behind when ingesters are added.
  Writing w(first);
  std::vector<cluster::RefSample> moved;
  for (int i = 0; i < 100; ++i) {
    moved.push_back({w.writer->Declare(Named(i)), 1500, 1});
  }
  REQUIRE(w.writer->PushAndWait(moved, seconds(20)).status.ok());
  const auto again = engine.Instant(*queryable, "sum(m)", 2000, pushed);
  REQUIRE(again.ok());
  CHECK(again->fragments.empty());
  CHECK(again->value.vector.at(0).value == 100);
}

TEST_CASE("series of one ingester come as they were created") {
  const base::TemporaryDirectory directory;
  {
    const Ingester ingester(directory.path());
    Writing w(ingester);
    for (const int i : {9, 3, 7, 1}) {
      const auto ref = w.writer->Declare(Named(i));
      REQUIRE(w.writer->PushAndWait({{ref, 1000, 5}}, seconds(20)).status.ok());
    }
  }
  // Also after a restart.
  const Ingester ingester(directory.path());
  const auto queryable =
      cluster::IngesterQueryable::Create(ingester.addresses(), {}).value();
  promql::EngineOptions options;
  options.parser.experimental_functions = true;
  promql::Engine engine(options, base::Clock::System());
  promql::QueryOptions pushed;
  pushed.fragments = queryable.get();
  struct Row {
    const char* query;
    const char* expected;
  };
  const Row row = GENERATE(Row{"m", "9371"}, Row{"limitk(2, m)", "93"},
                           Row{"topk(3, m)", "937"}, Row{"-m", "9371"});
  INFO(row.query);

  const auto result = engine.Instant(*queryable, row.query, 2000, pushed);

  REQUIRE(result.ok());
  std::string order;
  for (const promql::VectorSample& sample : result->value.vector) {
    order += std::string(sample.labels.Get("i"));
  }
  CHECK(order == row.expected);
}

namespace {

// Notes the labels of what ingesters send.
class NotedColumns : public promql::FragmentEvaluator {
 public:
  explicit NotedColumns(promql::FragmentEvaluator& ingesters)
      : ingesters_(ingesters) {}
  std::size_t places() const override { return ingesters_.places(); }
  std::string WhyNowhere() const override { return ingesters_.WhyNowhere(); }
  absl::StatusOr<std::vector<promql::FragmentReply>> Evaluate(
      const promql::Fragment& fragment, promql::ColumnSink sink) override {
    return ingesters_.Evaluate(fragment, [&](promql::Column& column) {
      ++columns;
      labels.insert(column.labels.ToString());
      return sink(column);
    });
  }

  std::size_t columns = 0;
  std::set<std::string> labels;

 private:
  promql::FragmentEvaluator& ingesters_;
};

}  // namespace

TEST_CASE("several ingesters send the labels that are looked at") {
  const base::TemporaryDirectory first_directory;
  const base::TemporaryDirectory second_directory;
  const Ingester first(first_directory.path());
  const Ingester second(second_directory.path());
  cluster::AddressList both = first.addresses();
  both.fixed.push_back(second.addresses().fixed[0]);
  metrics::Registry registry;
  const auto writer =
      cluster::Writer::Create(both, {}, base::Logger::Discard(), registry)
          .value();
  std::vector<cluster::RefSample> batch;
  for (int i = 0; i < 40; ++i) {
    const auto ref = writer->Declare({{"__name__", "m"},
                                      {"i", std::to_string(i)},
                                      {"j", std::to_string(i % 2)}});
    for (int t = 1; t < 5; ++t) batch.push_back({ref, t * 1000, 1.0 * i * t});
  }
  REQUIRE(writer->PushAndWait(batch, seconds(20)).status.ok());
  const auto queryable = cluster::IngesterQueryable::Create(both, {}).value();
  NotedColumns noted(*queryable);
  promql::Engine engine({}, base::Clock::System());
  promql::QueryOptions pushed;
  pushed.fragments = &noted;
  struct Row {
    const char* query;
    std::size_t columns;
    std::set<std::string> labels;
  };
  const Row row = GENERATE(
      Row{"quantile(0.5, m)", 40, {"{__name__=\"m\"}"}},
      Row{"quantile by (j) (0.5, rate(m[5s]))", 40, {"{j=\"0\"}", "{j=\"1\"}"}},
      Row{"stddev by (j) (m)",
          40,
          {"{__name__=\"m\", j=\"0\"}", "{__name__=\"m\", j=\"1\"}"}},
      Row{"stdvar by (k) (max_over_time(m[5s]))", 40, {"{}"}});
  INFO(row.query);

  const auto there = engine.Instant(*queryable, row.query, 4000, pushed);
  const auto here = engine.Instant(*queryable, row.query, 4000);

  REQUIRE(there.ok());
  REQUIRE(here.ok());
  CHECK(noted.columns == row.columns);
  CHECK(noted.labels == row.labels);
  REQUIRE(there->value.vector.size() == here->value.vector.size());
  CHECK(there->infos == here->infos);
  for (std::size_t i = 0; i < here->value.vector.size(); ++i) {
    CHECK(there->value.vector[i].labels == here->value.vector[i].labels);
    CHECK(there->value.vector[i].value ==
          Approx(here->value.vector[i].value).epsilon(1e-12));
  }
  // What needs all of them gets them.
  noted.labels.clear();
  REQUIRE(engine.Instant(*queryable, "abs(m)", 4000, pushed).status().ok());
  CHECK(noted.labels.size() == 40);
}

}  // namespace narthex::ingester
