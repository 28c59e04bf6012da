#include "libs/tsdb/conformance_fixture.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "libs/base/file.h"
#include "libs/base/float_format.h"
#include "libs/model/sample.h"
#include "libs/tsdb/chunk_series.h"

namespace narthex::tsdb {
namespace {

using Json = nlohmann::json;

double ValueOf(const std::string& text) {
  return text == "stale" ? model::StaleNan() : *base::ParseFloat(text);
}

model::Labels LabelsOf(const Json& series) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& [name, value] : series["labels"].items()) {
    pairs.emplace_back(name, value);
  }
  return model::Labels(pairs);
}

std::vector<model::BucketSpan> SpansOf(const Json& spans) {
  std::vector<model::BucketSpan> result;
  for (const Json& span : spans) {
    result.push_back(
        {span[0].get<std::int32_t>(), span[1].get<std::uint32_t>()});
  }
  return result;
}

HistogramFacts ReadFacts(const Json& expected) {
  HistogramFacts stale;
  stale.stale = true;
  if (expected["sum"] == "stale") return stale;
  model::FloatHistogram histogram;
  histogram.schema = expected["schema"];
  histogram.count = expected["count"];
  histogram.sum = expected["sum"];
  histogram.zero_threshold = expected["zero_threshold"];
  histogram.zero_count = expected["zero_count"];
  histogram.positive_spans = SpansOf(expected["positive_spans"]);
  histogram.negative_spans = SpansOf(expected["negative_spans"]);
  histogram.positive_buckets =
      expected["positive_buckets"].get<std::vector<double>>();
  histogram.negative_buckets =
      expected["negative_buckets"].get<std::vector<double>>();
  histogram.custom_bounds =
      expected["custom_values"].get<std::vector<double>>();
  if (expected["gauge"]) {
    histogram.counter_reset = model::CounterReset::kGauge;
  }
  return FactsOf(histogram);
}

/// Calls `visit` with labels, time and value of every sample of a kind.
template <typename Visit>
void ForEachExpected(const std::string& path, const storage::TimeRange& range,
                     const char* kind, Visit visit) {
  const Json content = Json::parse(*base::ReadFile(path));
  for (const Json& series : content["series"]) {
    for (const Json& sample : series.value(kind, Json::array())) {
      const auto time = sample[0].get<std::int64_t>();
      if (time < range.min_ms || time > range.max_ms) continue;
      visit(LabelsOf(series), time, sample[1]);
    }
  }
}

}  // namespace

std::string ConformanceDirectory() {
  const char* shared = std::getenv("NARTHEX_SHARED");
  const std::string root = shared != nullptr ? shared : NARTHEX_SHARED_DEFAULT;
  std::string directory = root + "/conformance/tsdb";
  if (base::Exists(directory)) return directory;
  WARN("no conformance data at " << directory);
  return "";
}

std::string ValueKey(double value) {
  return model::IsStaleNan(value) ? "stale" : base::FormatFloat(value);
}

FloatTexts ExpectedFloats(const std::string& path,
                          const storage::TimeRange& range) {
  FloatTexts expected;
  ForEachExpected(
      path, range, "floats",
      [&](const model::Labels& labels, std::int64_t time, const Json& value) {
        expected[labels][time] = ValueKey(ValueOf(value));
      });
  return expected;
}

SeriesFacts ExpectedHistograms(const std::string& path,
                               const storage::TimeRange& range) {
  SeriesFacts expected;
  ForEachExpected(
      path, range, "histograms",
      [&](const model::Labels& labels, std::int64_t time, const Json& value) {
        expected[labels][time] = ReadFacts(value);
      });
  return expected;
}

void ReadSamples(storage::ChunkSeriesSet& set, FloatTexts* floats,
                 SeriesFacts* histograms) {
  storage::ChunkSeries series;
  while (set.Next(&series)) {
    model::SampleColumns samples;
    const absl::Status status = DecodeChunks(
        series.chunks, {model::kMinTime, model::kMaxTime}, &samples);
    INFO(series.labels.ToString() << ": " << status);
    REQUIRE(status.ok());
    if (!samples.histograms.empty()) {
      (*histograms)[series.labels].merge(FactsOf(samples));
      continue;
    }
    for (std::size_t i = 0; i < samples.size(); ++i) {
      (*floats)[series.labels][samples.timestamps_ms[i]] =
          ValueKey(samples.values[i]);
    }
  }
  INFO(set.status());
  REQUIRE(set.status().ok());
}

}  // namespace narthex::tsdb
