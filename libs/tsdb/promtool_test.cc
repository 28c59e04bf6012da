#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/file.h"
#include "libs/base/float_format.h"
#include "libs/tsdb/db_fixture.h"
#include "libs/tsdb/peer_fixture.h"

namespace narthex::tsdb {
namespace {

constexpr std::int64_t kMinute = 60 * 1000;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kStart = 1700006400000;

/// The lines of a dump: labels, value and time.
std::vector<std::string> DumpOf(const SeriesModel& data) {
  std::vector<std::string> lines;
  for (const auto& [labels, samples] : data) {
    for (const auto& [time, value] : samples) {
      lines.push_back(absl::StrCat(labels.ToString(), " ",
                                   base::FormatFloat(value), " ", time));
    }
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

std::vector<std::string> DumpBy(const std::string& promtool,
                                const std::string& path) {
  std::vector<std::string> lines;
  for (const auto line : absl::StrSplit(
           RunCommand(absl::StrCat(promtool, " tsdb dump ", path)), '\n')) {
    if (absl::StartsWith(line, "{")) lines.emplace_back(line);
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

void CheckDump(const std::string& promtool, const DbFixture& fixture) {
  // Not printed when they differ: there are too many lines.
  const bool same =
      DumpBy(promtool, fixture.path()) == DumpOf(fixture.expected());
  CHECK(same);
}

TEST_CASE("promtool reads what is in the log, in checkpoints and in blocks") {
  const std::string promtool = PeerProgram("promtool");
  if (promtool.empty()) return;
  for (const auto compression : {WalCompression::kNone, WalCompression::kSnappy,
                                 WalCompression::kZstd}) {
    INFO(static_cast<int>(compression));
    DbOptions options;
    options.wal.compression = compression;
    options.wal.segment_bytes = kWalPageBytes;
    DbFixture fixture(options);
    auto series = MakeSeries(100);
    series.push_back({{"__name__", "odd \"name\""}, {"utf\u00e48", "\u4e16"}});
    std::mt19937 random(1);
    // One call each, with values that do not compress: the log grows fast.
    const auto append = [&](std::int64_t time) {
      for (const model::Labels& labels : series) {
        fixture.Append({labels}, time, static_cast<double>(random()) / 8192);
      }
    };
    for (std::int64_t t = 0; t < 5 * kHour; t += 5 * kMinute) {
      append(kStart + t);
    }
    CheckDump(promtool, fixture);
    REQUIRE(fixture.db().Maintain().ok());
    REQUIRE(fixture.db().Blocks().size() == 1);
    for (std::int64_t t = 5 * kHour; t < 8 * kHour; t += 5 * kMinute) {
      append(kStart + t);
    }
    REQUIRE(fixture.db().Maintain().ok());
    REQUIRE(base::Glob(fixture.path() + "/wal/checkpoint.*").size() == 1);
    CheckDump(promtool, fixture);
    fixture.Close();
    CheckDump(promtool, fixture);
    CHECK(absl::StrContains(
        RunCommand(absl::StrCat(promtool, " tsdb analyze ", fixture.path())),
        "Total Series: 101"));
    fixture.Open();
    fixture.CheckAll();
  }
}

}  // namespace
}  // namespace narthex::tsdb
