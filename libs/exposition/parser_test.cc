#include "libs/exposition/parser.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "libs/exposition/internal/number.h"

namespace narthex::exposition {
namespace {

/// All entries as text, one a line; the last is the error, if any.
std::vector<std::string> Read(Format format, const std::string& body,
                              absl::string_view guess = "") {
  std::vector<std::string> out;
  const auto parser = Parser::Create(format, body);
  for (;;) {
    switch (parser->Next(guess)) {
      case Entry::kSeries: {
        model::Labels labels;
        if (auto status = parser->ParseLabels(&labels); !status.ok()) {
          out.push_back(std::string(status.message()));
          return out;
        }
        std::string line =
            labels.ToString() + " " + std::to_string(parser->value());
        if (parser->has_timestamp()) {
          line += " @" + std::to_string(parser->timestamp_ms());
        }
        Exemplar exemplar;
        if (parser->has_exemplar() && parser->ParseExemplar(&exemplar).ok()) {
          line += " # " + exemplar.labels.ToString() + " " +
                  std::to_string(exemplar.value);
        }
        out.push_back(line);
        break;
      }
      case Entry::kHelp:
        out.push_back("help " + std::string(parser->metric()) + " " +
                      std::string(parser->text()));
        break;
      case Entry::kType:
        out.push_back("type " + std::string(parser->metric()) + " " +
                      model::MetricTypeName(parser->type()));
        break;
      case Entry::kUnit:
        out.push_back("unit " + std::string(parser->metric()) + " " +
                      std::string(parser->text()));
        break;
      case Entry::kHistogram:
      case Entry::kComment:
        out.push_back("comment");
        break;
      case Entry::kEnd:
        return out;
      case Entry::kError:
        out.push_back(std::string(parser->status().message()));
        return out;
    }
  }
}

using Lines = std::vector<std::string>;

TEST_CASE("a text body is read entry by entry") {
  CHECK(Read(Format::kText,
             "# HELP a Some\\nhelp \\\\ here.\n# TYPE a counter\n\n"
             "a{x=\"1\",y=\"q\\\"\\n\\\\\"} 3 1234\n  b 2.5e3\r\n") ==
        Lines{"help a Some\nhelp \\ here.", "type a counter",
              "{__name__=\"a\", x=\"1\", y=\"q\\\"\\n\\\\\"} 3.000000 @1234",
              "line 5: expected a float as value, found \"2.5e3\\r\""});
}

TEST_CASE("quoted text may hold braces and newlines") {
  CHECK(Read(Format::kText, "a{x=\"}\"} 1\nb{x=\"{}\n} \"} 3\n") ==
        Lines{"{__name__=\"a\", x=\"}\"} 1.000000",
              "{__name__=\"b\", x=\"{}\\n} \"} 3.000000"});
}

TEST_CASE("a guess quickens but never changes what is read") {
  const std::string body =
      "a 1\na{x=\"1\"} 2\na {x=\"1\"} 3\nab 4\na_total{x=\"1\"}5\n";
  const auto expected = Read(Format::kText, body);
  REQUIRE(expected.size() == 5);
  for (const char* guess :
       {"a", "a{x=\"1\"}", "a {x=\"1\"}", "ab", "zz", "a_total{x=\"1\"}"}) {
    INFO(guess);
    CHECK(Read(Format::kText, body, guess) == expected);
  }
}

TEST_CASE("an error quotes what was found, be it behind the labels") {
  const struct {
    Format format;
    const char* body;
    const char* error;
  } kRows[] = {
      {Format::kText, "bad{ 1\n", "line 1: expected label name, found \"1\""},
      {Format::kText, "bad{x=1} 2\n",
       "line 1: expected label value, found \"1} 2\""},
      {Format::kText, "bad{x\n", "line 1: expected a series, found \"bad{x\""},
      {Format::kText, "bad\n",
       "line 1: expected value after metric, found \"\\n\""},
      {Format::kText, "bad",
       "line 1: expected value after metric, found the end"},
      {Format::kOpenMetrics, "a 1\n\nb 2\n# EOF\n",
       "line 2: expected a series, found \"\\n\""},
      {Format::kOpenMetrics, "a 1 # {x=1} 1\n# EOF\n",
       "line 1: exemplar: expected label value, found \"1} 1\""},
  };
  for (const auto& row : kRows) {
    CHECK(Read(row.format, row.body).back() == row.error);
  }
}

TEST_CASE("repeated label names are refused") {
  CHECK(Read(Format::kText, "# c\na{x=\"1\",x=\"2\"} 1\n") ==
        Lines{"comment",
              "line 2: label name \"x\" is not unique: invalid sample"});
}

TEST_CASE("labels may come in any order") {
  CHECK(Read(Format::kText, "a{z=\"1\",b=\"2\",c=\"3\",a=\"4\"} 1\n") ==
        Lines{"{__name__=\"a\", a=\"4\", b=\"2\", c=\"3\", z=\"1\"} "
              "1.000000"});
  CHECK(Read(Format::kText, "a{z=\"1\",b=\"2\",z=\"3\"} 1\n") ==
        Lines{"line 1: label name \"z\" is not unique: invalid sample"});
}

TEST_CASE("OpenMetrics reads seconds, units and exemplars") {
  CHECK(Read(Format::kOpenMetrics,
             "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n"
             "a_seconds_total{x=\"#\"} 1 1.5 # {id=\"}\"} 2 3\n# EOF\n") ==
        Lines{"type a_seconds counter", "unit a_seconds seconds",
              "{__name__=\"a_seconds_total\", x=\"#\"} 1.000000 @1500 # "
              "{id=\"}\"} 2.000000"});
}

TEST_CASE("after the end or an error the parser stays there") {
  const auto good = Parser::Create(Format::kText, "");
  CHECK(good->Next() == Entry::kEnd);
  CHECK(good->Next() == Entry::kEnd);
  const auto bad = Parser::Create(Format::kText, "a\nb 1\n");
  CHECK(bad->Next() == Entry::kError);
  CHECK(bad->Next() == Entry::kError);
}

double Number(const std::string& text) {
  double value = -1;
  const char* end =
      internal::ParseNumber(text.data(), text.data() + text.size(), &value);
  return end == text.data() + text.size() ? value : -12345;
}

TEST_CASE("numbers of every form read as the nearest double") {
  std::mt19937_64 random(11);
  for (int i = 0; i < 20000; ++i) {
    double value = 0;
    switch (i % 4) {
      case 0:
        value = std::bit_cast<double>(random());
        break;
      case 1:
        value = static_cast<double>(random() % 1000000);
        break;
      case 2:
        value = static_cast<double>(random() % 100000) / 1000;
        break;
      default:
        value = static_cast<double>(random());
        break;
    }
    if (!std::isfinite(value)) continue;
    for (const char* format : {"%.17g", "%g", "%.3f", "%.15e"}) {
      char text[400];
      std::snprintf(text, sizeof text, format, value);
      INFO(text);
      CHECK(Number(text) == std::strtod(text, nullptr));
    }
  }
  CHECK(Number("+5") == 5);
  CHECK(Number("1.") == 1);
  CHECK(Number(".5") == 0.5);
  CHECK(Number("-inf") == -std::numeric_limits<double>::infinity());
  CHECK(Number("1e-400") == 0);
  CHECK(std::bit_cast<std::uint64_t>(Number("nan")) == model::kNormalNanBits);
  for (const char* bad : {"", "-", ".", "e5", "1e", "1e999", "0x1", "1_0", "1x",
                          "--1", "1.2.3"}) {
    INFO(bad);
    CHECK(Number(bad) == -12345);
  }
}

TEST_CASE("mutilated bodies never crash") {
  const std::string seeds[] = {
      "# HELP a b\n# TYPE a histogram\na{le=\"1\",x=\"\\\"\"} 1 5\n{\"q\"} 2\n",
      "# TYPE a counter\na_total{x=\"1\"} 1 1.5 # {id=\"x\"} 2 3\n# EOF\n"};
  std::mt19937 random(5);
  for (int i = 0; i < 20000; ++i) {
    std::string text = seeds[i % 2];
    for (unsigned k = 0; k < 1 + i % 4u; ++k) {
      const std::size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = static_cast<char>(random());
          break;
        case 1:
          text.erase(at, random() % 5);
          break;
        default:
          text.insert(at, 1, "{}\"\\= \n#,\t"[random() % 10]);
      }
    }
    Read(i % 2 == 0 ? Format::kText : Format::kOpenMetrics, text);
  }
}

}  // namespace
}  // namespace narthex::exposition
