// Damages every kind of file in every way that disks know: a database must say
// so, or repair what it can and log it. It never crashes and never gives a
// sample that nobody appended. NARTHEX_CORRUPTION_ROUNDS makes it longer.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/db_fixture.h"
#include "libs/tsdb/verify.h"

namespace narthex::tsdb {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMinute = 60 * 1000;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kStart = 1700006400000;

DbOptions Options() {
  DbOptions options;
  options.retention.time_ms = 0;
  options.wal.segment_bytes = kWalPageBytes;
  options.wal.compression = WalCompression::kNone;
  options.samples_per_chunk = 30;
  options.out_of_order_window_ms = 2 * kHour;
  options.memory_snapshot = true;
  return options;
}

// A directory with every kind of file, and what it holds.
struct Original {
  base::TemporaryDirectory directory;
  SeriesModel content;
};

void Make(Original* original) {
  DbFixture fixture(Options());
  const auto series = MakeSeries(20);
  for (std::int64_t t = 0; t < 9 * kHour; t += kMinute) {
    fixture.Append(series, kStart + t, static_cast<double>(t % 977));
  }
  REQUIRE(fixture.db().Maintain().ok());
  REQUIRE(fixture.db()
              .DeleteSeries({kStart + kHour, kStart + 2 * kHour},
                            {Match("i", "=", "3")})
              .ok());
  auto& samples = fixture.expected()[series[3]];
  samples.erase(samples.lower_bound(kStart + kHour),
                samples.upper_bound(kStart + 2 * kHour));
  for (std::int64_t t = 9 * kHour; t < 10 * kHour; t += kMinute) {
    fixture.Append(series, kStart + t, 1.5);
  }
  REQUIRE(fixture.db().Maintain().ok());
  for (std::int64_t t = 9 * kHour; t < 10 * kHour; t += 2 * kMinute) {
    for (const model::Labels& labels : series) {
      REQUIRE(fixture.AppendOne(labels, kStart + t + 30'000, 2.5) == 0);
    }
    if (t == 9 * kHour + 40 * kMinute) {
      REQUIRE(fixture.db().MoveFullChunks().ok());
    }
  }
  fixture.Close();
  original->content = fixture.expected();
  fs::copy(fixture.path(), original->directory.path(),
           fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  REQUIRE(VerifyDirectory(original->directory.path())->findings ==
          std::vector<std::string>());
  fixture.Open();
}

// All files of a kind, relative to the directory.
std::vector<std::string> FilesOf(const std::string& directory,
                                 const std::string& part) {
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    const std::string name = fs::relative(entry.path(), directory).string();
    if (entry.is_regular_file() && absl::StrContains(name, part)) {
      files.push_back(name);
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string Damage(std::string content, std::mt19937& random,
                   std::string* what) {
  const std::size_t at = content.empty() ? 0 : random() % content.size();
  switch (random() % 6) {
    case 0:
      *what = absl::StrCat("truncated to ", at);
      content.resize(at);
      break;
    case 1: {
      const std::size_t length =
          std::min<std::size_t>(content.size() - at, 1 + random() % 600);
      *what = absl::StrCat(length, " zeros at ", at);
      content.replace(at, length, length, '\0');
      break;
    }
    case 2:
      *what = "junk at the end";
      content.append(1 + random() % 40, '\x5a');
      break;
    case 3:
      *what = absl::StrCat("another byte at ", at);
      if (!content.empty()) content[at] = static_cast<char>(random());
      break;
    default:
      *what = absl::StrCat("a bit flipped at ", at);
      if (!content.empty()) {
        content[at] = static_cast<char>(content[at] ^ (1 << random() % 8));
      }
  }
  return content;
}

struct Outcome {
  std::string error;  // Of opening or reading.
  SeriesModel content;
  std::string log;
};

// Adds what can be read to the outcome.
void ReadInto(const Db& db, Outcome* outcome) {
  auto chunks = db.SelectChunks(kAllTime, {});
  if (!chunks.ok()) {
    outcome->error = chunks.status().ToString();
    return;
  }
  const auto set = DecodeSeriesSet(*std::move(chunks), kAllTime);
  model::SampleColumns samples;
  while (set->Next()) {
    const auto series = set->At();
    samples.clear();
    const absl::Status status = series->Read(&samples);
    if (!status.ok()) outcome->error = status.ToString();
    for (std::size_t i = 0; i < samples.size(); ++i) {
      outcome->content[series->labels()][samples.timestamps_ms[i]] =
          samples.values[i];
    }
  }
  if (!set->status().ok()) outcome->error = set->status().ToString();
}

Outcome Read(const std::string& path) {
  Outcome outcome;
  metrics::Registry registry;
  base::FakeClock clock(kStart);
  auto db = Db::Open(path, Options(), base::Logger::ToString(&outcome.log),
                     clock, registry);
  if (!db.ok()) {
    outcome.error = db.status().ToString();
    return outcome;
  }
  ReadInto(**db, &outcome);
  // Maintenance must cope as well.
  (*db)->Maintain().IgnoreError();
  (*db)->Flush().IgnoreError();
  return outcome;
}

// A sample that was never there, or was deleted.
std::string FirstInvented(const SeriesModel& got, const SeriesModel& want) {
  for (const auto& [labels, samples] : got) {
    const auto it = want.find(labels);
    if (it == want.end()) return labels.ToString();
    for (const auto& [time, value] : samples) {
      const auto sample = it->second.find(time);
      if (sample == it->second.end() || sample->second != value) {
        return absl::StrCat(labels.ToString(), " at ", time);
      }
    }
  }
  return "";
}

void DamageFiles(const std::string& part, int rounds) {
  Original original;
  Make(&original);
  const auto files = FilesOf(original.directory.path(), part);
  REQUIRE_FALSE(files.empty());
  std::mt19937 random(static_cast<unsigned>(part.size()));
  for (int round = 0; round < rounds; ++round) {
    const std::string& file = files[random() % files.size()];
    const base::TemporaryDirectory copy;
    fs::copy(
        original.directory.path(), copy.path(),
        fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    const std::string path = copy.path() + "/" + file;
    std::string what;
    const std::string before = *base::ReadFile(path);
    const std::string damaged = Damage(before, random, &what);
    if (damaged == before) continue;
    std::ofstream(path, std::ios::binary | std::ios::trunc) << damaged;
    INFO("round " << round << ": " << file << ": " << what);
    // Looking first, so that nothing is repaired yet.
    const auto report = VerifyDirectory(copy.path());
    REQUIRE(report.ok());
    const bool whole = report->ok();
    const Outcome outcome = Read(copy.path());
    INFO(outcome.error);
    INFO(outcome.log);
    // meta.json has no checksum: a changed bound hides samples or shows
    // deleted ones, which no reader can know.
    if (part != "meta.json") {
      REQUIRE(FirstInvented(outcome.content, original.content) == "");
      const bool said = !outcome.error.empty() ||
                        absl::StrContains(outcome.log, "level=warn") ||
                        absl::StrContains(outcome.log, "level=error");
      // A log that ends between two records is a good one.
      const bool shorter = (part == "wbl/0" || part == "wal/0") &&
                           absl::StartsWith(what, "truncated") && whole;
      if (!said && !shorter) REQUIRE(outcome.content == original.content);
    }
  }
}

int Rounds() {
  const char* text = std::getenv("NARTHEX_CORRUPTION_ROUNDS");
  return text == nullptr ? 25 : std::atoi(text);
}

// What the paths of the kinds of files contain.
constexpr const char* kKinds[] = {
    "/index",         "/chunks/", "meta.json",   "tombstones",    "wal/0",
    "wal/checkpoint", "wbl/0",    "chunks_head", "chunk_snapshot"};

TEST_CASE("damaged files are reported or repaired, never believed") {
  const int kind = GENERATE(range(0, static_cast<int>(std::size(kKinds))));
  DamageFiles(kKinds[kind], Rounds());
}

TEST_CASE("no file of a directory is left out when files are damaged") {
  Original original;
  Make(&original);
  for (const std::string& file : FilesOf(original.directory.path(), "")) {
    INFO(file);
    CHECK((file == "lock" || std::any_of(std::begin(kKinds), std::end(kKinds),
                                         [&file](const char* kind) {
                                           return absl::StrContains(file, kind);
                                         })));
  }
}

TEST_CASE("a check of all files finds every damaged byte that matters") {
  Original original;
  Make(&original);
  const std::string& path = original.directory.path();
  for (const char* part :
       {"/chunks/", "tombstones", "wal/0", "wbl/0", "chunk_snapshot"}) {
    const std::string file = path + "/" + FilesOf(path, part).front();
    const std::string before = *base::ReadFile(file);
    // Past the header, whose padding means nothing.
    for (std::size_t at = 8; at < before.size(); at += 1 + before.size() / 37) {
      INFO(file << " at " << at);
      std::string damaged = before;
      damaged[at] = static_cast<char>(damaged[at] ^ 4);
      std::ofstream(file, std::ios::binary | std::ios::trunc) << damaged;
      CHECK_FALSE(VerifyDirectory(path)->ok());
    }
    std::ofstream(file, std::ios::binary | std::ios::trunc) << before;
    CHECK(VerifyDirectory(path)->ok());
  }
}

TEST_CASE("a check finds that head chunks of a snapshot of memory are gone") {
  DbFixture fixture(Options());
  for (std::int64_t t = 0; t < 2 * kHour; t += kMinute) {
    fixture.Append(MakeSeries(2), kStart + t, 1);
  }
  fixture.Close();
  REQUIRE(VerifyDirectory(fixture.path())->ok());
  const std::string chunks = fixture.path() + "/chunks_head";
  const auto names = base::ListDirectory(chunks);
  REQUIRE_FALSE(names->empty());
  fs::remove(chunks + "/" + names->front());
  const VerifyReport report = *VerifyDirectory(fixture.path());
  REQUIRE(report.findings.size() == 1);
  CHECK(absl::StrContains(report.findings[0], "bytes of head chunks"));
}

}  // namespace
}  // namespace narthex::tsdb
