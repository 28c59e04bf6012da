#include "libs/storage/memory_storage.h"

#include <catch2/catch.hpp>

namespace narthex::storage {
namespace {

TEST_CASE("a memory storage gives what matches, within the range") {
  MemoryStorage storage;
  storage.Add({{"__name__", "up"}, {"job", "b"}}, {{10, 20, 30}, {1, 2, 3}});
  storage.Add({{"__name__", "up"}, {"job", "a"}}, {{10}, {7}});
  storage.Add({{"__name__", "down"}}, {{20}, {9}});
  storage.Add({{"__name__", "up"}, {"job", "b"}}, {{20, 40}, {99, 4}});

  SelectHints hints;
  hints.range = {15, 40};
  auto set = storage.Select(hints, {model::Matcher::Equal("__name__", "up")});
  REQUIRE(set.ok());
  REQUIRE((*set)->Next());
  const auto series = (*set)->At();
  CHECK(series->labels().Get("job") == "b");
  model::SampleColumns samples;
  REQUIRE(series->Read(&samples).ok());
  CHECK(samples.timestamps_ms == std::vector<std::int64_t>{20, 30, 40});
  CHECK(samples.values == std::vector<double>{2, 3, 4});
  CHECK_FALSE((*set)->Next());

  CHECK(storage.LabelValues("job", {0, 100}, {}, 0).value() ==
        std::vector<std::string>{"a", "b"});
  CHECK(storage.LabelNames({0, 100}, {}, 1).value() ==
        std::vector<std::string>{"__name__"});
}

}  // namespace
}  // namespace narthex::storage
