#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "libs/base/file.h"
#include "libs/base/float_format.h"
#include "libs/tsdb/block.h"
#include "libs/tsdb/block_fixture.h"
#include "libs/tsdb/block_writer.h"
#include "libs/tsdb/xor_chunk.h"

namespace narthex::tsdb {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr storage::TimeRange kAll = {model::kMinTime, model::kMaxTime};

/// The directory of test data, empty (and a warning) when it is not there.
std::string DataDirectory() {
  const char* shared = std::getenv("NARTHEX_SHARED");
  const std::string root = shared != nullptr ? shared : NARTHEX_SHARED_DEFAULT;
  const std::string directory = root + "/conformance/tsdb";
  if (base::Exists(directory)) return directory;
  WARN("no conformance data at " << directory);
  return "";
}

double ValueOf(const std::string& text) {
  if (text == "stale") return model::StaleNan();
  return *base::ParseFloat(text);
}

/// Text by which values are compared: NaNs other than stale are alike.
std::string ValueKey(double value) {
  if (model::IsStaleNan(value)) return "stale";
  return base::FormatFloat(value);
}

using Texts = std::map<model::Labels, std::map<std::int64_t, std::string>>;

Texts ExpectedFloats(const std::string& path, const storage::TimeRange& range) {
  Texts expected;
  const Json content = Json::parse(*base::ReadFile(path));
  for (const Json& series : content["series"]) {
    std::vector<std::pair<std::string, std::string>> pairs;
    for (const auto& [name, value] : series["labels"].items()) {
      pairs.emplace_back(name, value);
    }
    const model::Labels labels(pairs);
    for (const Json& sample : series.value("floats", Json::array())) {
      const auto time = sample[0].get<std::int64_t>();
      if (time < range.min_ms || time > range.max_ms) continue;
      expected[labels][time] = ValueKey(ValueOf(sample[1]));
    }
  }
  return expected;
}

/// The samples of all float chunks of a block.
void ReadFloats(const Block& block, Texts* found) {
  auto set = block.SelectAll();
  REQUIRE(set.ok());
  storage::ChunkSeries series;
  while ((*set)->Next(&series)) {
    for (const storage::Chunk& chunk : series.chunks) {
      if (chunk.encoding != storage::Encoding::kXor) continue;
      model::SampleColumns samples;
      REQUIRE(DecodeXorChunk(chunk.bytes, &samples).ok());
      REQUIRE(samples.timestamps_ms.front() == chunk.min_ms);
      REQUIRE(samples.timestamps_ms.back() == chunk.max_ms);
      for (std::size_t i = 0; i < samples.size(); ++i) {
        (*found)[series.labels][samples.timestamps_ms[i]] =
            ValueKey(samples.values[i]);
      }
    }
  }
  INFO((*set)->status());
  REQUIRE((*set)->status().ok());
}

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
  const std::string data = DataDirectory();
  if (data.empty()) return;
  for (const std::string name : {"golden", "from_openmetrics"}) {
    INFO(name);
    const auto blocks = OpenBlocks(data + "/" + name);
    REQUIRE(blocks.size() == 2);
    Texts found;
    for (const auto& block : blocks) ReadFloats(*block, &found);
    const storage::TimeRange range{blocks[0]->min_ms(),
                                   blocks[1]->max_ms() - 1};
    CHECK(found == ExpectedFloats(data + "/" + name + ".EXPECT.json", range));
  }
}

TEST_CASE("a block of the first index version is read") {
  const std::string data = DataDirectory();
  if (data.empty()) return;
  const auto block = Block::Open(data + "/upstream/index_format_v1");
  INFO(block.status());
  REQUIRE(block.ok());
  CHECK((*block)->index().version() == 1);
  Texts found;
  ReadFloats(**block, &found);
  CHECK(found.size() == 102);
  CHECK(ReadAll(std::move(*(*block)->Select(kAll, {Match("foo", "!=", "")})),
                kAll)
            .size() == 2);
  CHECK(ReadAll(std::move(*(*block)->Select(kAll, {Match("bar", "=~", "1.*")})),
                kAll)
            .size() == 11);
}

TEST_CASE("a meta.json of another version is refused") {
  const std::string data = DataDirectory();
  if (data.empty()) return;
  for (const auto& entry :
       fs::directory_iterator(data + "/upstream/repair_index_version")) {
    const auto block = Block::Open(entry.path().string());
    CHECK(absl::IsInvalidArgument(block.status()));
  }
}

TEST_CASE("a block written anew has the bytes that Prometheus wrote") {
  const std::string data = DataDirectory();
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
