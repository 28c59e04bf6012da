#include "libs/cluster/column_codec.h"

#include <bit>
#include <catch2/catch.hpp>
#include <memory>
#include <utility>

namespace narthex::cluster {
namespace {

using promql::Absent;
using promql::Column;

std::vector<Column> Decode(absl::string_view bytes, std::size_t steps) {
  std::vector<Column> columns;
  const absl::Status status = DecodeColumns(bytes, steps, [&](Column& column) {
    columns.push_back(std::move(column));
    column = {};
    return absl::OkStatus();
  });
  INFO(status.ToString());
  REQUIRE(status.ok());
  return columns;
}

}  // namespace

TEST_CASE("columns come back as they were sent") {
  std::vector<Column> columns;
  columns.push_back({model::Labels{{"a", "b"}}, false, {1, 2, 3}});
  columns.push_back({model::Labels(), true, {Absent(), 0.5, Absent()}});
  columns.push_back(
      {model::Labels{{"x", "y"}}, false, std::vector<double>(3, Absent())});
  auto histogram = std::make_shared<model::FloatHistogram>();
  histogram->schema = 1;
  histogram->count = 3;
  histogram->positive_spans = {{0, 1}};
  histogram->positive_buckets = {3};
  columns.push_back({model::Labels{{"h", "1"}}, false, {4, Absent(), 5}});
  columns.back().SetHistogram(1, histogram);

  std::string bytes;
  for (const Column& column : columns) EncodeColumn(column, &bytes);
  const std::vector<Column> back = Decode(bytes, 3);

  REQUIRE(back.size() == columns.size());
  for (std::size_t i = 0; i < back.size(); ++i) {
    INFO(columns[i].labels.ToString());
    CHECK(back[i].labels == columns[i].labels);
    CHECK(back[i].drop_name == columns[i].drop_name);
    for (std::size_t step = 0; step < 3; ++step) {
      CHECK(std::bit_cast<std::uint64_t>(back[i].values[step]) ==
            std::bit_cast<std::uint64_t>(columns[i].values[step]));
    }
  }
  REQUIRE(back[3].HasHistogram(1));
  CHECK(back[3].histograms[1]->positive_buckets == histogram->positive_buckets);
}

TEST_CASE("columns that end too early are refused, not read past the end") {
  std::string bytes;
  EncodeColumn({model::Labels{{"a", "b"}}, false, {1, Absent(), 3}}, &bytes);
  for (std::size_t size = 1; size < bytes.size(); ++size) {
    INFO(size);
    const absl::Status status =
        DecodeColumns(absl::string_view(bytes).substr(0, size), 3,
                      [](Column&) { return absl::OkStatus(); });
    CHECK(absl::IsDataLoss(status));
  }
}

}  // namespace narthex::cluster
