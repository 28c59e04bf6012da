#include "services/ctl/open_metrics_import.h"

#include <catch2/catch.hpp>

#include "libs/base/file.h"
#include "libs/tsdb/chunk_series.h"
#include "libs/tsdb/verify.h"

namespace narthex::ctl {
namespace {

constexpr std::int64_t kHour = 60 * 60 * 1000;

struct Imported {
  absl::Status status;
  std::vector<std::shared_ptr<tsdb::Block>> blocks;
  std::uint64_t left_out = 0;
};

Imported Import(absl::string_view text, ImportOptions options) {
  Imported imported;
  const auto left_out = ImportOpenMetrics(
      text, options,
      [&](const auto& block) { imported.blocks.push_back(block); });
  imported.status = left_out.status();
  if (left_out.ok()) imported.left_out = *left_out;
  return imported;
}

std::string Read(const tsdb::Block& block) {
  constexpr storage::TimeRange kAll = {model::kMinTime, model::kMaxTime};
  auto chunks = block.Select(kAll, {});
  REQUIRE(chunks.ok());
  const auto set = tsdb::DecodeSeriesSet(*std::move(chunks), kAll);
  std::string text;
  while (set->Next()) {
    const auto series = set->At();
    model::SampleColumns samples;
    REQUIRE(series->Read(&samples).ok());
    text += series->labels().ToMetricString();
    for (std::size_t i = 0; i < samples.size(); ++i) {
      text += " " + std::to_string(samples.timestamps_ms[i]) + ":" +
              std::to_string(static_cast<int>(samples.values[i]));
    }
    text += "\n";
  }
  REQUIRE(set->status().ok());
  return text;
}

// Samples of another series.
std::string Lines(int count) {
  std::string lines;
  for (int i = 0; i < count; ++i) {
    lines += "z 1 " + std::to_string(i) + "\n";
  }
  return lines;
}

}  // namespace

TEST_CASE("samples go into blocks of two hours, empty spans into none") {
  const base::TemporaryDirectory directory;
  const Imported imported = Import(
      "a{x=\"1\"} 1 0\na{x=\"1\"} 2 60\nb 3 7199.999\na{x=\"1\"} 4 7200\n"
      "b 5 86400\n# EOF\n",
      {directory.path(), 0, {}});
  REQUIRE(imported.status.ok());
  REQUIRE(imported.blocks.size() == 3);
  CHECK(Read(*imported.blocks[0]) == "a{x=\"1\"} 0:1 60000:2\nb 7199999:3\n");
  CHECK(imported.blocks[0]->max_ms() == 2 * kHour);
  CHECK(Read(*imported.blocks[1]) == "a{x=\"1\"} 7200000:4\n");
  CHECK(Read(*imported.blocks[2]) == "b 86400000:5\n");
  const auto report = tsdb::VerifyDirectory(directory.path());
  REQUIRE(report.ok());
  CHECK(report->findings == std::vector<std::string>());
  CHECK(report->blocks == 3);
  CHECK(report->samples == 5);
}

TEST_CASE("a longer span and labels of one's own can be asked for") {
  const base::TemporaryDirectory directory;
  const Imported imported =
      Import("a{x=\"1\"} 1 -60\na{x=\"1\"} 1 0\na{x=\"1\"} 4 7200\n# EOF\n",
             {directory.path(), 7 * kHour, {{"dc", "eu"}, {"x", ""}}});
  REQUIRE(imported.status.ok());
  REQUIRE(imported.blocks.size() == 2);
  CHECK(Read(*imported.blocks[0]) == "a{dc=\"eu\"} -60000:1\n");
  CHECK(Read(*imported.blocks[1]) == "a{dc=\"eu\"} 0:1 7200000:4\n");
}

TEST_CASE("of samples that do not ascend the first of 5000 are kept") {
  struct Row {
    std::string text;
    std::string found;
    std::uint64_t left_out;
  };
  for (const Row& row : std::vector<Row>{
           {"a 1 5\na 2 5\n", "a 5000:1\n", 1},
           {"a 1 5\na 2 4\na 3 6\n", "a 5000:1 6000:3\n", 1},
           {Lines(4999) + "a 1 5\na 1 5\na 2 6\n", "a 5000:1 6000:2\n", 1},
           {Lines(4998) + "a 1 5\na 2 4\n", "a 5000:1\n", 1}}) {
    INFO(row.found);
    const base::TemporaryDirectory directory;
    const Imported imported =
        Import(row.text + "# EOF\n", {directory.path(), 0, {}});
    REQUIRE(imported.status.ok());
    REQUIRE(imported.blocks.size() == 1);
    CHECK(Read(*imported.blocks[0]).find(row.found) == 0);
    CHECK(imported.left_out == row.left_out);
  }
}

TEST_CASE("a text that cannot be imported is refused with the reason") {
  struct Row {
    std::string text;
    std::string error;
  };
  for (const Row& row : std::vector<Row>{
           {"a 1\n# EOF\n",
            "getting min and max timestamp: expected timestamp for series got "
            "none"},
           {"a 1 5\n", "getting min and max timestamp: next: "},
           {Lines(4999) + "a 1 5\na 1 4\n# EOF\n",
            "block creation: process blocks: add sample: out of order "
            "sample: a at 4000"},
           {Lines(4999) + "a 1 5\na 2 5\n# EOF\n",
            "block creation: process blocks: add sample: duplicate sample for "
            "timestamp: a at 5000"}}) {
    INFO(row.text);
    const base::TemporaryDirectory directory;
    const Imported imported = Import(row.text, {directory.path(), 0, {}});
    CHECK(imported.status.code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(imported.status.message()).find(row.error) == 0);
    CHECK(base::ListDirectory(directory.path())->empty());
  }
}

}  // namespace narthex::ctl
