#include <catch2/catch.hpp>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>

#include "libs/base/file.h"
#include "libs/tsdb/block.h"
#include "libs/tsdb/block_fixture.h"
#include "libs/tsdb/block_writer.h"
#include "libs/tsdb/conformance_fixture.h"
#include "libs/tsdb/head_chunk_reader.h"
#include "libs/tsdb/histogram_chunk.h"

namespace narthex::tsdb {
namespace {

namespace fs = std::filesystem;
constexpr storage::TimeRange kAll = {model::kMinTime, model::kMaxTime};

std::vector<std::shared_ptr<Block>> OpenBlocks(const std::string& directory) {
  std::vector<std::shared_ptr<Block>> blocks;
  const auto names = base::ListDirectory(directory);
  REQUIRE(names.ok());
  for (const std::string& name : *names) {
    if (!Ulid::Parse(name).ok()) continue;
    auto block = Block::Open(directory + "/" + name);
    INFO(block.status());
    REQUIRE(block.ok());
    blocks.push_back(*block);
  }
  return blocks;
}

TEST_CASE("blocks of Prometheus hold the samples they should") {
  const std::string data = ConformanceDirectory();
  if (data.empty()) return;
  for (const std::string name : {"golden", "from_openmetrics"}) {
    INFO(name);
    const auto blocks = OpenBlocks(data + "/" + name);
    REQUIRE(blocks.size() == 2);
    FloatTexts floats;
    SeriesFacts histograms;
    for (const auto& block : blocks) {
      ReadSamples(**block->SelectAll(), &floats, &histograms);
    }
    const storage::TimeRange range{blocks[0]->min_ms(),
                                   blocks[1]->max_ms() - 1};
    const std::string expected = data + "/" + name + ".EXPECT.json";
    CHECK(floats == ExpectedFloats(expected, range));
    CHECK(histograms == ExpectedHistograms(expected, range));
    CHECK(histograms.size() == (name == "golden" ? 5 : 0));
  }
}

/// Encodes the samples of a chunk anew, after `before` when that precedes it.
HistogramChunk EncodeAgain(absl::string_view bytes,
                           const HistogramChunk* before) {
  std::vector<StoredSample> samples;
  REQUIRE(
      DecodeHistogramChunk(storage::Encoding::kHistogram, bytes, kAll, &samples)
          .ok());
  HistogramChunk chunk(samples[0].timestamp_ms, *samples[0].histogram.integer,
                       before);
  for (std::size_t i = 1; i < samples.size(); ++i) {
    REQUIRE_FALSE(
        chunk.Append(samples[i].timestamp_ms, *samples[i].histogram.integer)
            .has_value());
  }
  return chunk;
}

/// The bytes but for what the header says of a reset before the chunk.
std::string WithoutReset(absl::string_view bytes) {
  std::string copy(bytes);
  copy[2] = '\0';
  return copy;
}

TEST_CASE("histograms encoded anew have the bytes that Prometheus wrote") {
  const std::string data = ConformanceDirectory();
  if (data.empty()) return;
  int chunks = 0;
  for (const auto& block : OpenBlocks(data + "/golden")) {
    auto set = *block->SelectAll();
    storage::ChunkSeries series;
    while (set->Next(&series)) {
      std::optional<HistogramChunk> before;
      for (const storage::Chunk& chunk : series.chunks) {
        if (chunk.encoding != storage::Encoding::kHistogram) continue;
        INFO(series.labels.ToString() << " at " << chunk.min_ms);
        HistogramChunk again =
            EncodeAgain(chunk.bytes, before ? &*before : nullptr);
        CHECK(WithoutReset(again.bytes()) == WithoutReset(chunk.bytes));
        if (before) CHECK(again.bytes() == chunk.bytes);
        before = std::move(again);
        ++chunks;
      }
    }
  }
  CHECK(chunks >= 10);
}

TEST_CASE("the head's chunk files of Prometheus are read and written alike") {
  const std::string data = ConformanceDirectory();
  if (data.empty()) return;
  const std::string path = data + "/golden/chunks_head/000001";
  std::map<storage::SeriesRef, HistogramChunk> before;
  std::vector<HeadChunk> all;
  std::deque<std::string> bytes;
  const auto status = ReadHeadChunks(path, [&](const HeadChunk& chunk) {
    bytes.emplace_back(chunk.bytes);
    all.push_back(chunk);
    all.back().bytes = bytes.back();
    if (chunk.encoding != storage::Encoding::kHistogram) {
      return absl::OkStatus();
    }
    const auto it = before.find(chunk.ref);
    HistogramChunk again =
        EncodeAgain(chunk.bytes, it == before.end() ? nullptr : &it->second);
    CHECK(WithoutReset(again.bytes()) == WithoutReset(chunk.bytes));
    if (it != before.end()) CHECK(again.bytes() == chunk.bytes);
    before.insert_or_assign(chunk.ref, std::move(again));
    return absl::OkStatus();
  });
  INFO(status);
  REQUIRE(status.ok());
  CHECK(before.size() == 5);
  CHECK(all.size() > before.size());

  const base::TemporaryDirectory directory;
  const std::string copy = directory.path() + "/chunks_head";
  auto files = HeadChunkFiles::Open(copy);
  std::vector<absl::string_view> mapped;
  REQUIRE((*files)->Write(all, &mapped).ok());
  files->reset();
  const std::string written = *base::ReadFile(copy + "/000001");
  CHECK(written == base::ReadFile(path)->substr(0, written.size()));
}

TEST_CASE("a block of the first index version is read") {
  const std::string data = ConformanceDirectory();
  if (data.empty()) return;
  const auto block = Block::Open(data + "/upstream/index_format_v1");
  INFO(block.status());
  REQUIRE(block.ok());
  CHECK((*block)->index().version() == 1);
  FloatTexts found;
  SeriesFacts histograms;
  ReadSamples(**(*block)->SelectAll(), &found, &histograms);
  CHECK(found.size() == 102);
  CHECK(ReadAll(std::move(*(*block)->Select(kAll, {Match("foo", "!=", "")})),
                kAll)
            .size() == 2);
  CHECK(ReadAll(std::move(*(*block)->Select(kAll, {Match("bar", "=~", "1.*")})),
                kAll)
            .size() == 11);
}

TEST_CASE("a meta.json of another version is refused") {
  const std::string data = ConformanceDirectory();
  if (data.empty()) return;
  for (const auto& entry :
       fs::directory_iterator(data + "/upstream/repair_index_version")) {
    const auto block = Block::Open(entry.path().string());
    CHECK(absl::IsInvalidArgument(block.status()));
  }
}

TEST_CASE("a block written anew has the bytes that Prometheus wrote") {
  const std::string data = ConformanceDirectory();
  if (data.empty()) return;
  int whole = 0;
  for (const std::string name : {"golden", "from_openmetrics"}) {
    for (const auto& original : OpenBlocks(data + "/" + name)) {
      const base::TemporaryDirectory directory;
      const std::string plain = directory.path() + "/plain";
      fs::copy(original->directory(), plain, fs::copy_options::recursive);
      fs::remove(plain + "/tombstones");
      const auto block = Block::Open(plain);
      REQUIRE(block.ok());

      auto writer = BlockWriter::Create(directory.path(), (*block)->meta());
      REQUIRE(writer.ok());
      const auto set = (*block)->SelectAll();
      storage::ChunkSeries series;
      while ((*set)->Next(&series)) {
        REQUIRE((*writer)->AddSeries(series.labels, series.chunks).ok());
      }
      REQUIRE((*writer)->Finish().ok());
      const std::string copy =
          directory.path() + "/" + original->ulid().ToString();
      INFO(original->directory());
      CHECK(*base::ReadFile(copy + "/chunks/000001") ==
            *base::ReadFile(original->directory() + "/chunks/000001"));
      // A block cut from a head may list symbols of series it has not.
      const auto index = IndexReader::Open(copy + "/index");
      REQUIRE(index.ok());
      if ((*index)->symbol_count() != original->index().symbol_count()) {
        continue;
      }
      ++whole;
      CHECK(*base::ReadFile(copy + "/index") ==
            *base::ReadFile(original->directory() + "/index"));
    }
  }
  CHECK(whole >= 2);
}

}  // namespace
}  // namespace narthex::tsdb
