#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/file.h"
#include "libs/base/float_format.h"
#include "libs/base/log.h"
#include "libs/tsdb/block.h"
#include "libs/tsdb/block_writer.h"
#include "libs/tsdb/chunk_header.h"
#include "libs/tsdb/histogram_chunk.h"
#include "libs/tsdb/histogram_fixture.h"
#include "libs/tsdb/histogram_layout.h"
#include "libs/tsdb/metrics.h"
#include "libs/tsdb/peer_fixture.h"
#include "libs/tsdb/wal.h"
#include "libs/tsdb/wal_histogram_records.h"
#include "libs/tsdb/wal_records.h"

namespace narthex::tsdb {
namespace {

constexpr std::int64_t kStart = 1700006400000;
constexpr std::int64_t kMinute = 60 * 1000;
constexpr std::int64_t kTwoHours = 120 * kMinute;
constexpr storage::TimeRange kAll = {model::kMinTime, model::kMaxTime};

/// Samples by the series' label `kind`.
using Samples = std::map<std::string, std::vector<StoredSample>>;

model::IntHistogram WithCustomBounds(std::int64_t i) {
  model::IntHistogram histogram;
  histogram.schema = model::kCustomBoundsSchema;
  histogram.custom_bounds = {0.005, 0.5, 1.0 / 3 + 1, 40000};
  if (i % 50 > 25) histogram.custom_bounds.push_back(50000);
  histogram.positive_spans = {{0, 2}, {1, 1}};
  histogram.positive_deltas = {i, 1, i};
  histogram.count = static_cast<std::uint64_t>(4 * i + 2);
  histogram.sum = 0.25 * static_cast<double>(i * i);
  return histogram;
}

/// Histograms of every kind, one each a minute.
Samples SomeHistograms(std::int64_t start_ms, int minutes) {
  Samples samples;
  RandomHistograms counters(1, /*gauge=*/false);
  RandomHistograms gauges(2, /*gauge=*/true);
  RandomHistograms float_counters(3, /*gauge=*/false);
  RandomHistograms float_gauges(4, /*gauge=*/true);
  for (int i = 0; i < minutes; ++i) {
    const auto add = [&](const std::string& kind,
                         const model::IntHistogram& histogram, bool floats) {
      StoredSample sample;
      sample.timestamp_ms = start_ms + i * kMinute;
      if (floats) {
        model::FloatHistogram half = histogram.ToFloat();
        for (auto& count : half.positive_buckets) count /= 2;
        for (auto& count : half.negative_buckets) count /= 2;
        half.count /= 2;
        half.zero_count /= 2;
        sample.histogram.floating =
            std::make_shared<const model::FloatHistogram>(half);
      } else {
        sample.histogram.integer =
            std::make_shared<const model::IntHistogram>(histogram);
      }
      samples[kind].push_back(std::move(sample));
    };
    add("counter", counters.Next(), false);
    add("gauge", gauges.Next(), false);
    add("custom", WithCustomBounds(i), false);
    add("float_counter", float_counters.Next(), true);
    add("float_gauge", float_gauges.Next(), true);
    add("float_custom", WithCustomBounds(i), true);
  }
  return samples;
}

model::Labels LabelsOf(const std::string& kind) {
  return {{"__name__", "h"}, {"kind", kind}};
}

void WriteAsBlock(const std::string& directory, const Samples& samples) {
  BlockMeta meta;
  meta.ulid = Ulid::New(1);
  meta.min_ms = kStart;
  meta.max_ms = kStart + kTwoHours;
  auto writer = BlockWriter::Create(directory, meta);
  REQUIRE(writer.ok());
  for (const auto& [kind, list] : samples) {
    std::vector<storage::Chunk> chunks;
    EncodeStored(list, 40, &chunks);
    REQUIRE((*writer)->AddSeries(LabelsOf(kind), chunks).ok());
  }
  REQUIRE((*writer)->Finish().ok());
}

void WriteAsLog(const std::string& directory, const Samples& samples) {
  metrics::Registry registry;
  TsdbMetrics metrics(registry);
  auto wal =
      Wal::Open(directory + "/wal", {}, base::Logger::Discard(), metrics.wal);
  REQUIRE(wal.ok());
  std::vector<RefSeries> series;
  std::vector<RefHistogram> histograms;
  for (const auto& [kind, list] : samples) {
    series.push_back({series.size() + 1, LabelsOf(kind)});
    for (const StoredSample& sample : list) {
      RefHistogram one;
      one.ref = series.back().ref;
      one.timestamp_ms = sample.timestamp_ms;
      one.value = sample.histogram;
      histograms.push_back(std::move(one));
    }
  }
  std::vector<std::string> records(1);
  EncodeSeries(series, &records[0]);
  EncodeHistograms(histograms, &records);
  REQUIRE((*wal)->Log(records).ok());
  REQUIRE((*wal)->Close().ok());
}

/// What a dump says of a histogram, with its counts in the order of buckets.
std::string LineOf(const std::string& kind, std::int64_t time, double count,
                   double sum, const std::vector<double>& buckets) {
  std::string line =
      absl::StrCat(kind, " ", time, " ", count, " ", base::FormatFloat(sum));
  for (const double bucket : buckets) absl::StrAppend(&line, " ", bucket);
  return line;
}

std::vector<std::string> LinesOf(const Samples& samples) {
  std::vector<std::string> lines;
  for (const auto& [kind, list] : samples) {
    for (const StoredSample& sample : list) {
      const HistogramFacts facts = FactsOf(sample);
      std::vector<double> buckets;
      for (auto it = facts.negative.rbegin(); it != facts.negative.rend();
           ++it) {
        buckets.push_back(it->second);
      }
      if (facts.zero_count != 0) buckets.push_back(facts.zero_count);
      for (const auto& [index, bucket] : facts.positive) {
        buckets.push_back(bucket);
      }
      lines.push_back(LineOf(kind, sample.timestamp_ms, facts.count,
                             facts.stale ? model::StaleNan() : facts.sum,
                             buckets));
    }
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

double NumberAfter(absl::string_view text, absl::string_view key) {
  const std::size_t at = text.find(key);
  REQUIRE(at != absl::string_view::npos);
  text.remove_prefix(at + key.size());
  const auto number =
      base::ParseFloat(text.substr(0, text.find_first_of(",}")));
  REQUIRE(number.ok());
  return *number;
}

/// {__name__="h", kind="x"} {count:3, sum:4.5, (0.5,1]:2, (1,2]:1}
/// 1700006400000
std::string ParseDumped(absl::string_view line) {
  const std::size_t middle = line.find("} {");
  const std::size_t end = line.rfind(' ');
  REQUIRE(middle != absl::string_view::npos);
  const absl::string_view labels = line.substr(0, middle);
  const absl::string_view histogram = line.substr(middle + 2, end - middle - 2);
  const std::size_t kind = labels.find("kind=\"") + 6;
  std::vector<double> buckets;
  for (std::size_t at = 0; at + 1 < histogram.size(); ++at) {
    const bool bucket = (histogram[at] == ']' || histogram[at] == ')') &&
                        histogram[at + 1] == ':';
    if (!bucket) continue;
    const double count =
        NumberAfter(histogram.substr(at), histogram.substr(at, 2));
    if (count != 0) buckets.push_back(count);
  }
  std::int64_t time = 0;
  REQUIRE(absl::SimpleAtoi(line.substr(end + 1), &time));
  return LineOf(std::string(labels.substr(kind, labels.rfind('"') - kind)),
                time, NumberAfter(histogram, "count:"),
                NumberAfter(histogram, "sum:"), buckets);
}

TEST_CASE("promtool reads histograms that we wrote to blocks and to the log") {
  const std::string promtool = PeerProgram("promtool");
  if (promtool.empty()) return;
  const base::TemporaryDirectory directory;
  Samples all = SomeHistograms(kStart, 120);
  WriteAsBlock(directory.path(), all);
  const Samples logged = SomeHistograms(kStart + kTwoHours, 60);
  WriteAsLog(directory.path(), logged);
  for (const auto& [kind, list] : logged) {
    all[kind].insert(all[kind].end(), list.begin(), list.end());
  }
  std::vector<std::string> dumped;
  for (const auto line : absl::StrSplit(
           RunCommand(absl::StrCat(promtool, " tsdb dump ", directory.path())),
           '\n')) {
    if (absl::StartsWith(line, "{")) dumped.push_back(ParseDumped(line));
  }
  std::sort(dumped.begin(), dumped.end());
  // The dump of promtool 3.5 skips up to two histograms of each series.
  const std::vector<std::string> expected = LinesOf(all);
  CHECK(dumped.size() + 2 * all.size() >= expected.size());
  for (const std::string& line : dumped) {
    INFO(line);
    REQUIRE(std::binary_search(expected.begin(), expected.end(), line));
  }
  CHECK(absl::StrContains(
      RunCommand(absl::StrCat(promtool, " tsdb list ", directory.path())),
      "720"));
  CHECK(absl::StrContains(
      RunCommand(absl::StrCat(promtool, " tsdb analyze ", directory.path())),
      "Total Series: 6"));
}

/// Whether a chunk names buckets twice, as Prometheus does by mistake.
bool NamesTwice(const storage::Chunk& chunk) {
  BitCursor in(chunk.bytes.substr(3));
  model::HistogramLayout layout;
  REQUIRE(ReadHistogramLayout(&in, &layout).ok());
  return IsCrooked(layout.positive_spans) || IsCrooked(layout.negative_spans);
}

/// Feeds the samples that `theirs` holds to a chunk of ours and compares.
template <typename EncodedChunk, typename Get>
void CheckSameChunk(const storage::Chunk& theirs,
                    const std::vector<StoredSample>& samples, Get get,
                    std::optional<EncodedChunk>* before) {
  std::optional<EncodedChunk> ours;
  for (const StoredSample& sample : samples) {
    if (sample.timestamp_ms < theirs.min_ms) continue;
    if (sample.timestamp_ms > theirs.max_ms) break;
    const auto& histogram = get(sample);
    if (!ours.has_value()) {
      ours.emplace(sample.timestamp_ms, histogram,
                   before->has_value() ? &**before : nullptr);
    } else {
      REQUIRE_FALSE(ours->Append(sample.timestamp_ms, histogram).has_value());
    }
  }
  REQUIRE(ours.has_value());
  // What they say of a reset before the chunk may be less than we know.
  std::string bytes(theirs.bytes);
  bytes[2] = ours->bytes()[2];
  if (!NamesTwice(theirs)) CHECK(ours->bytes() == bytes);
  *before = std::move(ours);
}

TEST_CASE("Prometheus encodes logged histograms into the chunks we would") {
  const std::string program = PeerProgram("prometheus");
  if (program.empty()) return;
  const base::TemporaryDirectory directory;
  const std::string data = directory.path() + "/data";
  const Samples samples = SomeHistograms(kStart, 60);
  WriteAsLog(data, samples);
  const RunningPrometheus prometheus(program, data);
  INFO(prometheus.Log());
  CHECK(absl::StrContains(prometheus.Get("/api/v1/query?time=1700009940&query="
                                         "count(count_over_time(h%5B1h%5D))"),
                          "\"6\"]"));
  const auto answer =
      nlohmann::json::parse(prometheus.Post("/api/v1/admin/tsdb/snapshot"));
  INFO(answer.dump());
  const std::string snapshot =
      data + "/snapshots/" + answer["data"]["name"].get<std::string>();
  int chunks = 0;
  const auto names = base::ListDirectory(snapshot);
  REQUIRE(names.ok());
  for (const std::string& name : *names) {
    if (!Ulid::Parse(name).ok()) continue;
    const auto block = Block::Open(snapshot + "/" + name);
    REQUIRE(block.ok());
    CHECK((*block)->meta().stats.samples == 360);
    auto set = *(*block)->SelectAll();
    storage::ChunkSeries series;
    while (set->Next(&series)) {
      const std::string kind(series.labels.Get("kind"));
      INFO(kind);
      std::optional<HistogramChunk> before;
      std::optional<FloatHistogramChunk> float_before;
      std::size_t found = 0;
      for (const storage::Chunk& chunk : series.chunks) {
        INFO(chunk.min_ms);
        ++chunks;
        std::vector<StoredSample> decoded;
        REQUIRE(DecodeStored(chunk, kAll, &decoded).ok());
        for (const StoredSample& sample : decoded) {
          const auto& written = samples.at(kind)[static_cast<std::size_t>(
              (sample.timestamp_ms - kStart) / kMinute)];
          REQUIRE(FactsOf(sample) == FactsOf(written));
        }
        found += static_cast<std::size_t>(
            *ChunkSampleCount(chunk.encoding, chunk.bytes));
        if (chunk.encoding == storage::Encoding::kHistogram) {
          CheckSameChunk(
              chunk, samples.at(kind),
              [](const StoredSample& sample) -> const auto& {
                return *sample.histogram.integer;
              },
              &before);
        } else {
          CheckSameChunk(
              chunk, samples.at(kind),
              [](const StoredSample& sample) -> const auto& {
                return *sample.histogram.floating;
              },
              &float_before);
        }
      }
      CHECK(found == samples.at(kind).size());
    }
    CHECK(set->status().ok());
  }
  CHECK(chunks >= 20);
}

}  // namespace
}  // namespace narthex::tsdb
