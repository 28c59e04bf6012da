#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/db_fixture.h"
#include "libs/tsdb/head_chunk_reader.h"
#include "libs/tsdb/histogram_fixture.h"

namespace narthex::tsdb {
namespace {

constexpr std::int64_t kStart = 1'600'000'000'000 / 7'200'000 * 7'200'000;
const model::Labels kLatency({{"__name__", "latency"}, {"job", "a"}});

model::HistogramValue IntOf(std::int64_t first, std::int64_t second) {
  return {std::make_shared<model::IntHistogram>(
              MakeHistogram({{0, first}, {3, second}})),
          nullptr};
}

model::HistogramValue FloatOf(std::int64_t first, std::int64_t second) {
  return {nullptr, std::make_shared<model::FloatHistogram>(
                       MakeHistogram({{0, first}, {3, second}}).ToFloat())};
}

storage::SeriesRef RefOf(DbFixture& fixture, const model::Labels& labels) {
  const auto ref = fixture.db().GetOrCreateSeries(labels);
  REQUIRE(ref.ok());
  return *ref;
}

// 0 when it is taken, else the reason.
int AppendHistogram(DbFixture& fixture, const model::Labels& labels,
                    std::int64_t time, const model::HistogramValue& value) {
  const RefHistogram histogram{RefOf(fixture, labels), time, 0, value};
  AppendBatch batch;
  batch.histograms = {&histogram, 1};
  std::vector<storage::Rejection> rejected;
  REQUIRE(fixture.db().Append(batch, &rejected).ok());
  return rejected.empty() ? 0 : static_cast<int>(rejected[0].reason);
}

// What is stored of a series: "3h 4=1.5 5s" for a histogram of count 3, a
// float and the end.
std::string Show(DbFixture& fixture, const model::Labels& labels) {
  std::vector<model::Matcher> matchers;
  for (const model::Label& label : labels) {
    matchers.push_back(model::Matcher::Equal(label.name, label.value));
  }
  auto set = fixture.db().SelectChunks(kAllTime, matchers);
  REQUIRE(set.ok());
  storage::ChunkSeries series;
  std::string text;
  while ((*set)->Next(&series)) {
    model::SampleColumns samples;
    REQUIRE(DecodeChunks(series.chunks, kAllTime, &samples).ok());
    for (std::size_t i = 0; i < samples.size(); ++i) {
      absl::StrAppend(&text, text.empty() ? "" : " ",
                      (samples.timestamps_ms[i] - kStart) / 1000, "=");
      if (!samples.histograms.empty() && samples.histograms[i] != nullptr) {
        absl::StrAppend(&text, "h", samples.histograms[i]->count);
      } else if (model::IsStaleNan(samples.values[i])) {
        absl::StrAppend(&text, "stale");
      } else {
        absl::StrAppend(&text, samples.values[i]);
      }
    }
  }
  REQUIRE((*set)->status().ok());
  return text;
}

}  // namespace

TEST_CASE("histograms are stored, found and outlive a restart") {
  DbFixture fixture;
  CHECK(AppendHistogram(fixture, kLatency, kStart, IntOf(1, 1)) == 0);
  CHECK(AppendHistogram(fixture, kLatency, kStart + 1000, IntOf(2, 3)) == 0);
  const model::Labels other({{"__name__", "other"}});
  CHECK(AppendHistogram(fixture, other, kStart + 1000, FloatOf(2, 3)) == 0);
  CHECK(Show(fixture, kLatency) == "0=h2 1=h5");
  CHECK(Show(fixture, other) == "1=h5");
  fixture.Reopen();
  CHECK(Show(fixture, kLatency) == "0=h2 1=h5");
  CHECK(Show(fixture, other) == "1=h5");
}

TEST_CASE("the order of samples holds across floats and histograms") {
  constexpr int kDuplicate =
      static_cast<int>(storage::RejectReason::kDuplicate);
  constexpr int kOld = static_cast<int>(storage::RejectReason::kOutOfOrder);
  DbFixture fixture;
  CHECK(fixture.AppendOne(kLatency, kStart, 1.5) == 0);
  CHECK(AppendHistogram(fixture, kLatency, kStart, IntOf(1, 1)) == kDuplicate);
  CHECK(AppendHistogram(fixture, kLatency, kStart - 1, IntOf(1, 1)) == kOld);
  CHECK(AppendHistogram(fixture, kLatency, kStart + 1000, IntOf(1, 1)) == 0);
  CHECK(AppendHistogram(fixture, kLatency, kStart + 1000, IntOf(1, 1)) == 0);
  CHECK(AppendHistogram(fixture, kLatency, kStart + 1000, IntOf(1, 2)) ==
        kDuplicate);
  CHECK(fixture.AppendOne(kLatency, kStart + 1000, 2) == kDuplicate);
  CHECK(fixture.AppendOne(kLatency, kStart + 500, 2) == kOld);
  CHECK(fixture.AppendOne(kLatency, kStart + 2000, 2) == 0);
  CHECK(AppendHistogram(fixture, kLatency, kStart + 3000, FloatOf(1, 1)) == 0);
  CHECK(AppendHistogram(fixture, kLatency, kStart + 4000, IntOf(2, 2)) == 0);
  const std::string all = "0=1.5 1=h2 2=2 3=h2 4=h4";
  CHECK(Show(fixture, kLatency) == all);
  fixture.Reopen();
  CHECK(Show(fixture, kLatency) == all);
}

TEST_CASE("a float marker ends a series of histograms") {
  for (const bool integer : {true, false}) {
    INFO(integer);
    DbFixture fixture;
    const auto value = [&](std::int64_t count) {
      return integer ? IntOf(count, count) : FloatOf(count, count);
    };
    CHECK(AppendHistogram(fixture, kLatency, kStart, value(1)) == 0);
    CHECK(fixture.AppendOne(kLatency, kStart + 1000, model::StaleNan()) == 0);
    CHECK(AppendHistogram(fixture, kLatency, kStart + 2000, value(3)) == 0);
    CHECK(Show(fixture, kLatency) == "0=h2 1=stale 2=h6");
    fixture.Reopen();
    CHECK(Show(fixture, kLatency) == "0=h2 1=stale 2=h6");
  }
}

TEST_CASE("a histogram that contradicts itself is refused") {
  DbFixture fixture;
  auto bad = std::make_shared<model::IntHistogram>(MakeHistogram({{0, 1}}));
  bad->count = 7;
  CHECK(AppendHistogram(fixture, kLatency, kStart, {bad, nullptr}) ==
        static_cast<int>(storage::RejectReason::kInvalid));
  CHECK(Show(fixture, kLatency).empty());
}

TEST_CASE("histograms go into blocks with the floats beside them") {
  DbFixture fixture;
  std::string expected;
  std::int64_t count = 0;
  for (std::int64_t t = 0; t < 4 * 3600; t += 30) {
    const std::int64_t time = kStart + t * 1000;
    absl::StrAppend(&expected, expected.empty() ? "" : " ", t, "=");
    if (t % 3000 == 0) {
      CHECK(fixture.AppendOne(kLatency, time, static_cast<double>(t)) == 0);
      absl::StrAppend(&expected, t);
    } else {
      // Now and then the counter starts anew.
      count = t % 1110 == 0 ? 1 : count + 3;
      CHECK(AppendHistogram(fixture, kLatency, time, IntOf(count, count)) == 0);
      absl::StrAppend(&expected, "h", 2 * count);
    }
  }
  CHECK(Show(fixture, kLatency) == expected);
  REQUIRE(fixture.db().CompactIfDue().ok());
  CHECK(fixture.db().Blocks().size() == 1);
  CHECK(Show(fixture, kLatency) == expected);
  fixture.Reopen();
  CHECK(Show(fixture, kLatency) == expected);
  REQUIRE(fixture.db().Flush().ok());
  CHECK(Show(fixture, kLatency) == expected);
}

TEST_CASE("full chunks of histograms leave memory and read as before") {
  DbFixture fixture;
  std::string expected;
  for (std::int64_t t = 0; t < 90 * 60; t += 15) {
    const std::int64_t count = 7 * t % 1000 + t;
    REQUIRE(AppendHistogram(fixture, kLatency, kStart + t * 1000,
                            IntOf(count, t)) == 0);
    absl::StrAppend(&expected, expected.empty() ? "" : " ", t, "=h", count + t);
  }
  REQUIRE(fixture.db().MoveFullChunks().ok());
  // Those of the chunk files, in Prometheus's format, are the same.
  std::size_t moved = 0;
  REQUIRE(ReadHeadChunks(fixture.path() + "/chunks_head/000001",
                         [&moved](const HeadChunk& chunk) {
                           CHECK(chunk.encoding ==
                                 storage::Encoding::kHistogram);
                           CHECK(!chunk.out_of_order);
                           ++moved;
                           return absl::OkStatus();
                         })
              .ok());
  CHECK(moved >= 2);
  CHECK(Show(fixture, kLatency) == expected);
  REQUIRE(fixture.db().MoveFullChunks().ok());
  REQUIRE(AppendHistogram(fixture, kLatency, kStart + 5400 * 1000,
                          IntOf(9000, 9000)) == 0);
  absl::StrAppend(&expected, " 5400=h18000");
  CHECK(Show(fixture, kLatency) == expected);
  fixture.Reopen();
  CHECK(Show(fixture, kLatency) == expected);
  REQUIRE(fixture.db().Flush().ok());
  CHECK(Show(fixture, kLatency) == expected);
}

TEST_CASE("histograms out of order are taken within the window") {
  constexpr int kTooOld = static_cast<int>(storage::RejectReason::kTooOld);
  DbOptions options;
  options.out_of_order_window_ms = 3 * 3600 * 1000;
  options.out_of_order_cap_max = 4;
  options.retention.time_ms = 0;
  DbFixture fixture(options);
  const auto at = [](std::int64_t second) { return kStart + second * 1000; };
  CHECK(AppendHistogram(fixture, kLatency, at(100), IntOf(9, 9)) == 0);
  CHECK(AppendHistogram(fixture, kLatency, at(50), IntOf(4, 4)) == 0);
  CHECK(AppendHistogram(fixture, kLatency, at(60), FloatOf(5, 5)) == 0);
  CHECK(fixture.AppendOne(kLatency, at(55), 1.5) == 0);
  CHECK(AppendHistogram(fixture, kLatency, at(40), IntOf(3, 3)) == 0);
  CHECK(AppendHistogram(fixture, kLatency, at(70), IntOf(6, 6)) == 0);
  CHECK(AppendHistogram(fixture, kLatency, at(-7200), IntOf(1, 1)) == 0);
  CHECK(AppendHistogram(fixture, kLatency, at(100 - 3 * 3600 - 1),
                        IntOf(1, 1)) == kTooOld);
  const std::string all = "-7200=h2 40=h6 50=h8 55=1.5 60=h10 70=h12 100=h18";
  CHECK(Show(fixture, kLatency) == all);
  SECTION("after a restart") {
    fixture.Reopen();
    CHECK(Show(fixture, kLatency) == all);
  }
  SECTION("when full chunks left memory") {
    REQUIRE(fixture.db().MoveFullChunks().ok());
    CHECK(Show(fixture, kLatency) == all);
    fixture.Reopen();
    CHECK(Show(fixture, kLatency) == all);
  }
  SECTION("in blocks") {
    REQUIRE(fixture.db().CompactOutOfOrder().ok());
    CHECK(fixture.db().Blocks().size() == 2);
    CHECK(Show(fixture, kLatency) == all);
    REQUIRE(fixture.db().Flush().ok());
    CHECK(Show(fixture, kLatency) == all);
    REQUIRE(fixture.db().CompactIfDue().ok());
    fixture.Reopen();
    CHECK(Show(fixture, kLatency) == all);
  }
  SECTION("but for those deleted") {
    REQUIRE(
        fixture.db()
            .DeleteSeries({at(45), at(60)}, {model::Matcher::Equal("job", "a")})
            .ok());
    REQUIRE(fixture.db().CompactOutOfOrder().ok());
    CHECK(Show(fixture, kLatency) == "-7200=h2 40=h6 70=h12 100=h18");
  }
}

TEST_CASE("of histograms in a batch out of order in itself all are kept") {
  DbOptions options;
  options.out_of_order_window_ms = 3600 * 1000;
  DbFixture fixture(options);
  const storage::SeriesRef ref = RefOf(fixture, kLatency);
  std::vector<RefHistogram> histograms;
  for (const int i : {5, 3, 9, 1}) {
    histograms.push_back({ref, kStart + i * 1000, 0, IntOf(i, i)});
  }
  AppendBatch batch;
  batch.histograms = histograms;
  std::vector<storage::Rejection> rejected;
  REQUIRE(fixture.db().Append(batch, &rejected).ok());
  CHECK(rejected.empty());
  CHECK(Show(fixture, kLatency) == "1=h2 3=h6 5=h10 9=h18");
  fixture.Reopen();
  CHECK(Show(fixture, kLatency) == "1=h2 3=h6 5=h10 9=h18");
}

TEST_CASE("deleted histograms are gone from the head and from blocks") {
  DbFixture fixture;
  for (std::int64_t t = 0; t < 10; ++t) {
    CHECK(AppendHistogram(fixture, kLatency, kStart + t * 1000,
                          IntOf(t + 1, t + 1)) == 0);
  }
  REQUIRE(fixture.db()
              .DeleteSeries({kStart + 2000, kStart + 7000},
                            {model::Matcher::Equal("job", "a")})
              .ok());
  CHECK(Show(fixture, kLatency) == "0=h2 1=h4 8=h18 9=h20");
  fixture.Reopen();
  CHECK(Show(fixture, kLatency) == "0=h2 1=h4 8=h18 9=h20");
  REQUIRE(fixture.db().Flush().ok());
  CHECK(Show(fixture, kLatency) == "0=h2 1=h4 8=h18 9=h20");
}

TEST_CASE("a batch is numbered through, whatever it holds") {
  DbOptions options;
  options.max_exemplars = 10;
  DbFixture fixture(options);
  const storage::SeriesRef ref = RefOf(fixture, kLatency);
  const std::vector<RefSample> samples = {{99, kStart, 1}};
  const std::vector<RefHistogram> histograms = {
      {ref, kStart + 1000, 0, IntOf(1, 1)}, {ref, kStart, 0, IntOf(1, 1)}};
  const std::vector<RefExemplar> exemplars = {
      {ref, kStart, 0.5, model::Labels({{"trace_id", "x"}})},
      {ref, kStart, 0.25,
       model::Labels({{"trace_id", std::string(200, 'y')}})}};
  std::vector<storage::Rejection> rejected;
  REQUIRE(fixture.db()
              .Append(AppendBatch{samples, {}, histograms, exemplars, {}},
                      &rejected)
              .ok());
  REQUIRE(rejected.size() == 3);
  CHECK(rejected[0].index == 0);
  CHECK(rejected[0].reason == storage::RejectReason::kUnknownSeries);
  CHECK(rejected[1].index == 2);
  CHECK(rejected[1].reason == storage::RejectReason::kOutOfOrder);
  CHECK(rejected[2].index == 4);
  CHECK(rejected[2].reason == storage::RejectReason::kInvalid);
}

TEST_CASE("exemplars outlive a restart") {
  DbOptions options;
  options.max_exemplars = 10;
  DbFixture fixture(options);
  const storage::SeriesRef ref = RefOf(fixture, kLatency);
  const std::vector<RefHistogram> histograms = {{ref, kStart, 0, IntOf(1, 1)}};
  const std::vector<RefExemplar> exemplars = {
      {ref, kStart - 5, 0.5, model::Labels({{"trace_id", "x"}})}};
  std::vector<storage::Rejection> rejected;
  REQUIRE(fixture.db()
              .Append(AppendBatch{{}, {}, histograms, exemplars, {}}, &rejected)
              .ok());
  CHECK(rejected.empty());
  for (int i = 0; i < 2; ++i) {
    const auto found = fixture.db().SelectExemplars(
        kAllTime, {{model::Matcher::Equal("job", "a")}});
    REQUIRE(found.size() == 1);
    CHECK(found[0].labels == kLatency);
    REQUIRE(found[0].exemplars.size() == 1);
    CHECK(found[0].exemplars[0].labels.Get("trace_id") == "x");
    CHECK(found[0].exemplars[0].value == 0.5);
    CHECK(found[0].exemplars[0].timestamp_ms == kStart - 5);
    fixture.Reopen();
  }
}

TEST_CASE("series of histograms that ended leave the head for one block") {
  DbOptions options;
  options.stale_threshold = 0.1;
  DbFixture fixture(options);
  const model::Labels turned({{"__name__", "turned"}});
  REQUIRE(fixture.AppendOne(turned, kStart, 1) == 0);
  REQUIRE(fixture.AppendOne(turned, kStart + 1000, model::StaleNan()) == 0);
  for (const model::Labels& labels : {turned, kLatency}) {
    REQUIRE(AppendHistogram(fixture, labels, kStart + 2000, IntOf(1, 1)) == 0);
    REQUIRE(AppendHistogram(fixture, labels, kStart + 3000, IntOf(2, 3)) == 0);
  }
  // One of them goes on.
  REQUIRE(fixture.AppendOne(kLatency, kStart + 4000, model::StaleNan()) == 0);
  for (int i = 0; i < 3; ++i) REQUIRE(fixture.db().Maintain().ok());
  CHECK(fixture.db().Blocks().size() == 1);
  const std::string text = fixture.registry().Expose();
  CHECK(text.find("\nprometheus_tsdb_head_series 1\n") != std::string::npos);
  CHECK(text.find("\nprometheus_tsdb_head_stale_series 0\n") !=
        std::string::npos);
  for (int i = 0; i < 2; ++i) {
    CHECK(Show(fixture, kLatency) == "2=h2 3=h5 4=stale");
    CHECK(Show(fixture, turned) == "0=1 1=stale 2=h2 3=h5");
    fixture.Reopen();
  }
}

}  // namespace narthex::tsdb
