#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <thread>

#include "libs/base/status.h"
#include "libs/cluster/fake_ingester.h"
#include "libs/cluster/internal/replica_tally.h"
#include "libs/cluster/queryable.h"

namespace narthex::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

// Ingesters of which each series is in three.
struct Cluster : Fixture {
  explicit Cluster(std::size_t size) : nodes(size) {
    for (const Node& node : nodes) addresses.push_back(node.address);
    WriterOptions write;
    write.replication_factor = 3;
    writer = NewWriter(addresses, write);
    QueryableOptions read;
    read.replication_factor = 3;
    read.registry = &registry;
    queryable = IngesterQueryable::Create({addresses, ""}, read).value();
  }

  PushOutcome Push(std::vector<RefSample> batch) {
    return writer->PushAndWait(std::move(batch), seconds(10));
  }

  // The samples of all series named m.
  absl::StatusOr<std::map<std::string, std::vector<double>>> Read() {
    storage::SelectHints hints;
    hints.range = {0, 1'000'000};
    NARTHEX_ASSIGN_OR_RETURN(
        const auto set,
        queryable->Select(hints, {model::Matcher::Equal("__name__", "m")}));
    std::map<std::string, std::vector<double>> found;
    while (set->Next()) {
      const auto series = set->At();
      model::SampleColumns samples;
      NARTHEX_RETURN_IF_ERROR(series->Read(&samples));
      auto& values = found[std::string(series->labels().Get("i"))];
      CHECK(values.empty());
      values = samples.values;
    }
    NARTHEX_RETURN_IF_ERROR(set->status());
    return found;
  }

  std::vector<Node> nodes;
  std::vector<std::string> addresses;
  std::unique_ptr<Writer> writer;
  std::unique_ptr<IngesterQueryable> queryable;
};

void WaitFor(const std::function<bool()>& condition) {
  const auto give_up = Clock::now() + seconds(10);
  while (!condition() && Clock::now() < give_up) {
    std::this_thread::sleep_for(milliseconds(5));
  }
  CHECK(condition());
}

}  // namespace

TEST_CASE("every series is in as many ingesters as it has replicas") {
  for (const std::size_t size : {3, 5}) {
    INFO(size << " ingesters");
    Cluster cluster(size);
    std::vector<RefSample> batch;
    for (int i = 0; i < 100; ++i) {
      batch.push_back({cluster.writer->Declare(Named(i)), 1000, i * 1.0});
    }
    REQUIRE(cluster.Push(batch).status.ok());
    for (RefSample& sample : batch) sample.timestamp_ms = 2000;
    REQUIRE(cluster.Push(batch).status.ok());
    WaitFor([&] {
      std::size_t samples = 0;
      for (Node& node : cluster.nodes) {
        for (const auto& [labels, values] : node.ingester.stored()) {
          samples += values.size();
        }
      }
      return samples == 600;
    });
    std::map<std::string, int> copies;
    std::size_t declared = 0;
    for (Node& node : cluster.nodes) {
      for (const auto& one : node.ingester.stored()) ++copies[one.first];
      declared += node.ingester.declared();
    }
    CHECK(copies.size() == 100);
    for (const auto& one : copies) CHECK(one.second == 3);
    // Labels cross once, not with every batch.
    CHECK(declared == 300);

    const auto found = cluster.Read();
    REQUIRE(found.ok());
    CHECK(found->size() == 100);
    for (const auto& [i, values] : *found) {
      CHECK(values == std::vector<double>(2, std::stod(i)));
    }
    CHECK(cluster.queryable->places() == 0);
  }
}

TEST_CASE("a dead or frozen minority holds up neither samples nor answers") {
  Cluster cluster(3);
  const storage::SeriesRef ref = cluster.writer->Declare(Named(1));
  REQUIRE(cluster.Push({{ref, 1000, 1}}).status.ok());
  cluster.nodes[0].server->Stop(milliseconds(0));
  const auto begin = Clock::now();
  REQUIRE(cluster.Push({{ref, 2000, 2}}).status.ok());
  auto found = cluster.Read();
  REQUIRE(found.ok());
  CHECK(found->at("1") == std::vector<double>{1, 2});
  CHECK(Clock::now() - begin < seconds(2));
  CHECK(cluster.registry.Expose().find("narthex_query_missing_ingesters_total{"
                                       "ingester=\"" +
                                       cluster.addresses[0] + "\"} 1") !=
        std::string::npos);

  // What waited for it is delivered.
  cluster.nodes[0].Start(cluster.addresses[0]);
  WaitFor([&] {
    const Stored stored = cluster.nodes[0].ingester.stored();
    return !stored.empty() && stored.begin()->second.size() == 2;
  });

  cluster.nodes[1].ingester.Freeze();
  REQUIRE(cluster.Push({{ref, 3000, 3}}).status.ok());
  found = cluster.Read();
  REQUIRE(found.ok());
  CHECK(found->at("1") == std::vector<double>{1, 2, 3});
  cluster.nodes[1].ingester.Thaw();
}

TEST_CASE("an ingester that breaks off in the middle is made up for") {
  Cluster cluster(3);
  std::vector<RefSample> batch;
  for (int i = 0; i < 50; ++i) {
    batch.push_back({cluster.writer->Declare(Named(i)), 1000, i * 1.0});
  }
  REQUIRE(cluster.Push(batch).status.ok());
  cluster.nodes[2].ingester.BreakSelectAfter(7);
  const auto found = cluster.Read();
  REQUIRE(found.ok());
  CHECK(found->size() == 50);
}

TEST_CASE("without a majority nothing is acknowledged or answered") {
  Cluster cluster(3);
  const storage::SeriesRef ref = cluster.writer->Declare(Named(1));
  REQUIRE(cluster.Push({{ref, 1000, 1}}).status.ok());
  cluster.nodes[0].server->Stop(milliseconds(0));
  cluster.nodes[2].server->Stop(milliseconds(0));
  const PushOutcome outcome =
      cluster.writer->PushAndWait({{ref, 2000, 2}}, milliseconds(200));
  CHECK(absl::IsUnavailable(outcome.status));
  const auto found = cluster.Read();
  REQUIRE(absl::IsUnavailable(found.status()));
  const std::string message(found.status().message());
  INFO(message);
  CHECK(message.find(cluster.addresses[0]) != std::string::npos);
  CHECK(message.find(cluster.addresses[2]) != std::string::npos);
  CHECK(message.find("2 of 3 ingesters") != std::string::npos);
}

TEST_CASE("a replica that knows what is sent again refuses nothing") {
  Cluster cluster(3);
  const storage::SeriesRef ref = cluster.writer->Declare(Named(1));
  cluster.nodes[0].ingester.BreakAfterStoring();
  for (int t = 1; t <= 5; ++t) {
    const PushOutcome outcome = cluster.Push({{ref, t * 1000, 1.0 * t}});
    REQUIRE(outcome.status.ok());
    CHECK(outcome.rejected.empty());
  }
  const PushOutcome late = cluster.Push({{ref, 500, 0}, {ref, 6000, 6}});
  REQUIRE(late.status.ok());
  REQUIRE(late.rejected.size() == 1);
  CHECK(late.rejected[0].index == 0);
  CHECK(late.rejected[0].reason == storage::RejectReason::kOutOfOrder);
}

TEST_CASE("there cannot be more replicas than ingesters") {
  Fixture f;
  WriterOptions options;
  for (const std::size_t factor : {0, 3}) {
    options.replication_factor = factor;
    CHECK(absl::IsInvalidArgument(
        Writer::Create({{"127.0.0.1:1", "127.0.0.1:2"}, ""}, options, f.log,
                       f.registry)
            .status()));
  }
}

TEST_CASE("a sample's outcome is what a majority of its replicas says") {
  using internal::ReplicaTally;
  const PushOutcome taken;
  const PushOutcome refused{absl::OkStatus(),
                            {{0, storage::RejectReason::kDuplicate}}};
  const PushOutcome failed{absl::UnavailableError("a: away"), {}};
  struct Row {
    std::size_t replicas;
    std::vector<PushOutcome> answers;
    std::size_t known_after;
    bool ok;
    std::size_t rejected;
  };
  const Row rows[] = {
      {3, {taken, taken, refused}, 2, true, 0},
      {3, {refused, taken, taken}, 3, true, 0},
      {3, {refused, refused, taken}, 2, true, 1},
      {3, {failed, taken, taken}, 3, true, 0},
      {3, {failed, failed, taken}, 2, false, 0},
      {3, {failed, refused, taken}, 3, false, 0},
      {3, {failed, refused, refused}, 3, true, 1},
      {2, {taken, taken}, 2, true, 0},
      {2, {taken, refused}, 2, true, 1},
      {2, {taken, failed}, 2, false, 0},
  };
  for (const Row& row : rows) {
    std::size_t answered = 0;
    std::size_t known_after = 0;
    bool settled = false;
    PushOutcome outcome;
    ReplicaTally tally(
        1, row.replicas, row.answers.size(),
        [&](PushOutcome known) {
          CHECK(known_after == 0);
          known_after = answered;
          outcome = std::move(known);
        },
        [&] { settled = true; });
    for (const PushOutcome& answer : row.answers) {
      CHECK(!settled);
      ++answered;
      tally.Answer(1, {}, answer);
    }
    INFO("row " << &row - rows);
    CHECK(settled);
    CHECK(known_after == row.known_after);
    CHECK(outcome.status.ok() == row.ok);
    CHECK(outcome.rejected.size() == row.rejected);
  }
}

}  // namespace narthex::cluster
