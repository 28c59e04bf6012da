#include "libs/tsdb/block_fixture.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "libs/model/sample.h"
#include "libs/tsdb/block_writer.h"
#include "libs/tsdb/chunk_series.h"

namespace narthex::tsdb {

std::shared_ptr<Block> WriteBlock(const std::string& directory,
                                  const SeriesModel& data, std::int64_t min_ms,
                                  std::int64_t max_ms, int samples_per_chunk) {
  BlockMeta meta;
  meta.ulid = Ulid::New(max_ms);
  meta.min_ms = min_ms;
  meta.max_ms = max_ms;
  auto writer = BlockWriter::Create(directory, meta);
  REQUIRE(writer.ok());
  for (const auto& [labels, samples] : data) {
    model::SampleColumns columns;
    for (const auto& [time, value] : samples) columns.Append(time, value);
    std::vector<storage::Chunk> chunks;
    EncodeChunks(columns, samples_per_chunk, &chunks);
    REQUIRE((*writer)->AddSeries(labels, chunks).ok());
  }
  const auto written = (*writer)->Finish();
  REQUIRE(written.ok());
  auto block = Block::Open(directory + "/" + written->ulid.ToString());
  INFO(block.status());
  REQUIRE(block.ok());
  return *block;
}

SeriesModel ReadAll(std::unique_ptr<storage::ChunkSeriesSet> set,
                    const storage::TimeRange& range) {
  SeriesModel all;
  const auto decoded = DecodeSeriesSet(std::move(set), range);
  while (decoded->Next()) {
    const auto series = decoded->At();
    REQUIRE((all.empty() || all.rbegin()->first < series->labels()));
    model::SampleColumns samples;
    REQUIRE(series->Read(&samples).ok());
    REQUIRE(std::is_sorted(samples.timestamps_ms.begin(),
                           samples.timestamps_ms.end()));
    for (std::size_t i = 0; i < samples.size(); ++i) {
      all[series->labels()][samples.timestamps_ms[i]] = samples.values[i];
    }
  }
  INFO(decoded->status());
  REQUIRE(decoded->status().ok());
  return all;
}

SeriesModel Filter(const SeriesModel& data, const storage::TimeRange& range,
                   const std::vector<model::Matcher>& matchers) {
  SeriesModel kept;
  for (const auto& [labels, samples] : data) {
    if (!model::MatchesAll(matchers, labels)) continue;
    for (const auto& [time, value] : samples) {
      if (time < range.min_ms || time > range.max_ms) continue;
      kept[labels][time] = value;
    }
  }
  return kept;
}

model::Matcher Match(absl::string_view name, absl::string_view op,
                     absl::string_view value) {
  for (const auto type :
       {model::MatchType::kEqual, model::MatchType::kNotEqual,
        model::MatchType::kRegex, model::MatchType::kNotRegex}) {
    if (model::MatchOperator(type) != op) continue;
    auto matcher = model::Matcher::Create(type, name, value);
    REQUIRE(matcher.ok());
    return *matcher;
  }
  FAIL("no such operator: " << op);
  return model::Matcher::Equal(name, value);
}

}  // namespace narthex::tsdb
