#include <catch2/catch.hpp>
#include <filesystem>

#include "absl/strings/match.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"
#include "libs/metrics/metrics.h"
#include "libs/tsdb/conformance_fixture.h"
#include "libs/tsdb/db.h"
#include "libs/tsdb/db_fixture.h"

namespace narthex::tsdb {
namespace {

namespace fs = std::filesystem;

struct Samples {
  FloatTexts floats;
  SeriesFacts histograms;
  friend bool operator==(const Samples&, const Samples&) = default;
};

Samples Expected(const std::string& path) {
  return {ExpectedFloats(path, kAllTime), ExpectedHistograms(path, kAllTime)};
}

Samples All(const Db& db) {
  auto set = db.SelectChunks(kAllTime, {});
  INFO(set.status());
  REQUIRE(set.ok());
  Samples found;
  ReadSamples(**set, &found.floats, &found.histograms);
  return found;
}

/// A copy of a directory that may be written, opened.
class Copy {
 public:
  explicit Copy(const std::string& source) {
    fs::copy(source, path(), fs::copy_options::recursive);
    for (const auto& entry : fs::recursive_directory_iterator(path())) {
      fs::permissions(entry, fs::perms::owner_all, fs::perm_options::add);
    }
  }
  std::string path() const { return directory_.path() + "/data"; }

  void Open() {
    registry_ = std::make_unique<metrics::Registry>();
    DbOptions options;
    options.retention.time_ms = 0;
    auto db = Db::Open(path(), options, base::Logger::Discard(),
                       base::Clock::System(), *registry_);
    INFO(db.status());
    REQUIRE(db.ok());
    db_ = *std::move(db);
  }
  void Reopen() {
    db_.reset();
    Open();
  }
  Db& db() { return *db_; }
  std::string Metrics() const { return registry_->Expose(); }

 private:
  base::TemporaryDirectory directory_;
  std::unique_ptr<metrics::Registry> registry_;
  std::unique_ptr<Db> db_;
};

TEST_CASE("a directory of Prometheus holds the samples it should") {
  const std::string data = ConformanceDirectory();
  if (data.empty()) return;
  const Samples expected = Expected(data + "/golden.EXPECT.json");
  REQUIRE(!expected.histograms.empty());
  Copy copy(data + "/golden");
  copy.Open();
  CHECK(copy.db().Blocks().size() == 2);
  CHECK((All(copy.db()) == expected));
  CHECK(absl::StrContains(copy.Metrics(),
                          "prometheus_tsdb_wal_corruptions_total 0\n"));
  copy.Reopen();
  CHECK((All(copy.db()) == expected));
  REQUIRE(copy.db().Flush().ok());
  CHECK((All(copy.db()) == expected));
}

TEST_CASE("a log of Prometheus is replayed with every compression") {
  const std::string data = ConformanceDirectory();
  if (data.empty()) return;
  const Samples expected = Expected(data + "/wal_small.EXPECT.json");
  for (const std::string name : {"wal_uncompressed", "wal_zstd"}) {
    INFO(name);
    Copy copy(data + "/" + name);
    copy.Open();
    CHECK((All(copy.db()) == expected));
    CHECK(absl::StrContains(
        copy.Metrics(), "narthex_tsdb_wal_replay_skipped_records_total 0\n"));
    copy.Reopen();
    CHECK((All(copy.db()) == expected));
  }
}

TEST_CASE("a log of Prometheus cut anywhere gives what is before the cut") {
  const std::string data = ConformanceDirectory();
  if (data.empty()) return;
  const Samples expected = Expected(data + "/wal_small.EXPECT.json");
  for (const std::string name : {"wal_uncompressed", "wal_zstd"}) {
    const auto size = fs::file_size(data + "/" + name + "/wal/00000000");
    for (std::uintmax_t cut = 0; cut < size; cut += 611) {
      INFO(name << " cut at " << cut);
      Copy copy(data + "/" + name);
      fs::resize_file(copy.path() + "/wal/00000000", cut);
      copy.Open();
      for (const auto& [labels, samples] : All(copy.db()).floats) {
        const auto& all = expected.floats.at(labels);
        CHECK(std::equal(samples.begin(), samples.end(), all.begin()));
      }
    }
  }
}

}  // namespace
}  // namespace narthex::tsdb
