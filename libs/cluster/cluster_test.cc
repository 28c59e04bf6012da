#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <thread>

#include "libs/base/file.h"
#include "libs/base/mutex.h"
#include "libs/cluster/fake_ingester.h"
#include "libs/cluster/queryable.h"
#include "libs/cluster/series_cache.h"
#include "libs/cluster/wire.h"
#include "libs/cluster/writer.h"
#include "libs/rpc/server.h"
#include "libs/tsdb/xor_chunk.h"
#include "narthex/v1/ingester.grpc.pb.h"

namespace narthex::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

}  // namespace

TEST_CASE("samples reach the owners and are read back from all of them") {
  Fixture f;
  Node a;
  Node b;
  Node c;
  const std::vector<std::string> addresses = {a.address, b.address, c.address};
  const auto writer = f.NewWriter(addresses);
  std::vector<RefSample> batch;
  for (int i = 0; i < 100; ++i) {
    const storage::SeriesRef ref = writer->Declare(Named(i));
    for (int t = 1; t <= 3; ++t) batch.push_back({ref, t * 1000, i + t * 0.5});
  }
  const PushOutcome outcome = writer->PushAndWait(batch, seconds(10));
  REQUIRE(outcome.status.ok());
  CHECK(outcome.rejected.empty());
  for (Node* node : {&a, &b, &c}) CHECK(node->ingester.stored().size() > 15);

  const auto queryable = IngesterQueryable::Create({addresses, ""}, {}).value();
  storage::SelectHints hints;
  hints.range = {1500, 2500};
  auto set = queryable->Select(hints, {model::Matcher::Equal("__name__", "m")});
  REQUIRE(set.ok());
  std::vector<model::Labels> seen;
  while ((*set)->Next()) {
    const auto series = (*set)->At();
    model::SampleColumns samples;
    REQUIRE(series->Read(&samples).ok());
    CHECK(samples.timestamps_ms == std::vector<std::int64_t>{2000});
    seen.push_back(series->labels());
  }
  CHECK((*set)->status().ok());
  CHECK(seen.size() == 100);
  CHECK(std::is_sorted(seen.begin(), seen.end()));
}

TEST_CASE("rejections come back with their place in the batch") {
  Fixture f;
  Node a;
  Node b;
  const auto writer = f.NewWriter({a.address, b.address});
  std::vector<RefSample> batch;
  std::vector<std::size_t> late;
  for (int i = 0; i < 20; ++i) {
    const storage::SeriesRef ref = writer->Declare(Named(i));
    batch.push_back({ref, 2000, 1});
    late.push_back(batch.size());
    batch.push_back({ref, 1000, 1});
  }
  const PushOutcome outcome = writer->PushAndWait(batch, seconds(10));
  REQUIRE(outcome.status.ok());
  REQUIRE(outcome.rejected.size() == late.size());
  for (std::size_t i = 0; i < late.size(); ++i) {
    CHECK(outcome.rejected[i].index == late[i]);
    CHECK(outcome.rejected[i].reason == storage::RejectReason::kOutOfOrder);
  }
}

TEST_CASE("a large batch travels in messages of bounded size") {
  Fixture f;
  Node a;
  Node b;
  WriterOptions options;
  options.max_batch_samples = 10;
  const auto writer = f.NewWriter({a.address, b.address}, options);
  std::vector<RefSample> batch;
  for (int i = 0; i < 100; ++i) {
    batch.push_back({writer->Declare(Named(i)), 1000, 1});
  }
  batch.push_back({batch[7].ref, 500, 1});
  const PushOutcome outcome = writer->PushAndWait(batch, seconds(10));
  REQUIRE(outcome.status.ok());
  REQUIRE(outcome.rejected.size() == 1);
  CHECK(outcome.rejected[0].index == 100);
  CHECK(a.ingester.stored().size() + b.ingester.stored().size() == 100);
  CHECK(a.ingester.largest() <= 10);
  CHECK(b.ingester.largest() <= 10);
}

TEST_CASE("samples wait for an ingester that is away, and none is lost") {
  Fixture f;
  Node node;
  const auto writer = f.NewWriter({node.address});
  const storage::SeriesRef ref = writer->Declare(Named(1));
  REQUIRE(writer->PushAndWait({{ref, 1, 1}}, seconds(10)).status.ok());
  node.server->Stop(milliseconds(0));
  const PushOutcome away = writer->PushAndWait({{ref, 2, 2}}, milliseconds(50));
  CHECK(absl::IsUnavailable(away.status));
  node.Start(node.address);
  CHECK(writer->PushAndWait({{ref, 3, 3}}, seconds(10)).status.ok());
  CHECK(f.registry.Expose().find("narthex_push_queued_samples 0\n") !=
        std::string::npos);
  const Stored stored = node.ingester.stored();
  REQUIRE(stored.size() == 1);
  CHECK(stored.begin()->second ==
        std::map<std::int64_t, double>{{1, 1}, {2, 2}, {3, 3}});
}

TEST_CASE("a batch whose answer was lost is sent again") {
  Fixture f;
  Node node;
  const auto writer = f.NewWriter({node.address});
  const storage::SeriesRef ref = writer->Declare(Named(1));
  node.ingester.BreakAfterStoring();
  const PushOutcome outcome = writer->PushAndWait({{ref, 1, 1}}, seconds(10));
  CHECK(outcome.status.ok());
  CHECK(node.ingester.stored().begin()->second.size() == 1);
}

TEST_CASE("series that the ingester forgot are declared again") {
  Fixture f;
  Node node;
  const auto writer = f.NewWriter({node.address});
  const storage::SeriesRef ref = writer->Declare(Named(1));
  REQUIRE(writer->PushAndWait({{ref, 1, 1}}, seconds(10)).status.ok());
  node.ingester.ForgetSeries();
  const PushOutcome outcome = writer->PushAndWait({{ref, 2, 2}}, seconds(10));
  CHECK(outcome.status.ok());
  CHECK(outcome.rejected.empty());
  CHECK(node.ingester.stored().begin()->second.size() == 2);
}

TEST_CASE("what exceeds the queue is refused and counted") {
  Fixture f;
  WriterOptions options;
  options.max_queued_samples = 2;
  // Nobody listens there.
  const auto writer = f.NewWriter({"127.0.0.1:1"}, options);
  const storage::SeriesRef ref = writer->Declare(Named(1));
  const PushOutcome outcome =
      writer->PushAndWait({{ref, 1, 1}, {ref, 2, 2}, {ref, 3, 3}}, seconds(10));
  CHECK(absl::IsResourceExhausted(outcome.status));
  CHECK(f.registry.Expose().find(
            "narthex_push_dropped_samples_total{reason=\"memory\"} 3") !=
        std::string::npos);
}

namespace {

std::map<std::int64_t, double> Counted(int from, int to) {
  std::map<std::int64_t, double> samples;
  for (int t = from; t <= to; ++t) samples[t] = t;
  return samples;
}

}  // namespace

TEST_CASE("refusals of what waited on disk are told") {
  Fixture f;
  base::TemporaryDirectory directory;
  const std::string address = AbsentAddress();
  std::atomic<int> told{0};
  WriterOptions options = OnDisk(directory.path());
  options.on_late_rejection = [&told](storage::RejectReason reason,
                                      bool is_exemplar) {
    CHECK(reason == storage::RejectReason::kOutOfOrder);
    CHECK_FALSE(is_exemplar);
    ++told;
  };
  const auto writer = f.NewWriter({address}, options);
  const storage::SeriesRef ref = writer->Declare(Named(1));
  for (const std::int64_t t : {2, 1, 3}) {
    const PushOutcome outcome = writer->PushAndWait({{ref, t, 1}}, seconds(10));
    CHECK(outcome.status.ok());
    CHECK(outcome.rejected.empty());
  }
  Node node(address);
  AwaitSamples(node.ingester, 2);
  // Stopping does not wait for answers: what has none goes to disk again.
  AwaitThat([&told] { return told > 0; });
  writer->Stop(seconds(10));
  CHECK(told == 1);
}

TEST_CASE("what waits on disk is delivered by a later process, in order") {
  Fixture f;
  base::TemporaryDirectory directory;
  const std::string address = AbsentAddress();
  {
    const auto writer = f.NewWriter({address}, OnDisk(directory.path()));
    const storage::SeriesRef ref = writer->Declare(Named(1));
    for (int t = 1; t <= 5; ++t) {
      const double value = t;
      CHECK(writer->PushAndWait({{ref, t, value}}, seconds(10)).status.ok());
    }
  }
  const auto writer = f.NewWriter({address}, OnDisk(directory.path()));
  // The same number now stands for another series.
  const storage::SeriesRef ref = writer->Declare(Named(2));
  writer->Push({{ref, 6, 6}}, [](const PushOutcome&) {});
  Node node(address);
  AwaitSamples(node.ingester, 6);
  const Stored stored = node.ingester.stored();
  REQUIRE(stored.size() == 2);
  CHECK(stored.at(std::string(Named(1).encoded())) == Counted(1, 5));
  CHECK(stored.at(std::string(Named(2).encoded())) == Counted(6, 6));
}

TEST_CASE("samples go to disk and back while an ingester comes and goes") {
  Fixture f;
  base::TemporaryDirectory directory;
  const std::string address = AbsentAddress();
  const auto writer = f.NewWriter({address}, OnDisk(directory.path()));
  const storage::SeriesRef ref = writer->Declare(Named(1));
  int t = 0;
  Node node(address);
  for (int round = 0; round < 3; ++round) {
    const auto push = [&] {
      ++t;
      const double value = t;
      writer->Push({{ref, t, value}}, [](const PushOutcome&) {});
    };
    for (int i = 0; i < 50; ++i) push();
    node.server->Stop(milliseconds(0));
    const auto until = std::chrono::steady_clock::now() + milliseconds(700);
    while (std::chrono::steady_clock::now() < until) {
      push();
      std::this_thread::sleep_for(milliseconds(2));
    }
    node.Start(address);
    for (int i = 0; i < 50; ++i) push();
  }
  AwaitSamples(node.ingester, static_cast<std::size_t>(t));
  CHECK(node.ingester.stored().begin()->second == Counted(1, t));
}

TEST_CASE("what waits for an ingester that is gone goes to the others") {
  Fixture f;
  base::TemporaryDirectory directory;
  const std::string gone = AbsentAddress();
  {
    const auto writer = f.NewWriter({gone}, OnDisk(directory.path()));
    for (int i = 1; i <= 100; ++i) {
      writer->Push({{writer->Declare(Named(i)), 1, 1}},
                   [](const PushOutcome&) {});
    }
  }
  Node a;
  Node b;
  const auto writer =
      f.NewWriter({a.address, b.address}, OnDisk(directory.path()));
  // A newer sample does not overtake.
  for (int i = 1; i <= 100; ++i) {
    writer->Push({{writer->Declare(Named(i)), 2, 2}},
                 [](const PushOutcome&) {});
  }
  for (int i = 0; i < 1000; ++i) {
    std::size_t count = 0;
    for (Node* node : {&a, &b}) {
      for (const auto& [labels, one] : node->ingester.stored()) {
        count += one.size();
      }
    }
    if (count == 200) break;
    std::this_thread::sleep_for(milliseconds(10));
  }
  CHECK(a.ingester.stored().size() + b.ingester.stored().size() == 100);
  for (Node* node : {&a, &b}) {
    for (const auto& [labels, one] : node->ingester.stored()) {
      CHECK(one == Counted(1, 2));
    }
  }
  CHECK(f.registry.Expose().find("reason=\"out_of_order\"") ==
        std::string::npos);
}

TEST_CASE("what is sent again goes to disk when the writer stops") {
  Fixture f;
  base::TemporaryDirectory directory;
  Node node;
  WriterOptions options = OnDisk(directory.path());
  options.spill_after = std::chrono::hours(1);
  auto writer = f.NewWriter({node.address}, options);
  for (int i = 1; i <= 2; ++i) {
    PushBatch batch;
    batch.samples = {{writer->Declare(Named(i)), 1, 1}};
    REQUIRE(writer->PushAndWait(batch, seconds(10)).status.ok());
  }
  node.ingester.Freeze();
  for (storage::SeriesRef ref = 1; ref <= 2; ++ref) {
    PushBatch batch;
    batch.samples = {{ref, 2, 2}};
    batch.all_or_none = true;  // In a message of its own.
    writer->Push(batch, [](const PushOutcome&) {});
  }
  const auto exposed = [&f](const char* line) {
    return f.registry.Expose().find(line) != std::string::npos;
  };
  AwaitThat([&] { return exposed("narthex_push_queued_samples 0\n"); });
  node.ingester.ForgetThenFreeze(2);
  AwaitThat([&] { return exposed("narthex_push_batches_total 4\n"); });
  writer.reset();
  node.ingester.Break();
  writer = f.NewWriter({node.address}, options);
  AwaitSamples(node.ingester, 4);
  for (const auto& [labels, samples] : node.ingester.stored()) {
    CHECK(samples == std::map<std::int64_t, double>{{1, 1}, {2, 2}});
  }
}

TEST_CASE("two writers do not share a queue on disk") {
  Fixture f;
  Node node;
  base::TemporaryDirectory directory;
  const auto writer = f.NewWriter({node.address}, OnDisk(directory.path()));
  const auto second = Writer::Create(
      {{node.address}, ""}, OnDisk(directory.path()), f.log, f.registry);
  CHECK(absl::IsFailedPrecondition(second.status()));
}

TEST_CASE("stopping delivers what is waiting") {
  Fixture f;
  Node node;
  WriterOptions options;
  options.linger = milliseconds(20);
  const auto writer = f.NewWriter({node.address}, options);
  const storage::SeriesRef ref = writer->Declare(Named(1));
  for (int t = 1; t <= 50; ++t) {
    writer->Push({{ref, t, 1}}, [](const PushOutcome&) {});
  }
  writer->Stop(seconds(10));
  CHECK(node.ingester.stored().begin()->second.size() == 50);
}

TEST_CASE("a series cache declares once and forgets what is not asked for") {
  Fixture f;
  Node node;
  const auto writer = f.NewWriter({node.address});
  SeriesCache cache(*writer);
  const storage::SeriesRef one = cache.Get(Named(1));
  const storage::SeriesRef two = cache.Get(Named(2));
  CHECK(cache.Get(Named(1)) == one);
  cache.NextGeneration();
  CHECK(cache.Get(Named(2)) == two);
  cache.NextGeneration();
  CHECK(cache.size() == 1);
}

TEST_CASE("values that several ingesters have count once") {
  Fixture fixture;
  Node a, b, c;
  const std::vector<std::string> addresses{a.address, b.address, c.address};
  const auto writer = fixture.NewWriter(addresses);
  std::vector<RefSample> samples;
  for (int i = 0; i < 60; ++i) {
    const model::Labels labels{{"__name__", "m"},
                               {"i", std::to_string(i)},
                               {"z", std::to_string(i % 7)}};
    samples.push_back({writer->Declare(labels), 1000, 1});
  }
  REQUIRE(writer->PushAndWait(samples, seconds(10)).status.ok());
  const auto queryable = IngesterQueryable::Create({addresses, ""}, {}).value();
  const auto cardinality = queryable->HeadCardinality(2);
  REQUIRE(cardinality.ok());
  CHECK(cardinality->series == 60);
  CHECK(cardinality->label_pairs == 1 + 60 + 7);
  REQUIRE(cardinality->values_by_label.size() == 2);
  CHECK(cardinality->values_by_label[0].name == "i");
  CHECK(cardinality->values_by_label[0].count == 60);
  CHECK(cardinality->values_by_label[1].name == "z");
  CHECK(cardinality->values_by_label[1].count == 7);
  REQUIRE(cardinality->series_by_pair.size() == 2);
  CHECK(cardinality->series_by_pair[0].name == "__name__=m");
  CHECK(cardinality->series_by_pair[0].count == 60);
  CHECK(cardinality->series_by_pair[1].name == "z=0");
  CHECK(cardinality->series_by_pair[1].count == 9);
}

TEST_CASE("an unreachable ingester fails a selection and is named") {
  Node node;
  const auto queryable =
      IngesterQueryable::Create({{node.address, "127.0.0.1:1"}, ""}, {})
          .value();
  storage::SelectHints hints;
  hints.range = {0, 1};
  auto set = queryable->Select(hints, {model::Matcher::Equal("a", "b")});
  REQUIRE(set.ok());
  while ((*set)->Next()) {
  }
  CHECK(absl::IsUnavailable((*set)->status()));
  CHECK(std::string((*set)->status().message()).find("127.0.0.1:1") !=
        std::string::npos);
}

}  // namespace narthex::cluster
