#include "libs/model/labels.h"

#include <catch2/catch.hpp>

namespace narthex::model {

TEST_CASE("labels are sorted, unique and without empty values") {
  const Labels labels{{"b", "2"}, {"a", "x"}, {"c", ""}, {"a", "1"}};
  CHECK(labels.ToString() == R"({a="1", b="2"})");
  CHECK(labels.size() == 2);
  CHECK(labels.Get("b") == "2");
  CHECK(labels.Get("c").empty());
  CHECK(Labels(std::vector<std::pair<std::string, std::string>>{
            {"b", "2"}, {"a", "x"}, {"c", ""}, {"a", "1"}}) == labels);
}

TEST_CASE("the encoding round trips and malformed ones are refused") {
  const Labels labels{{"__name__", "up"}, {"job", std::string(300, 'j')}};
  Labels copy;
  REQUIRE(Labels::FromEncoded(labels.encoded(), &copy));
  CHECK(copy == labels);
  CHECK(copy.Hash() == labels.Hash());
  const std::string whole(labels.encoded());
  Labels ignored;
  for (std::size_t n = 1; n < whole.size(); ++n) {
    if (n == 12) continue;  // A cut between two labels is a label set too.
    INFO(n);
    CHECK_FALSE(Labels::FromEncoded(whole.substr(0, n), &ignored));
  }
  CHECK_FALSE(Labels::FromEncoded(std::string("\1b\1x\1a\1y"), &ignored));
  CHECK_FALSE(Labels::FromEncoded(std::string("\1a\1x\1a\1y"), &ignored));
  CHECK_FALSE(Labels::FromEncoded(std::string("\0\1x", 3), &ignored));
}

TEST_CASE("label sets group by names and without names") {
  const Labels labels{{"__name__", "m"}, {"a", "1"}, {"b", "2"}, {"c", "3"}};
  CHECK(labels.Of({"a", "c"}) == Labels{{"a", "1"}, {"c", "3"}});
  CHECK(labels.Without({"b"}) == Labels{{"a", "1"}, {"c", "3"}});
  CHECK(labels.HashOf({"a"}) == Labels({{"a", "1"}, {"z", "9"}}).HashOf({"a"}));
  CHECK(labels.HashWithout({"a"}) ==
        Labels({{"b", "2"}, {"c", "3"}}).HashWithout({}));
}

TEST_CASE("label sets order label by label") {
  const Labels a{{"a", "1"}};
  const Labels ab{{"a", "1"}, {"b", "1"}};
  const Labels b{{"b", "0"}};
  CHECK(Labels::Compare(a, ab) < 0);
  CHECK(Labels::Compare(ab, b) < 0);
  CHECK(Labels::Compare(b, b) == 0);
}

TEST_CASE("series print as PromQL prints them") {
  CHECK(Labels({{"__name__", "up"}, {"a", "b"}}).ToMetricString() ==
        R"(up{a="b"})");
  CHECK(Labels({{"__name__", "up"}}).ToMetricString() == "up");
  CHECK(Labels({{"__name__", "a.b"}, {"c.d", "e"}}).ToMetricString() ==
        R"({"a.b", "c.d"="e"})");
  CHECK(Labels{}.ToMetricString() == "{}");
}

TEST_CASE("a builder changes a copy") {
  const Labels base{{"a", "1"}, {"b", "2"}};
  LabelsBuilder builder(base);
  builder.Set("c", "3").Del("a").Set("b", "");
  CHECK(builder.Build() == Labels{{"c", "3"}});
  CHECK(base.Get("a") == "1");
}

}  // namespace narthex::model
