#include "services/querier/params.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

namespace narthex::querier {
namespace {

http::Params Params(absl::string_view query) {
  http::Params params;
  http::ParseQuery(query, &params);
  return params;
}

TEST_CASE("times are Unix seconds or RFC 3339") {
  const std::vector<std::pair<std::string, std::int64_t>> rows = {
      {"0", 0},
      {"1.5", 1500},
      {"-1.25", -1250},
      {"1435781451.781", 1435781451781},
      {"1970-01-01T00:00:01.5Z", 1500},
      {"1970-01-01T01:00:00+01:00", 0},
  };
  for (const auto& [text, want] : rows) {
    INFO(text);
    CHECK(*ParseTime(text) == want);
  }
  CHECK(*ParseTime("-292273086-05-16T16:47:06Z") <
        *ParseTime("292277025-08-18T07:12:54.999999999Z"));
  CHECK(ParseTime("foo").status().message() ==
        "cannot parse \"foo\" to a valid timestamp");
  CHECK(ParseTime("").status().message() ==
        "cannot parse \"\" to a valid timestamp");
  CHECK(TimeParam(Params("time=x"), "time", 0).status().message() ==
        "invalid parameter \"time\": invalid time value for 'time': cannot "
        "parse \"x\" to a valid timestamp");
  CHECK(*TimeParam(Params(""), "time", 7) == 7);
}

TEST_CASE("durations are seconds or Prometheus durations") {
  CHECK(*ParseDurationNs("15") == 15'000'000'000);
  CHECK(*ParseDurationNs("0.5") == 500'000'000);
  CHECK(*ParseDurationNs("1m30s") == 90'000'000'000);
  CHECK(ParseDurationNs("1e30").status().message() ==
        "cannot parse \"1e30\" to a valid duration. It overflows int64");
  CHECK(ParseDurationNs("NaN").ok() == false);
  CHECK(ParseDurationNs("x").status().message() ==
        "cannot parse \"x\" to a valid duration");
}

TEST_CASE("a limit is a whole number, not negative") {
  CHECK(*LimitParam(Params("")) == 0);
  CHECK(*LimitParam(Params("limit=5")) == 5);
  CHECK(LimitParam(Params("limit=x")).status().message() ==
        "invalid parameter \"limit\": strconv.Atoi: parsing \"x\": invalid "
        "syntax");
  CHECK(LimitParam(Params("limit=99999999999999999999")).status().message() ==
        "invalid parameter \"limit\": strconv.Atoi: parsing "
        "\"99999999999999999999\": value out of range");
  CHECK(LimitParam(Params("limit=-1")).status().message() ==
        "invalid parameter \"limit\": limit must be non-negative");
}

TEST_CASE("match[] needs a matcher that narrows") {
  CHECK(MatchParams(Params("match[]=up&match[]={a=\"b\"}"))->size() == 2);
  CHECK(MatchParams(Params(""))->empty());
  CHECK(MatchParams(Params("match[]={a=~\".*\"}")).status().message() ==
        "match[] must contain at least one non-empty matcher");
  CHECK(MatchParams(Params("match[]={")).status().message() ==
        "1:2: parse error: unexpected end of input inside braces");
}

}  // namespace
}  // namespace narthex::querier
