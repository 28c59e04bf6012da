#include "libs/promql/series_description.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "libs/base/float_format.h"
#include "libs/model/sample.h"
#include "libs/promql/histogram_description.h"

namespace narthex::promql {
namespace {

/// The values as text: "_" for none, "stale" and "{{..}}" as written.
std::string Text(const SeriesDescription& description) {
  std::string text;
  for (const SequenceValue& value : description.values) {
    if (!text.empty()) text += ' ';
    switch (value.kind) {
      case SequenceValue::Kind::kOmitted:
        text += "_";
        break;
      case SequenceValue::Kind::kHistogram:
        text += DescribeHistogram(*value.histogram);
        break;
      default:
        text += model::IsStaleNan(value.value) ? "stale"
                                               : base::FormatFloat(value.value);
    }
  }
  return text;
}

TEST_CASE("series descriptions expand to their values") {
  struct Row {
    std::string text;
    std::string labels;
    std::string values;
  };
  const std::vector<Row> rows{
      {"up 1 2.5 -3e2", R"({__name__="up"})", "1 2.5 -300"},
      {R"(up{a="b c"}	1)", R"({__name__="up", a="b c"})", "1"},
      {"{} 5", "{}", "5"},
      {"m _ 1 _x3 2", R"({__name__="m"})", "_ 1 _ _ _ 2"},
      {"m 7x2", R"({__name__="m"})", "7 7 7"},
      {"m 1-2x4", R"({__name__="m"})", "1 -1 -3 -5 -7"},
      {"m -1+2x3", R"({__name__="m"})", "-1 1 3 5"},
      {"m stale stalex1 NaN Inf -inf", R"({__name__="m"})",
       "stale stale stale NaN +Inf -Inf"},
      {"m 010 0.10", R"({__name__="m"})", "8 0.1"},
      {"m {{sum:1 count:2}}x1 3", R"({__name__="m"})",
       "{{count:2 sum:1}} {{count:2 sum:1}} 3"},
      {"m {{count:1 buckets:[1]}}+{{count:2 buckets:[0 2]}}x2",
       R"({__name__="m"})",
       "{{count:1 buckets:[1]}} {{count:3 buckets:[1 2]}} "
       "{{count:5 buckets:[1 4]}}"},
      {"m {{schema:-53 custom_values:[5 1e3] buckets:[1 0 2] offset:-1 "
       "counter_reset_hint:gauge}}",
       R"({__name__="m"})",
       "{{schema:-53 custom_values:[5 1000] counter_reset_hint:gauge "
       "offset:-1 buckets:[1 0 2]}}"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    const auto description = ParseSeriesDescription(row.text);
    INFO(description.status().ToString());
    REQUIRE(description.ok());
    CHECK(description->labels.ToString() == row.labels);
    CHECK(Text(*description) == row.values);
  }
}

TEST_CASE("what is no series description is refused") {
  for (const char* text :
       {"m x", "m 1x", "m 1+x3", "m 1+2", "m _x", "m _y", "m {{sum:1",
        "m {{sun:1}}", "m {{sum:x}}", "m {{buckets:[1}}",
        "m {{schema:1}}+{{schema:0}}x1", "m{ 1", "m 1x99999999999"}) {
    INFO(text);
    CHECK_FALSE(ParseSeriesDescription(text).ok());
  }
}

}  // namespace
}  // namespace narthex::promql
