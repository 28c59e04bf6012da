#include "libs/tsdb/wal.h"

#include <sys/resource.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/metrics/metrics.h"
#include "libs/tsdb/wal_directory.h"
#include "libs/tsdb/wal_frames.h"

namespace narthex::tsdb {
namespace {

struct Fixture {
  base::TemporaryDirectory directory;
  metrics::Registry registry;
  WriteLogMetrics metrics{registry, "log"};

  std::unique_ptr<Wal> Open(WalOptions options = {}) {
    auto wal =
        Wal::Open(directory.path(), options, base::Logger::Discard(), metrics);
    REQUIRE(wal.ok());
    return *std::move(wal);
  }

  std::vector<std::string> ReadAll(
      std::optional<WalFlaw>* flaw = nullptr) const {
    std::vector<std::string> records;
    const auto segments = ListWalSegments(directory.path());
    REQUIRE(segments.ok());
    for (const int segment : *segments) {
      const auto found = ReadWalSegment(
          directory.path(), segment, [&](absl::string_view record) {
            records.emplace_back(record.data(), record.size());
            return absl::OkStatus();
          });
      REQUIRE(found.ok());
      if (found->has_value()) {
        if (flaw != nullptr) *flaw = *found;
        break;
      }
    }
    return records;
  }
};

std::string RandomText(std::mt19937& random, std::size_t size) {
  std::string text(size, ' ');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

// Records of all sizes that meet a page's end in different ways.
std::vector<std::string> ManyRecords() {
  std::mt19937 random(7);
  std::vector<std::string> records;
  for (std::size_t i = 0; i < 300; ++i) {
    records.push_back(RandomText(random, 1 + random() % 3000));
  }
  for (std::size_t size = kWalPageBytes - 20; size < kWalPageBytes + 20;
       ++size) {
    records.push_back(RandomText(random, size));
  }
  records.push_back(RandomText(random, 5 * kWalPageBytes));
  records.push_back(std::string(200000, 'a'));
  return records;
}

TEST_CASE("records come back in order with every compression") {
  for (const auto compression : {WalCompression::kNone, WalCompression::kSnappy,
                                 WalCompression::kZstd}) {
    INFO(static_cast<int>(compression));
    Fixture fixture;
    WalOptions options;
    options.segment_bytes = 8 * kWalPageBytes;
    options.compression = compression;
    const auto records = ManyRecords();
    {
      const auto wal = fixture.Open(options);
      for (const std::string& record : records) {
        REQUIRE(wal->Log({&record, 1}).ok());
      }
      CHECK(wal->current_segment() > 3);
    }
    CHECK(fixture.ReadAll() == records);
  }
}

TEST_CASE("a log goes on in a new segment after being closed") {
  Fixture fixture;
  const std::vector<std::string> first = {"a", "b"};
  const std::vector<std::string> second = {"c"};
  REQUIRE(fixture.Open()->Log(first).ok());
  const auto wal = fixture.Open();
  CHECK(wal->current_segment() == 1);
  REQUIRE(wal->Log(second).ok());
  CHECK(fixture.ReadAll() == std::vector<std::string>{"a", "b", "c"});
}

TEST_CASE("a closed log refuses records") {
  Fixture fixture;
  const auto wal = fixture.Open();
  REQUIRE(wal->Close().ok());
  const std::string record = "a";
  CHECK(absl::IsFailedPrecondition(wal->Log({&record, 1})));
}

TEST_CASE("segments end where they are told to and can be removed") {
  Fixture fixture;
  const auto wal = fixture.Open();
  const std::string record = "a";
  for (int i = 0; i < 4; ++i) {
    REQUIRE(wal->Log({&record, 1}).ok());
    REQUIRE(wal->NextSegment().ok());
  }
  CHECK(*wal->NextSegment() == 4);
  REQUIRE(wal->RemoveSegmentsBelow(3).ok());
  CHECK(*ListWalSegments(fixture.directory.path()) == std::vector<int>{3, 4});
  REQUIRE(wal->RemoveSegmentsBelow(100).ok());
  CHECK(*ListWalSegments(fixture.directory.path()) == std::vector<int>{4});
}

TEST_CASE("a segment cut at any byte gives every record before the cut") {
  Fixture fixture;
  std::vector<std::string> records;
  std::mt19937 random(3);
  for (int i = 0; i < 12; ++i) {
    records.push_back(RandomText(random, 1 + random() % 60));
  }
  std::vector<std::uint64_t> ends;
  {
    const auto wal = fixture.Open();
    for (const std::string& record : records) {
      REQUIRE(wal->Log({&record, 1}).ok());
      ends.push_back(wal->SizeBytes());
    }
  }
  const std::string path = WalSegmentPath(fixture.directory.path(), 0);
  const std::string whole = *base::ReadFile(path);
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    INFO(cut);
    REQUIRE(base::WriteFileAtomically(path, whole.substr(0, cut)).ok());
    std::size_t good = 0;
    while (good < ends.size() && ends[good] <= cut) ++good;
    std::optional<WalFlaw> flaw;
    CHECK(fixture.ReadAll(&flaw) ==
          std::vector<std::string>(records.begin(),
                                   records.begin() + static_cast<int>(good)));
    const std::uint64_t end = good == 0 ? 0 : ends[good - 1];
    REQUIRE(flaw.has_value() == (cut != end));
    if (!flaw.has_value()) continue;
    CHECK(flaw->offset == end);
    REQUIRE(RepairWal(fixture.directory.path(), *flaw).ok());
    flaw.reset();
    CHECK(fixture.ReadAll(&flaw).size() == good);
    CHECK(!flaw.has_value());
  }
}

TEST_CASE("no flipped byte of a segment yields a record that was not written") {
  Fixture fixture;
  const std::vector<std::string> records = {
      "first record", std::string(100, 'x'), "third record"};
  REQUIRE(fixture.Open()->Log(records).ok());
  const std::string path = WalSegmentPath(fixture.directory.path(), 0);
  const std::string whole = *base::ReadFile(path);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const int bit : {0, 3, 7}) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      WalSegmentReader reader(damaged);
      std::size_t count = 0;
      while (reader.Next()) {
        // The type byte is not covered by the checksum: it may say that a
        // record is compressed in another way.
        if (i % 7 != 0 && reader.record() == records[count]) ++count;
      }
      CHECK(count <= records.size());
    }
  }
}

TEST_CASE("repair removes the segments after the flaw") {
  Fixture fixture;
  const std::string record = "record";
  {
    const auto wal = fixture.Open();
    for (int i = 0; i < 3; ++i) {
      REQUIRE(wal->Log({&record, 1}).ok());
      REQUIRE(wal->NextSegment().ok());
    }
  }
  REQUIRE(RepairWal(fixture.directory.path(), {1, 0, absl::OkStatus()}).ok());
  CHECK(*ListWalSegments(fixture.directory.path()) == std::vector<int>{0, 1});
  CHECK(fixture.ReadAll() == std::vector<std::string>{record});
  CHECK(fixture.Open()->current_segment() == 2);
}

TEST_CASE("many callers at once lose nothing and keep their order") {
  Fixture fixture;
  constexpr int kThreads = 8;
  constexpr int kRecords = 200;
  {
    WalOptions options;
    options.segment_bytes = 2 * kWalPageBytes;
    const auto wal = fixture.Open(options);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&wal, t] {
        for (int i = 0; i < kRecords; ++i) {
          const std::vector<std::string> records = {
              absl::StrCat(t, " ", i, " first ", std::string(100, 'p')),
              absl::StrCat(t, " ", i, " second")};
          if (!wal->Log(records).ok()) std::abort();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  const auto records = fixture.ReadAll();
  REQUIRE(records.size() == kThreads * kRecords * 2);
  std::vector<int> next(kThreads, 0);
  for (std::size_t i = 0; i < records.size(); i += 2) {
    const int thread = records[i][0] - '0';
    const std::string prefix = absl::StrCat(thread, " ", next[thread]++);
    CHECK(records[i].rfind(prefix + " first", 0) == 0);
    CHECK(records[i + 1] == prefix + " second");
  }
}

// Keeps files of this process from growing, as a full disk would.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(std::uint64_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

TEST_CASE(
    "a write that fails leaves the log as it was and later ones succeed") {
  Fixture fixture;
  WalOptions options;
  options.compression = WalCompression::kNone;
  const auto wal = fixture.Open(options);
  const std::string small = "small";
  const std::string large(50000, 'l');
  REQUIRE(wal->Log({&small, 1}).ok());
  {
    const FileSizeLimit limit(20000);
    CHECK(!wal->Log({&large, 1}).ok());
    CHECK(wal->Log({&small, 1}).ok());
    CHECK(!wal->Log({&large, 1}).ok());
  }
  CHECK(wal->Log({&large, 1}).ok());
  std::optional<WalFlaw> flaw;
  CHECK(fixture.ReadAll(&flaw) ==
        std::vector<std::string>{small, small, large});
  CHECK(!flaw.has_value());
  CHECK(fixture.metrics.writes_failed.value() == 2);
}

TEST_CASE("a new log goes on after the newest checkpoint") {
  Fixture fixture;
  REQUIRE(
      base::CreateDirectories(WalCheckpointPath(fixture.directory.path(), 41))
          .ok());
  CHECK(fixture.Open()->current_segment() == 42);
}

TEST_CASE("a segment size that is no multiple of a page is refused") {
  Fixture fixture;
  WalOptions options;
  options.segment_bytes = 1000;
  CHECK(absl::IsInvalidArgument(Wal::Open(fixture.directory.path(), options,
                                          base::Logger::Discard(),
                                          fixture.metrics)
                                    .status()));
}

}  // namespace
}  // namespace narthex::tsdb
