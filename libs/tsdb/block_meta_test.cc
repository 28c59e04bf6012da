#include "libs/tsdb/block_meta.h"

#include <catch2/catch.hpp>
#include <string>

namespace narthex::tsdb {
namespace {

Ulid U(const char* text) { return *Ulid::Parse(text); }

TEST_CASE("a meta.json is written as Prometheus writes it") {
  BlockMeta meta;
  meta.ulid = U("01M8121FZ2ZXY8CPG79JNKCHZW");
  meta.min_ms = 1700013600000;
  meta.max_ms = 1700020800000;
  meta.stats = {2745, 0, 0, 24, 25, 1};
  meta.compaction.sources = {meta.ulid};
  CHECK(FormatBlockMeta(meta) == R"({
	"ulid": "01M8121FZ2ZXY8CPG79JNKCHZW",
	"minTime": 1700013600000,
	"maxTime": 1700020800000,
	"stats": {
		"numSamples": 2745,
		"numSeries": 24,
		"numChunks": 25,
		"numTombstones": 1
	},
	"compaction": {
		"level": 1,
		"sources": [
			"01M8121FZ2ZXY8CPG79JNKCHZW"
		]
	},
	"version": 1
})");
}

TEST_CASE("every field of a meta.json survives") {
  BlockMeta meta;
  meta.ulid = U("01M8121FZ2ZXY8CPG79JNKCHZW");
  meta.min_ms = -5;
  meta.max_ms = 9;
  meta.stats = {10, 6, 4, 3, 2, 1};
  meta.compaction.level = 3;
  meta.compaction.sources = {U("01M8121FXH04GFGEFGGMTCN3ST"),
                             U("01M8121FZ2ZXY8CPG79JNKCHZW")};
  meta.compaction.parents = {{U("01M8121FXH04GFGEFGGMTCN3ST"), -5, 4}};
  meta.compaction.hints = {std::string(kHintFromOutOfOrder)};
  meta.compaction.deletable = true;
  meta.compaction.failed = true;
  const auto parsed = ParseBlockMeta(FormatBlockMeta(meta));
  REQUIRE(parsed.ok());
  CHECK(*parsed == meta);
  CHECK(parsed->compaction.HasHint("from-out-of-order"));
}

TEST_CASE("fields that are not known are skipped") {
  const auto meta = ParseBlockMeta(
      R"({"ulid":"01M8121FZ2ZXY8CPG79JNKCHZW","version":1,"thanos":{"x":[1]},
          "stats":null,"minTime":1,"maxTime":2})");
  REQUIRE(meta.ok());
  CHECK(meta->max_ms == 2);
}

TEST_CASE("a malformed meta.json is refused") {
  for (const char* text :
       {"", "{", "[]", "7", "{}", R"({"version":2})",
        R"({"version":1,"ulid":"x"})", R"({"version":1,"ulid":7})",
        R"({"version":1,"ulid":"01M8121FZ2ZXY8CPG79JNKCHZW","minTime":"a"})",
        R"({"version":1,"ulid":"01M8121FZ2ZXY8CPG79JNKCHZW","minTime":1e99})",
        R"({"version":1,"ulid":"01M8121FZ2ZXY8CPG79JNKCHZW","stats":3})",
        R"({"version":1,"ulid":"01M8121FZ2ZXY8CPG79JNKCHZW",
            "compaction":{"sources":["y"]}})"}) {
    INFO(text);
    CHECK(absl::IsInvalidArgument(ParseBlockMeta(text).status()));
  }
}

}  // namespace
}  // namespace narthex::tsdb
