#include "services/pushgateway/push_body.h"

#include <catch2/catch.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace narthex::pushgateway {

namespace {

const LabelPairs kGroup = {{"job", "j"}};

// All families as they would be exposed.
std::string Rendered(absl::string_view body, const LabelPairs& group = kGroup) {
  const auto parsed = ParseTextBody(body, group, false);
  REQUIRE(parsed.ok());
  std::string text;
  for (const Family& family : parsed->families) {
    AppendFamilyHead(family, &text);
    for (std::size_t i = 0; i < family.layout.metric_count(); ++i) {
      AppendMetric(family, i, &text);
    }
  }
  return text;
}

}  // namespace

TEST_CASE("metrics get the labels of their group and an instance") {
  CHECK(Rendered("x{b=\"1\"} 3\n") ==
        "# TYPE x untyped\nx{b=\"1\",instance=\"\",job=\"j\"} 3\n");
  CHECK(Rendered("x{job=\"other\",instance=\"i\"} 3\n") ==
        "# TYPE x untyped\nx{instance=\"i\",job=\"j\"} 3\n");
  CHECK(Rendered("x{instance=\"i\"} 3\n", {{"instance", "g"}, {"job", "j"}}) ==
        "# TYPE x untyped\nx{instance=\"g\",job=\"j\"} 3\n");
  CHECK(Rendered("x{a=\"\"} 3\n") ==
        "# TYPE x untyped\nx{a=\"\",instance=\"\",job=\"j\"} 3\n");
}

TEST_CASE("help, type and values are written as Prometheus writes them") {
  CHECK(Rendered("# HELP x a\\\\b\\nc \"d\"\n# TYPE x counter\nx 1e6\n") ==
        "# HELP x a\\\\b\\nc \"d\"\n# TYPE x counter\n"
        "x{instance=\"\",job=\"j\"} 1e+06\n");
  struct Row {
    const char* in;
    const char* out;
  };
  const std::vector<Row> rows = {
      {"NaN", "NaN"},       {"+Inf", "+Inf"},
      {"-Inf", "-Inf"},     {"-0", "0"},
      {"100000", "100000"}, {"0.1", "0.1"},
      {"1e20", "1e+20"},    {"123456789", "1.23456789e+08"},
      {"999999", "999999"}, {"0.00000012", "1.2e-07"}};
  for (const Row& row : rows) {
    INFO(row.in);
    CHECK(Rendered(absl::StrCat("x ", row.in, "\n")) ==
          absl::StrCat("# TYPE x untyped\nx{instance=\"\",job=\"j\"} ", row.out,
                       "\n"));
  }
}

TEST_CASE("histograms and summaries come out whole, whatever came in") {
  CHECK(Rendered("# TYPE h histogram\nh_count 3\nh_bucket{le=\"1.0\"} 1\n") ==
        "# TYPE h histogram\n"
        "h_bucket{instance=\"\",job=\"j\",le=\"1\"} 1\n"
        "h_bucket{instance=\"\",job=\"j\",le=\"+Inf\"} 3\n"
        "h_sum{instance=\"\",job=\"j\"} 0\n"
        "h_count{instance=\"\",job=\"j\"} 3\n");
  CHECK(Rendered("# TYPE s summary\ns{quantile=\"0.50\"} 4\ns_sum 2\n") ==
        "# TYPE s summary\n"
        "s{instance=\"\",job=\"j\",quantile=\"0.5\"} 4\n"
        "s_sum{instance=\"\",job=\"j\"} 2\n"
        "s_count{instance=\"\",job=\"j\"} 0\n");
}

TEST_CASE("families whose lines are mixed are gathered, empty ones left out") {
  CHECK(Rendered("# TYPE b gauge\na 1\nc{x=\"1\"} 1\na{x=\"1\"} 2\n") ==
        "# TYPE a untyped\na{instance=\"\",job=\"j\"} 1\n"
        "a{instance=\"\",job=\"j\",x=\"1\"} 2\n"
        "# TYPE c untyped\nc{instance=\"\",job=\"j\",x=\"1\"} 1\n");
}

TEST_CASE("a body that cannot be read is an error with its line") {
  struct Row {
    const char* body;
    const char* message;
  };
  const std::vector<Row> rows = {
      {"x 3", "line 1: unexpected end of input stream"},
      {"a 1\nx 3", "line 2: unexpected end of input stream"},
      {"# TYPE x gauge\n# TYPE x gauge\n",
       "line 2: second TYPE line for metric name \"x\", or TYPE reported "
       "after samples"},
      {"x 3\n# TYPE x gauge\n",
       "line 2: second TYPE line for metric name \"x\", or TYPE reported "
       "after samples"},
      {"# HELP x a\n# HELP x b\n",
       "line 2: second HELP line for metric name \"x\""},
      {"x{a=\"1\",a=\"2\"} 3\n",
       "line 1: duplicate label names for metric \"x\""},
      {"\n{\"a.b\"} 3\n", "line 2: invalid metric name \"a.b\""},
      {"x{\"a.b\"=\"c\"} 3\n", "line 1: invalid label name \"a.b\""},
      {"# TYPE s summary\ns{quantile=\"x\"} 4\n",
       "line 2: expected float as value for 'quantile' label, got \"x\""}};
  for (const Row& row : rows) {
    INFO(row.body);
    const auto body = ParseTextBody(row.body, kGroup, false);
    CHECK(absl::IsInvalidArgument(body.status()));
    CHECK(body.status().message() ==
          absl::StrCat("text format parsing error in ", row.message));
  }
  for (const char* body :
       {"nonsense here\n", "x{a=\"1\" 3\n", "x{a=1} 3\n", "x{a=\"\\x\"} 3\n",
        "x{a} 3\n", "{a=\"b\"} 3\n", "x{a=\"b\"}c 3\n", "# TYPE x foo\n"}) {
    INFO(body);
    CHECK_FALSE(ParseTextBody(body, kGroup, false).ok());
  }
}

TEST_CASE("what can be read but not accepted is noted") {
  struct Row {
    const char* body;
    const char* reason;
  };
  const std::vector<Row> rows = {
      {"x 3 1234\n", "pushed metrics must not have timestamps"},
      {"x 3\nx 4\n",
       "collected metric \"x\" { label:{name:\"instance\" value:\"\"} "
       "label:{name:\"job\" value:\"j\"} } was collected before with the same "
       "name and label values"},
      {"x{__a=\"b\"} 3\n",
       "collected metric \"x\" has a label with an invalid name: __a"}};
  for (const Row& row : rows) {
    INFO(row.body);
    const auto body = ParseTextBody(row.body, kGroup, false);
    REQUIRE(body.ok());
    CHECK(body->inconsistency.message() == row.reason);
  }
}

TEST_CASE("UTF-8 names are kept, quoted, when they are allowed") {
  const auto body = ParseTextBody("{\"a.b\",\"c.d\"=\"e\"} 3\n", kGroup, true);
  REQUIRE(body.ok());
  std::string text;
  AppendMetric(body->families[0], 0, &text);
  CHECK(text == "{\"a.b\",\"c.d\"=\"e\",instance=\"\",job=\"j\"} 3\n");
}

TEST_CASE("layouts survive being stored, and damage is noticed") {
  const auto body = ParseTextBody(
      "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{a=\"b\",le=\"1\"} "
      "1\n",
      kGroup, false);
  REQUIRE(body.ok());
  const Layout& layout = body->families[0].layout;
  std::string encoded;
  layout.Encode(&encoded);
  Layout decoded;
  REQUIRE(Layout::Decode(encoded, &decoded));
  CHECK(decoded == layout);
  for (std::size_t cut = 0; cut < encoded.size(); ++cut) {
    INFO(cut);
    CHECK_FALSE(Layout::Decode({encoded.data(), cut}, &decoded));
  }
}

}  // namespace narthex::pushgateway
