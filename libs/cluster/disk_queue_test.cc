#include "libs/cluster/internal/disk_queue.h"

#include <catch2/catch.hpp>
#include <map>
#include <vector>

namespace narthex::cluster::internal {
namespace {

struct Fixture {
  Fixture() { options.directory = directory.path() + "/queue"; }

  std::unique_ptr<DiskQueue> Open() {
    return DiskQueue::Open(options, clock,
                           [this](DiskLoss why, std::uint64_t samples) {
                             lost[why] += samples;
                           })
        .value();
  }
  static DiskPosition Append(DiskQueue& queue, const std::string& payload,
                             std::uint32_t samples = 1) {
    REQUIRE(queue.TailSegment().ok());
    return queue.Append(payload, samples).value();
  }
  // The payloads that are left to deliver.
  static std::vector<std::string> ReadAll(DiskQueue& queue) {
    std::vector<std::string> payloads;
    while (const auto record = queue.Next()) {
      if (!record->passed) payloads.push_back(record->payload);
    }
    return payloads;
  }
  // The paths of the segments, in order.
  std::vector<std::string> Segments() const {
    return base::Glob(options.directory + "/*.queue");
  }

  base::TemporaryDirectory directory;
  base::FakeClock clock{1'000'000};
  DiskQueueOptions options;
  std::map<DiskLoss, std::uint64_t> lost;
};

using Payloads = std::vector<std::string>;

}  // namespace

TEST_CASE("a disk queue gives records in order, also to a later process") {
  Fixture f;
  {
    const auto queue = f.Open();
    CHECK_FALSE(queue->HasUnread());
    for (const char* payload : {"a", "", "ccc"}) f.Append(*queue, payload);
    CHECK(f.ReadAll(*queue) == Payloads{"a", "", "ccc"});
  }
  const auto queue = f.Open();
  CHECK(queue->HasUnread());
  f.Append(*queue, "d");
  CHECK(f.ReadAll(*queue) == Payloads{"a", "", "ccc", "d"});
  CHECK_FALSE(queue->HasUnread());
}

TEST_CASE("records that are committed do not come back") {
  Fixture f;
  {
    const auto queue = f.Open();
    f.Append(*queue, "a");
    const DiskPosition second = f.Append(*queue, "b");
    f.Append(*queue, "c");
    f.ReadAll(*queue);
    queue->Commit(second);
    queue->Rewind();
    CHECK(f.ReadAll(*queue) == Payloads{"c"});
  }
  const auto queue = f.Open();
  const DiskPosition last = f.Append(*queue, "d");
  CHECK(f.ReadAll(*queue) == Payloads{"c", "d"});
  queue->Commit(last);
  CHECK(queue->empty());
  CHECK(f.Segments().empty());
  queue->Rewind();
  CHECK(f.ReadAll(*queue).empty());
  f.Append(*queue, "e");
  CHECK(f.ReadAll(*queue) == Payloads{"e"});
}

TEST_CASE("what was read before a rewind is marked as sent again") {
  Fixture f;
  const auto queue = f.Open();
  f.Append(*queue, "a");
  CHECK_FALSE(queue->Next()->resent);
  f.Append(*queue, "b");
  queue->Rewind();
  CHECK(queue->Next()->resent);
  CHECK_FALSE(queue->Next()->resent);
}

TEST_CASE("records under way are passed over until a rewind") {
  Fixture f;
  const auto queue = f.Open();
  const DiskPosition under_way = f.Append(*queue, "a");
  queue->PassTo(under_way);
  CHECK_FALSE(queue->HasUnread());
  f.Append(*queue, "b");
  CHECK(queue->HasUnread());
  // Given, as later ones may refer to it.
  CHECK(queue->Next()->passed);
  CHECK_FALSE(queue->Next()->passed);
  queue->Rewind();
  CHECK(f.ReadAll(*queue) == Payloads{"a", "b"});
}

TEST_CASE("a disk queue that is too large loses its oldest segments") {
  Fixture f;
  f.options.segment_bytes = 100;
  f.options.max_bytes = 500;
  const auto queue = f.Open();
  const std::string payload(80, 'x');
  for (int i = 0; i < 20; ++i) f.Append(*queue, payload, 7);
  CHECK(queue->bytes() <= 700);
  const std::size_t left = f.ReadAll(*queue).size();
  CHECK(left >= 4);
  CHECK(f.lost[DiskLoss::kBytes] == 7 * (20 - left));
}

TEST_CASE("records that are too old are lost and counted") {
  Fixture f;
  f.options.max_age_ms = 1000;
  const auto queue = f.Open();
  f.Append(*queue, "old", 3);
  f.clock.Advance(900);
  f.Append(*queue, "young");
  f.clock.Advance(200);
  CHECK(f.ReadAll(*queue) == Payloads{"young"});
  CHECK(f.lost[DiskLoss::kAge] == 3);

  SECTION("in whole segments") {
    const auto later = f.Open();
    f.clock.Advance(1000);
    later->DropExpired();
    CHECK(later->empty());
    CHECK(f.Segments().empty());
    CHECK(f.lost[DiskLoss::kAge] == 7);
  }
}

TEST_CASE("a disk queue cut at any byte gives the records before the cut") {
  Fixture f;
  {
    const auto queue = f.Open();
    f.Append(*queue, "first");
    f.Append(*queue, "second");
  }
  const std::string path = f.Segments().at(0);
  const std::string whole = base::ReadFile(path).value();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    INFO("cut at " << size);
    REQUIRE(base::WriteFileAtomically(path, whole.substr(0, size)).ok());
    const auto queue = f.Open();
    const Payloads found = f.ReadAll(*queue);
    CHECK(found == (size < 33 ? Payloads{} : Payloads{"first"}));
    f.Append(*queue, "new");
    CHECK(f.ReadAll(*queue) == Payloads{"new"});
    REQUIRE(base::RemoveAll(f.options.directory).ok());
    REQUIRE(base::CreateDirectories(f.options.directory).ok());
  }
}

TEST_CASE("what a power cut takes is counted once") {
  Fixture f;
  f.options.segment_bytes = 60;
  bool settled = false;
  SECTION("of a segment") { f.options.segment_bytes = 1000; }
  SECTION("a whole segment") {}
  SECTION("but not what was settled") { settled = true; }
  {
    const auto queue = f.Open();
    f.Append(*queue, "aaaaaaaa", 2);
    f.Append(*queue, "bbbbbbbb", 3);
    const DiskPosition last = f.Append(*queue, "cccccccc", 4);
    CHECK(queue->TakeUnsynced().size() == 2);
    CHECK(queue->TakeUnsynced().empty());
    if (settled) {
      f.ReadAll(*queue);
      queue->Commit(last);
      queue->Rewind();
    }
  }
  if (!settled) {
    const std::string path = f.Segments().back();
    const std::string content = base::ReadFile(path).value();
    REQUIRE(
        base::WriteFileAtomically(path, content.substr(0, content.size() - 28))
            .ok());
  }
  for (int i = 0; i < 2; ++i) {
    const auto queue = f.Open();
    CHECK(f.ReadAll(*queue).size() == (settled ? 0U : 2U));
    CHECK(f.lost[DiskLoss::kCorrupted] == (settled ? 0U : 4U));
  }
}

TEST_CASE("a damaged record costs the rest of its segment, not the next one") {
  Fixture f;
  f.options.segment_bytes = 60;
  {
    const auto queue = f.Open();
    for (const char* payload : {"aaaaaaaa", "bbbbbbbb", "cccccccc"}) {
      f.Append(*queue, payload, 2);
    }
  }
  REQUIRE(f.Segments().size() == 2);
  const std::string path = f.Segments().at(0);
  std::string content = base::ReadFile(path).value();
  content[30] = '!';
  REQUIRE(base::WriteFileAtomically(path, content).ok());
  const auto queue = f.Open();
  CHECK(f.ReadAll(*queue) == Payloads{"cccccccc"});
  CHECK(f.lost[DiskLoss::kCorrupted] == 4);
}

}  // namespace narthex::cluster::internal
