#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

#include "libs/base/file.h"
#include "libs/cluster/fake_ingester.h"
#include "libs/cluster/writer.h"

namespace narthex::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

void Ignore(const PushOutcome&) {}

}  // namespace

TEST_CASE("a released reference serves another series later") {
  Fixture f;
  Node node;
  const auto writer = f.NewWriter({node.address});
  const storage::SeriesRef first = writer->Declare(Named(1));
  REQUIRE(writer->PushAndWait({{first, 1, 1}}, seconds(10)).status.ok());
  const storage::SeriesRef second = writer->Declare(Named(2));
  writer->Release({first});
  // The release is delivered with this batch or before it.
  REQUIRE(writer->PushAndWait({{second, 1, 2}}, seconds(10)).status.ok());
  const storage::SeriesRef third = writer->Declare(Named(3));
  CHECK(third == first);
  REQUIRE(writer->PushAndWait({{third, 1, 3}}, seconds(10)).status.ok());
  CHECK(node.ingester.stored().size() == 3);
}

TEST_CASE("a reference is not given away while any ingester may need it") {
  Fixture f;
  Node there;
  // Nobody listens at the other, so that samples for it wait.
  const auto writer = f.NewWriter({there.address, "127.0.0.1:1"});
  std::vector<RefSample> batch;
  std::vector<storage::SeriesRef> refs;
  for (int i = 1; i <= 64; ++i) {
    refs.push_back(writer->Declare(Named(i)));
    batch.push_back({refs.back(), 1, 1});
  }
  const PushOutcome outcome = writer->PushAndWait(batch, milliseconds(100));
  CHECK(absl::IsUnavailable(outcome.status));
  writer->Release(refs);
  CHECK(writer->Declare(Named(1)) > 64);
}

TEST_CASE("a reference is kept for samples that are sent again") {
  Fixture f;
  base::TemporaryDirectory directory;
  WriterOptions options;
  bool on_disk = false;
  SECTION("in memory") {}
  SECTION("beside a queue on disk") {
    options = OnDisk(directory.path());
    on_disk = true;
  }
  Node node;
  const auto writer = f.NewWriter({node.address}, options);
  const storage::SeriesRef first = writer->Declare(Named(1));
  const storage::SeriesRef third = writer->Declare(Named(3));
  REQUIRE(writer->PushAndWait({{first, 1, 1}}, seconds(10)).status.ok());
  // The second sample is refused as of an unknown series, and under way again
  // without an answer.
  node.ingester.ForgetThenFreeze(1);
  writer->Push({{first, 2, 2}}, Ignore);
  AwaitThat([&] { return node.ingester.waiting(); });
  writer->Release({first});
  if (on_disk) {
    // What comes after the release goes to disk, one after the other.
    CHECK(writer->PushAndWait({{third, 2, 2}}, seconds(10)).status.ok());
    CHECK(writer->PushAndWait({{third, 3, 3}}, seconds(10)).status.ok());
  } else {
    writer->Push({{third, 2, 2}, {third, 3, 3}}, Ignore);
  }
  // It is free if the sample is on disk, which may have come first.
  const storage::SeriesRef second = writer->Declare(Named(2));
  if (!on_disk) CHECK(second != first);
  writer->Push({{second, 4, 4}}, Ignore);
  node.ingester.Break();
  AwaitSamples(node.ingester, 5);
  CHECK(node.ingester.stored() ==
        Stored{{std::string(Named(1).encoded()), {{1, 1}, {2, 2}}},
               {std::string(Named(2).encoded()), {{4, 4}}},
               {std::string(Named(3).encoded()), {{2, 2}, {3, 3}}}});
}

TEST_CASE("a series that is released while its samples wait on disk is kept") {
  Fixture f;
  base::TemporaryDirectory directory;
  const std::string address = AbsentAddress();
  const auto writer = f.NewWriter({address}, OnDisk(directory.path()));
  for (int i = 1; i <= 20; ++i) {
    const storage::SeriesRef ref = writer->Declare(Named(i));
    CHECK(writer->PushAndWait({{ref, 1, 1}}, seconds(10)).status.ok());
    writer->Release({ref});
  }
  Node node(address);
  AwaitSamples(node.ingester, 20);
  CHECK(node.ingester.stored().size() == 20);
}

TEST_CASE("releases do not pile up while an ingester is away") {
  Fixture f;
  WriterOptions options;
  options.max_queued_samples = 20;
  options.spill_after = milliseconds(0);
  const std::string address = AbsentAddress();
  const auto writer = f.NewWriter({address}, options);
  writer->Push({{writer->Declare(Named(0)), 1, 1}}, [](const PushOutcome&) {});
  const std::string broken =
      "narthex_push_streams_broken_total{ingester=\"" + address + "\"} 1";
  const auto give_up = std::chrono::steady_clock::now() + seconds(20);
  while (f.registry.Expose().find(broken) == std::string::npos) {
    REQUIRE(std::chrono::steady_clock::now() < give_up);
    std::this_thread::yield();
  }
  storage::SeriesRef largest = 0;
  for (int i = 1; i <= 500; ++i) {
    const storage::SeriesRef ref = writer->Declare(Named(i));
    largest = std::max(largest, ref);
    writer->Push({{ref, 1, 1}}, [](const PushOutcome&) {});
    writer->Release({ref});
  }
  // Those that went serve others; their samples are counted.
  CHECK(largest < 50);
  CHECK(f.registry.Expose().find(
            "narthex_push_dropped_samples_total{reason=\"memory\"} 0\n") ==
        std::string::npos);
  Node node(address);
  const storage::SeriesRef ref = writer->Declare(Named(1000));
  PushOutcome outcome;
  do {
    outcome = writer->PushAndWait({{ref, 1, 1}}, seconds(10));
  } while (absl::IsResourceExhausted(outcome.status));
  CHECK(outcome.status.ok());
  CHECK(node.ingester.stored().contains(std::string(Named(1000).encoded())));
}

TEST_CASE("releases do not pile up while an ingester does not answer") {
  Fixture f;
  WriterOptions options;
  options.max_queued_samples = 20;
  options.spill_after = milliseconds(0);
  Node node;
  node.ingester.Freeze();
  const auto writer = f.NewWriter({node.address}, options);
  writer->Push({{writer->Declare(Named(0)), 1, 1}}, Ignore);
  AwaitThat([&] { return node.ingester.waiting(); });
  storage::SeriesRef largest = 0;
  bool freed = false;
  int i = 0;
  // What is under way has to come back before it can go.
  AwaitThat([&] {
    for (int n = 0; n < 30; ++n) {
      const storage::SeriesRef ref = writer->Declare(Named(++i));
      freed |= ref <= largest;
      largest = std::max(largest, ref);
      writer->Push({{ref, 1, 1}}, Ignore);
      writer->Release({ref});
    }
    return freed;
  });
  node.ingester.Thaw();
  const storage::SeriesRef ref = writer->Declare(Named(++i));
  AwaitThat([&] {
    return writer->PushAndWait({{ref, 1, 1}}, seconds(10)).status.ok();
  });
  // Whatever came through did so under its own labels.
  for (const auto& [labels, samples] : node.ingester.stored()) {
    CHECK_FALSE(labels.empty());
    CHECK(samples == std::map<std::int64_t, double>{{1, 1}});
  }
}

}  // namespace narthex::cluster
