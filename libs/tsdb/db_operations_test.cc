#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/tsdb/block_fixture.h"
#include "libs/tsdb/block_meta.h"
#include "libs/tsdb/db_fixture.h"

namespace narthex::tsdb {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMinute = 60 * 1000;
constexpr std::int64_t kHour = 60 * kMinute;
// The start of a block.
constexpr std::int64_t kStart = 1700006400000;

const model::Labels kUp = {{"__name__", "up"}, {"job", "node"}};
const model::Labels kDebug = {{"__name__", "debug"}, {"job", "node"}};
const model::Labels kSlo = {{"__name__", "slo"}, {"job", "node"}};

bool Exposes(const DbFixture& fixture, absl::string_view line) {
  return absl::StrContains(fixture.registry().Expose(),
                           absl::StrCat("\n", line, "\n"));
}

void AppendHours(DbFixture& fixture, const std::vector<model::Labels>& series,
                 int hours) {
  for (std::int64_t t = 0; t < hours * kHour; t += 10 * kMinute) {
    fixture.Append(series, kStart + t, 3);
  }
}

DbOptions SmallBlocks() {
  DbOptions options;
  options.max_block_ms = 2 * kHour;
  return options;
}

std::string PathOf(const DbFixture& fixture, const BlockMeta& meta) {
  return absl::StrCat(fixture.path(), "/", meta.ulid.ToString());
}

std::size_t SamplesOf(const SeriesModel& model, const model::Labels& labels) {
  const auto it = model.find(labels);
  return it == model.end() ? 0 : it->second.size();
}

}  // namespace

TEST_CASE("a corrupt block is left aside and the others are served") {
  const std::string file =
      GENERATE(as<std::string>(), "index", "tombstones", "chunks/000001");
  INFO(file);
  DbFixture fixture(SmallBlocks());
  AppendHours(fixture, {kUp}, 10);
  REQUIRE(fixture.db().Maintain().ok());
  const std::vector<BlockMeta> before = fixture.db().Blocks();
  REQUIRE(before.size() >= 3);
  const BlockMeta bad = before[1];
  fixture.Close();
  const std::string path = PathOf(fixture, bad) + "/" + file;
  fs::copy_file(path, path + ".bak");
  fs::resize_file(path, 3);
  fixture.Open();
  CHECK(fixture.db().Blocks().size() == before.size() - 1);
  CHECK(fixture.db().corruption_count() == 1);
  CHECK(Exposes(fixture, "narthex_tsdb_corrupt_blocks 1"));
  CHECK(Exposes(fixture, "prometheus_tsdb_reloads_failures_total 1"));

  const auto refused = fixture.db().SelectChunks({bad.min_ms, bad.min_ms}, {});
  CHECK(absl::IsDataLoss(refused.status()));
  CHECK(absl::StrContains(refused.status().message(), bad.ulid.ToString()));
  CHECK_FALSE(fixture.db().LabelNames({bad.min_ms, bad.min_ms}, {}, 0).ok());
  const storage::TimeRange later{bad.max_ms, model::kMaxTime};
  CHECK(fixture.Select(later) == Filter(fixture.expected(), later, {}));

  SECTION("it is served again once it is repaired") {
    fs::rename(path + ".bak", path);
    REQUIRE(fixture.db().Maintain().ok());
    CHECK(fixture.db().corruption_count() == 0);
    fixture.CheckAll();
  }
  SECTION("what remains is the answer once it is removed") {
    fs::remove_all(PathOf(fixture, bad));
    REQUIRE(fixture.db().Maintain().ok());
    CHECK(fixture.db().corruption_count() == 0);
    CHECK(fixture.Select({bad.min_ms, bad.max_ms - 1}).empty());
  }
}

TEST_CASE("queries of a block with a damaged meta.json are refused") {
  DbFixture fixture(SmallBlocks());
  AppendHours(fixture, {kUp}, 6);
  REQUIRE(fixture.db().Maintain().ok());
  const BlockMeta bad = fixture.db().Blocks().front();
  fixture.Close();
  fs::resize_file(PathOf(fixture, bad) + "/meta.json", 10);
  // Its index tells the time, if that can be read.
  const bool index = GENERATE(true, false);
  INFO(index);
  if (!index) fs::resize_file(PathOf(fixture, bad) + "/index", 10);
  fixture.Open();
  CHECK(fixture.db().corruption_count() == 1);
  const storage::TimeRange its{bad.min_ms, bad.max_ms - 1};
  const storage::TimeRange later{bad.max_ms, model::kMaxTime};
  for (int i = 0; i < 2; ++i) {
    CHECK(absl::IsDataLoss(fixture.db().SelectChunks(its, {}).status()));
    CHECK(fixture.db().SelectChunks(later, {}).ok() == index);
    REQUIRE(fixture.db().Maintain().ok());
  }
  if (index) {
    CHECK(fixture.Select(later) == Filter(fixture.expected(), later, {}));
  }
}

TEST_CASE("a directory without meta.json is no block") {
  DbFixture fixture(SmallBlocks());
  AppendHours(fixture, {kUp}, 6);
  REQUIRE(fixture.db().Maintain().ok());
  const BlockMeta bad = fixture.db().Blocks().front();
  fixture.Close();
  fs::remove(PathOf(fixture, bad) + "/meta.json");
  fixture.Open();
  CHECK(fixture.db().corruption_count() == 0);
}

TEST_CASE("a corrupt block that another stands for is removed") {
  DbFixture fixture(SmallBlocks());
  AppendHours(fixture, {kUp}, 6);
  REQUIRE(fixture.db().Maintain().ok());
  BlockMeta child = fixture.db().Blocks().front();
  fixture.Close();
  const Ulid parent = Ulid::New(1);
  fs::create_directory(fixture.path() + "/" + parent.ToString());
  BlockMeta meta = child;
  meta.ulid = parent;
  REQUIRE(WriteBlockMeta(fixture.path() + "/" + parent.ToString(), meta).ok());
  child.compaction.parents.push_back({parent, child.min_ms, child.max_ms});
  REQUIRE(WriteBlockMeta(PathOf(fixture, child), child).ok());
  fixture.Open();
  CHECK(fixture.db().corruption_count() == 0);
  CHECK_FALSE(fs::exists(fixture.path() + "/" + parent.ToString()));
  fixture.CheckAll();
}

TEST_CASE("blocks that others bring or take away are noticed") {
  DbFixture fixture;
  fixture.Append({kUp}, kStart, 1);
  const SeriesModel old = {{kSlo, {{kStart - 5 * kHour, 7}}}};
  const auto block =
      WriteBlock(fixture.path(), old, kStart - 6 * kHour, kStart - 4 * kHour);
  REQUIRE(fixture.db().ReloadBlocks().ok());
  fixture.expected()[kSlo] = old.at(kSlo);
  fixture.CheckAll();
  fs::remove_all(block->directory());
  REQUIRE(fixture.db().ReloadBlocks().ok());
  fixture.expected().erase(kSlo);
  fixture.CheckAll();
}

TEST_CASE("series are kept as long as the first rule about them says") {
  DbOptions options = SmallBlocks();
  options.retention.time_ms = 12 * kHour;
  options.retention.rules = {
      {{{Match("__name__", "=", "debug")}, {Match("x", "=", "y")}}, 4 * kHour},
      {{{Match("__name__", "=~", "slo|debug")}}, 18 * kHour}};
  DbFixture fixture(options);
  AppendHours(fixture, {kUp, kDebug, kSlo}, 30);
  REQUIRE(fixture.db().Maintain().ok());
  const SeriesModel kept = fixture.Select(kAllTime);
  const std::int64_t end = fixture.db().Blocks().back().max_ms;
  // Blocks of two hours, the last of which ends at `end`.
  CHECK(kept.at(kUp).begin()->first == end - 12 * kHour);
  CHECK(kept.at(kDebug).begin()->first == end - 4 * kHour);
  CHECK(kept.at(kSlo).begin()->first == end - 18 * kHour);
  CHECK(SamplesOf(kept, kSlo) ==
        static_cast<std::size_t>((kStart + 30 * kHour - (end - 18 * kHour)) /
                                 (10 * kMinute)));
  CHECK_FALSE(
      Exposes(fixture, "narthex_tsdb_retention_series_removed_total 0"));
  for (const BlockMeta& block : fixture.db().Blocks()) {
    CHECK(block.stats.tombstones == 0);
  }

  SECTION("nothing more is removed the next time") {
    const auto blocks = fixture.db().Blocks();
    REQUIRE(fixture.db().Maintain().ok());
    CHECK(fixture.db().Blocks() == blocks);
  }
  SECTION("rules change while it runs") {
    options.retention.rules[1].time_ms = 14 * kHour;
    REQUIRE(fixture.db().SetRetention(options.retention).ok());
    REQUIRE(fixture.db().Maintain().ok());
    CHECK(fixture.Select(kAllTime).at(kSlo).begin()->first == end - 14 * kHour);
  }
}

TEST_CASE("a rule may keep its series for ever") {
  DbOptions options = SmallBlocks();
  options.retention.time_ms = 4 * kHour;
  options.retention.rules = {{{{Match("__name__", "=", "slo")}}, 0}};
  DbFixture fixture(options);
  AppendHours(fixture, {kUp, kSlo}, 20);
  REQUIRE(fixture.db().Maintain().ok());
  CHECK(fixture.Select(kAllTime).at(kSlo) == fixture.expected().at(kSlo));
  CHECK(fixture.Select(kAllTime).at(kUp).begin()->first > kStart + 8 * kHour);
}

TEST_CASE("blocks go when they take more than their share of the disk") {
  DbOptions options = SmallBlocks();
  DbFixture fixture(options);
  AppendHours(fixture, {kUp}, 10);
  REQUIRE(fixture.db().Maintain().ok());
  REQUIRE(fixture.db().Blocks().size() >= 3);
  options.retention.percentage = 1e-6;
  REQUIRE(fixture.db().SetRetention(options.retention).ok());
  REQUIRE(fixture.db().ApplyRetention().ok());
  CHECK(fixture.db().Blocks().empty());
  CHECK(Exposes(fixture, "prometheus_tsdb_size_retentions_total 1"));
  CHECK(Exposes(fixture, "prometheus_tsdb_retention_limit_percentage 1e-06"));
}

TEST_CASE("a burst of series is refused by job while known series go on") {
  DbOptions options;
  options.series.max_series = 100;
  DbFixture fixture(options);
  const auto known = MakeSeries(90);
  fixture.Append(known, kStart, 1);
  int refused = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto ref = fixture.db().GetOrCreateSeries(
        {{"__name__", "burst"}, {"id", absl::StrCat(i)}, {"job", "noisy"}});
    if (ref.ok()) continue;
    CHECK(absl::IsResourceExhausted(ref.status()));
    ++refused;
  }
  CHECK(refused == 990);
  CHECK(
      Exposes(fixture, "narthex_tsdb_series_refused_total{job=\"noisy\"} 990"));
  CHECK_FALSE(fixture.db().HasRoomForSeries());
  fixture.Append(known, kStart + 1000, 2);
  fixture.CheckAll();
}

TEST_CASE("jobs beyond a hundred are counted together") {
  DbOptions options;
  options.series.max_series = 1;
  DbFixture fixture(options);
  fixture.Append({kUp}, kStart, 1);
  for (int i = 0; i < 150; ++i) {
    CHECK_FALSE(
        fixture.db()
            .GetOrCreateSeries({{"__name__", "m"}, {"job", absl::StrCat(i)}})
            .ok());
  }
  CHECK(Exposes(fixture,
                "narthex_tsdb_series_refused_total{job=\"(other)\"} 50"));
}

TEST_CASE("a replay takes all that was taken, whatever the limits are") {
  DbFixture fixture;
  const auto series = MakeSeries(50);
  for (int i = 0; i < 10; ++i) fixture.Append(series, kStart + i * 1000, i);
  DbOptions limited;
  if (GENERATE(true, false)) {
    limited.series.max_series = 20;
  } else {
    // Less than this process holds, and more than the head does.
    limited.series.memory_budget_bytes = OwnMemoryBytes() / 2;
  }
  fixture.set_options(limited);
  fixture.Reopen();
  CHECK(Exposes(fixture, "narthex_tsdb_wal_replay_refused_series_total 0"));
  fixture.CheckAll();
  fixture.Append(series, kStart + 10'000, 10);
  CHECK_FALSE(fixture.db().GetOrCreateSeries(kUp).ok());
}

TEST_CASE("a replay ends taking series when the head takes the budget alone") {
  DbOptions options;
  options.wal.segment_bytes = 32 << 10;
  DbFixture fixture(options);
  constexpr int kBatches = 20;
  for (int i = 0; i < kBatches; ++i) {
    std::vector<model::Labels> batch;
    for (int j = 0; j < 500; ++j) {
      batch.push_back({{"__name__", "m"}, {"id", absl::StrCat(i, "-", j)}});
    }
    fixture.Append(batch, kStart + i * 1000, i);
  }
  options.series.memory_budget_bytes = 1000;
  fixture.set_options(options);
  fixture.Reopen();
  SeriesModel kept = fixture.Select(kAllTime);
  CHECK(!kept.empty());
  CHECK(kept.size() < kBatches * 500);
  for (const auto& [labels, samples] : kept) {
    REQUIRE(samples == fixture.expected().at(labels));
  }
  // The log is left as it is.
  fixture.set_options({});
  fixture.Reopen();
  fixture.CheckAll();
}

TEST_CASE("series that went into blocks leave room in a replay") {
  DbOptions options;
  options.series.max_series = 20;
  DbFixture fixture(options);
  const auto all = MakeSeries(40);
  const std::vector<model::Labels> first(all.begin(), all.begin() + 20);
  const std::vector<model::Labels> second(all.begin() + 20, all.end());
  fixture.Append(first, kStart, 1);
  for (const model::Labels& labels : first) {
    REQUIRE(fixture.AppendOne(labels, kStart + 1000, model::StaleNan()) == 0);
    fixture.expected()[labels].erase(kStart + 1000);
  }
  CHECK_FALSE(fixture.db().GetOrCreateSeries(second[0]).ok());
  REQUIRE(fixture.db().MakeRoomIfRefused().ok());
  fixture.Append(second, kStart + 2000, 2);
  fixture.Reopen();
  CHECK(Exposes(fixture, "prometheus_tsdb_head_series 20"));
  CHECK(
      Exposes(fixture,
              "prometheus_tsdb_wal_replay_unknown_refs_total{type=\"samples\"} "
              "0"));
  CHECK(fixture.db().Blocks().size() == 1);
  const auto check = [&fixture] {
    SeriesModel found = fixture.Select(kAllTime);
    for (auto& [labels, samples] : found) {
      std::erase_if(samples,
                    [](const auto& s) { return s.second != s.second; });
    }
    CHECK(found == fixture.expected());
  };
  check();
  // One that begins again is held, and what is in the block is there once.
  REQUIRE(fixture.AppendOne(second[0], kStart + 3000, model::StaleNan()) == 0);
  fixture.expected()[second[0]].erase(kStart + 3000);
  options.series.max_series = 100;
  fixture.set_options(options);
  fixture.Reopen();
  fixture.Append({first[0]}, kStart + 4000, 3);
  check();
  fixture.Reopen();
  check();
  CHECK(Exposes(fixture, "prometheus_tsdb_head_series 21"));
}

TEST_CASE("memory is measured against the budget") {
  static std::uint64_t held = 0;
  metrics::Registry registry;
  SeriesBounds bounds;
  bounds.memory_budget_bytes = 1000;
  SeriesLimit limit(bounds, registry, [] { return held; });
  CHECK(limit.Admit(1, kUp).ok());
  held = 960;
  for (int i = 0; i < 300; ++i) REQUIRE(limit.Admit(1, kUp).ok());
  CHECK_FALSE(limit.HasRoom(1));
  held = 1000;
  int admitted = 0;
  while (limit.Admit(1, kUp).ok()) ++admitted;
  CHECK(admitted < 300);
  CHECK(OwnMemoryBytes() > 1 << 20);
}

TEST_CASE("an end that was no end is seen at the next start") {
  DbFixture fixture;
  CHECK(Exposes(fixture, "prometheus_tsdb_clean_start 1"));
  fixture.Reopen();
  CHECK(Exposes(fixture, "prometheus_tsdb_clean_start 1"));
  fixture.Close();
  CHECK_FALSE(fs::exists(fixture.path() + "/lock"));
  std::ofstream(fixture.path() + "/lock") << "1";
  fixture.Open();
  CHECK(Exposes(fixture, "prometheus_tsdb_clean_start 0"));
}

TEST_CASE("a replay tells how far it is and ends when it is asked to") {
  DbOptions options;
  options.wal.segment_bytes = 32 << 10;
  options.wal.compression = WalCompression::kNone;
  DbFixture fixture(options);
  const auto series = MakeSeries(100);
  for (int i = 0; i < 200; ++i) fixture.Append(series, kStart + i * 1000, i);
  fixture.Close();

  std::vector<ReplayProgress> seen;
  bool stop = false;
  options.replay.progress = [&seen](const ReplayProgress& progress) {
    seen.push_back(progress);
  };
  options.replay.stopping = [&seen, &stop] { return stop && seen.size() > 1; };
  fixture.set_options(options);
  fixture.Open();
  fixture.CheckAll();
  REQUIRE(seen.size() >= 3);
  CHECK(seen.front().current == seen.front().first);
  CHECK(seen.back().current == seen.back().last);
  fixture.Close();

  seen.clear();
  stop = true;
  base::FakeClock clock(kStart);
  {
    metrics::Registry registry;
    const auto interrupted = Db::Open(fixture.path(), options,
                                      base::Logger::Discard(), clock, registry);
    CHECK(absl::IsCancelled(interrupted.status()));
    CHECK(seen.size() == 2);
  }
  stop = false;
  fixture.Open();
  fixture.CheckAll();
}

TEST_CASE("what writes blocks ends when it is interrupted, nothing is lost") {
  DbFixture fixture(SmallBlocks());
  AppendHours(fixture, MakeSeries(20), 8);
  fixture.db().Interrupt();
  CHECK(absl::IsCancelled(fixture.db().Maintain()));
  CHECK(fixture.db().Blocks().empty());
  CHECK(Exposes(fixture, "prometheus_tsdb_compactions_failed_total 0"));
  fixture.CheckAll();
  fixture.Reopen();
  REQUIRE(fixture.db().Maintain().ok());
  CHECK_FALSE(fixture.db().Blocks().empty());
  fixture.CheckAll();
}

TEST_CASE("blocks wait for their upload before they are compacted") {
  DbOptions options;
  const base::TemporaryDirectory other;
  options.uploads_file = other.path() + "/uploads.json";
  DbFixture fixture(options);
  AppendHours(fixture, {kUp}, 14);
  REQUIRE(fixture.db().Maintain().ok());
  const auto blocks = fixture.db().Blocks();
  REQUIRE(blocks.size() >= 5);
  std::string list;
  for (const BlockMeta& block : blocks) {
    absl::StrAppend(&list, list.empty() ? "" : ",", "\"", block.ulid.ToString(),
                    "\"");
  }
  REQUIRE(base::WriteFileAtomically(
              options.uploads_file,
              absl::StrCat("{\"version\":1,\"uploaded\":[", list, "]}"))
              .ok());
  REQUIRE(fixture.db().Maintain().ok());
  CHECK(fixture.db().Blocks().size() < blocks.size());
  fixture.CheckAll();
}

TEST_CASE("series that ended leave the head for blocks when room is needed") {
  DbOptions options;
  options.series.max_series = 100;
  const bool by_share = GENERATE(true, false);
  INFO(by_share);
  if (by_share) {
    options.series.max_series = 0;
    options.stale_threshold = 0.4;
  }
  DbFixture fixture(options);
  const auto all = MakeSeries(100);
  const std::vector<model::Labels> ended(all.begin(), all.begin() + 50);
  const std::vector<model::Labels> living(all.begin() + 50, all.end());
  for (int i = 0; i < 300; ++i) {
    fixture.Append(all, kStart + kHour + i * 30'000, i);
  }
  const std::int64_t end = kStart + kHour + 300 * 30'000;
  for (const model::Labels& labels : ended) {
    fixture.AppendOne(labels, end, model::StaleNan());
  }
  fixture.Append(living, end, 1);
  const auto selected = [&fixture] {
    // Staleness markers are no numbers to compare.
    SeriesModel model = fixture.Select(kAllTime);
    for (auto& [labels, samples] : model) {
      std::erase_if(samples,
                    [](const auto& s) { return s.second != s.second; });
    }
    return model;
  };
  for (const model::Labels& labels : ended)
    fixture.expected()[labels].erase(end);
  REQUIRE(selected() == fixture.expected());
  REQUIRE(fixture.db().Maintain().ok());
  CHECK(Exposes(fixture, "prometheus_tsdb_head_series 50"));
  CHECK(Exposes(fixture, "prometheus_tsdb_head_stale_series 0"));
  CHECK(selected() == fixture.expected());
  for (const BlockMeta& block : fixture.db().Blocks()) {
    CHECK(block.compaction.HasHint(kHintFromStaleSeries));
    CHECK(block.compaction.HasHint(kHintFromOutOfOrder));
  }
  // There is room again, also for the same series.
  CHECK(fixture.db().HasRoomForSeries());
  fixture.Append(ended, end + 1000, 9);
  CHECK(selected() == fixture.expected());
  fixture.Reopen();
  CHECK(selected() == fixture.expected());
  REQUIRE(fixture.db().Flush().ok());
  REQUIRE(fixture.db().Maintain().ok());
  CHECK(selected() == fixture.expected());
}

TEST_CASE("room is made as soon as series are refused and others have ended") {
  DbOptions options;
  options.series.max_series = 20;
  DbFixture fixture(options);
  const auto all = MakeSeries(40);
  const std::vector<model::Labels> first(all.begin(), all.begin() + 20);
  const std::vector<model::Labels> second(all.begin() + 20, all.end());
  for (int i = 0; i < 10; ++i) fixture.Append(first, kStart + i * 1000, i);
  // Full, but nobody was refused.
  for (const model::Labels& labels : first) {
    fixture.AppendOne(labels, kStart + 10'000, model::StaleNan());
  }
  REQUIRE(fixture.db().MakeRoomIfRefused().ok());
  CHECK(Exposes(fixture, "prometheus_tsdb_head_series 20"));
  CHECK_FALSE(fixture.db().GetOrCreateSeries(second[0]).ok());
  REQUIRE(fixture.db().MakeRoomIfRefused().ok());
  CHECK(Exposes(fixture, "prometheus_tsdb_head_series 0"));
  CHECK(fixture.db().Blocks().size() == 1);
  CHECK(fixture.db().GetOrCreateSeries(second[0]).ok());
  // There is room.
  REQUIRE(fixture.db().MakeRoomIfRefused().ok());
  CHECK(fixture.db().Blocks().size() == 1);
}

TEST_CASE("stale series that must stay in the head are not written for ever") {
  DbOptions options;
  options.stale_threshold = 0.1;
  options.out_of_order_window_ms = kHour;
  const bool wants_room = GENERATE(true, false);
  INFO(wants_room);
  if (wants_room) {
    options.stale_threshold = 0;
    options.series.max_series = 20;
  }
  DbFixture fixture(options);
  const auto all = MakeSeries(20);
  fixture.Append(all, kStart + 10'000, 1);
  for (int i = 0; i < 10; ++i) {
    REQUIRE(fixture.AppendOne(all[i], kStart, 2) == 0);
    REQUIRE(fixture.AppendOne(all[i], kStart + 20'000, model::StaleNan()) == 0);
  }
  fixture.db().GetOrCreateSeries({{"__name__", "more"}}).IgnoreError();
  for (int i = 0; i < 3; ++i) {
    REQUIRE(fixture.db().MakeRoomIfRefused().ok());
    REQUIRE(fixture.db().Maintain().ok());
  }
  CHECK(fixture.db().Blocks().empty());
  CHECK(Exposes(fixture, "prometheus_tsdb_head_stale_series 10"));
  // Those that may go still go.
  for (int i = 10; i < 14; ++i) {
    REQUIRE(fixture.AppendOne(all[i], kStart + 20'000, model::StaleNan()) == 0);
  }
  REQUIRE(fixture.db().Maintain().ok());
  CHECK(fixture.db().Blocks().size() == 1);
  CHECK(Exposes(fixture, "prometheus_tsdb_head_stale_series 10"));
}

}  // namespace narthex::tsdb
