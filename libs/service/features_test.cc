#include "libs/service/features.h"

#include <catch2/catch.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace narthex::service {
namespace {

// The features of one command line, with what is logged of them.
struct Given {
  explicit Given(const std::vector<std::string>& arguments) {
    FlagSet flags("test", "A test.");
    features.AddFlag(flags);
    REQUIRE(flags.Parse(arguments).ok());
    features.Log(base::Logger::ToString(&lines));
  }

  Features features{{"exemplar-storage", "use-start-timestamps"}};
  std::string lines;
};

}  // namespace

TEST_CASE("features come from repeated comma-separated lists") {
  const Given given(
      {"--enable-feature=exemplar-storage, a,,b", "--enable-feature", "b,c"});
  CHECK(given.features.Names() ==
        std::vector<std::string>{"exemplar-storage", "a", "b", "c"});
  CHECK(given.features.Has("exemplar-storage"));
  CHECK(given.features.Has("c"));
  CHECK_FALSE(given.features.Has("use-start-timestamps"));
}

TEST_CASE("no feature is asked for and none is logged by default") {
  const Given given({});
  CHECK(given.features.Names().empty());
  CHECK(given.lines.empty());
}

TEST_CASE("what a feature does in this service is logged") {
  const auto [name, level, words] =
      GENERATE(table<std::string, std::string, std::string>({
          {"exemplar-storage", "level=info", "\"feature enabled\""},
          {"use-start-timestamps", "level=warn", "samples have start"},
          {"promql-experimental-functions", "level=warn",
           "acts_in=\"querier, ruler\""},
          {"promql-duration-expr", "level=warn", "note=\"always on\""},
          {"use-uncached-io", "level=warn", "not supported: "},
          {"fast-startup", "level=warn", "not supported: "},
          {"delayed-compaction", "level=warn", "not supported: "},
          {"created-timestamp-zero-ingestion", "level=warn", "acts_in=scraper"},
          {"foo", "level=warn", "\"Unknown option for --enable-feature\""},
      }));
  INFO(name);
  const Given given({absl::StrCat("--enable-feature=", name)});
  INFO(given.lines);
  CHECK(absl::StrContains(given.lines, level));
  CHECK(absl::StrContains(given.lines, words));
  CHECK(absl::StrContains(given.lines, absl::StrCat("option=", name)));
}

}  // namespace narthex::service
