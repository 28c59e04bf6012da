#include "libs/exposition/writer.h"

#include <catch2/catch.hpp>

#include "libs/exposition/parser.h"

namespace narthex::exposition {
namespace {

TEST_CASE("families are written with escapes and quoted where they must be") {
  Writer writer;
  writer.Family("a_total", model::MetricType::kCounter, "one\\two\n\"three\"");
  writer.Sample("a_total", {{"__name__", "a_total"}, {"x", "q\"\\\n"}}, 1e6);
  writer.Sample("a_total", {}, 2, 5);
  writer.Family("b.c", model::MetricType::kUnknown, "");
  writer.Sample("b.c", {{"d.e", "1"}, {"f", "2"}}, 0.5);
  CHECK(writer.text() ==
        "# HELP a_total one\\\\two\\n\"three\"\n"
        "# TYPE a_total counter\n"
        "a_total{x=\"q\\\"\\\\\\n\"} 1e+06\n"
        "a_total 2 5\n"
        "# TYPE \"b.c\" untyped\n"
        "{\"b.c\",\"d.e\"=\"1\",f=\"2\"} 0.5\n");
  const auto parser = Parser::Create(Format::kText, writer.text());
  int series = 0;
  for (Entry entry = parser->Next(); entry != Entry::kEnd;
       entry = parser->Next()) {
    REQUIRE(entry != Entry::kError);
    model::Labels labels;
    if (entry != Entry::kSeries) continue;
    REQUIRE(parser->ParseLabels(&labels).ok());
    ++series;
  }
  CHECK(series == 3);
}

TEST_CASE("bounds are written as floats") {
  const struct {
    const char* text;
    const char* normal;
  } rows[] = {{"1", "1.0"},    {"0", "0.0"},   {"+Inf", "+Inf"},
              {"inf", "+Inf"}, {"2.5", "2.5"}, {"1e6", "1e+06"},
              {"10", "10.0"},  {"NaN", "NaN"}, {"-1", "-1.0"}};
  for (const auto& row : rows) {
    std::string out;
    CHECK(NormalizeFloatLabel(row.text, &out));
    CHECK(out == row.normal);
  }
  std::string out;
  CHECK_FALSE(NormalizeFloatLabel("c", &out));
}

}  // namespace
}  // namespace narthex::exposition
