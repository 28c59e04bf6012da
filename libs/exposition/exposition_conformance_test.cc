#include <absl/strings/escaping.h>
#include <absl/strings/match.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "libs/base/file.h"
#include "libs/base/float_format.h"
#include "libs/exposition/parser.h"

namespace narthex::exposition {
namespace {

using Json = nlohmann::json;

std::string DataPath(const std::string& name) {
  const char* shared = std::getenv("NARTHEX_SHARED");
  const std::string root = shared != nullptr ? shared : NARTHEX_SHARED_DEFAULT;
  return root + "/conformance/exposition/" + name;
}

Json Vectors(const std::string& name) {
  const auto text = base::ReadFile(DataPath(name));
  if (!text.ok()) {
    WARN("no conformance data: " << text.status());
    return Json::array();
  }
  return Json::parse(*text);
}

Format FormatNamed(const std::string& name) {
  return name == "text" ? Format::kText : Format::kOpenMetrics;
}

model::Labels LabelsOf(const Json& json) {
  model::LabelsBuilder labels;
  for (const auto& [name, value] : json.items()) {
    labels.Set(name, value.get<std::string>());
  }
  return labels.Build();
}

double NumberOf(const Json& json) {
  return json.is_string() ? *base::ParseFloat(json.get<std::string>())
                          : json.get<double>();
}

bool SameValue(double a, double b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

void CheckSeries(Parser& parser, const Json& entry) {
  CHECK(parser.series() == entry["raw"].get<std::string>());
  model::Labels labels;
  const absl::Status status = parser.ParseLabels(&labels);
  INFO(status);
  REQUIRE(status.ok());
  if (!entry.contains("labels")) return;
  CHECK(labels.ToString() == LabelsOf(entry["labels"]).ToString());
  CHECK(SameValue(parser.value(), NumberOf(entry["value"])));
  CHECK(parser.has_timestamp() == entry.contains("timestamp_ms"));
  if (parser.has_timestamp()) {
    CHECK(parser.timestamp_ms() == entry["timestamp_ms"].get<std::int64_t>());
  }
  CHECK(parser.start_ms() == entry.value("start_timestamp_ms", 0LL));
  CHECK(parser.has_exemplar() == entry.contains("exemplars"));
  if (!parser.has_exemplar()) return;
  Exemplar exemplar;
  REQUIRE(parser.ParseExemplar(&exemplar).ok());
  const Json& wanted = entry["exemplars"][0];
  CHECK(exemplar.labels == LabelsOf(wanted["labels"]));
  CHECK(exemplar.value == NumberOf(wanted["value"]));
  CHECK(exemplar.has_timestamp == wanted.contains("timestamp_ms"));
  if (exemplar.has_timestamp) {
    CHECK(exemplar.timestamp_ms == wanted["timestamp_ms"].get<std::int64_t>());
  }
}

void CheckEntry(Parser& parser, Entry got, const Json& entry) {
  INFO("want " << entry.dump());
  INFO(parser.status());
  const std::string kind = entry["kind"];
  const Entry wanted = kind == "series" ? Entry::kSeries
                       : kind == "help" ? Entry::kHelp
                       : kind == "type" ? Entry::kType
                       : kind == "unit" ? Entry::kUnit
                                        : Entry::kComment;
  REQUIRE(got == wanted);
  if (got == Entry::kSeries) {
    CheckSeries(parser, entry);
  } else if (got == Entry::kComment) {
    CHECK(parser.text() == entry["text"].get<std::string>());
  } else {
    CHECK(parser.metric() == entry["metric"].get<std::string>());
    if (kind == "type") {
      CHECK((model::MetricTypeName(parser.type()) == entry["type"] ||
             entry["type"] == "unknown"));
    } else {
      CHECK(parser.text() == entry[kind].get<std::string>());
    }
  }
}

TEST_CASE("bodies give the entries that Prometheus reads from them") {
  int cases = 0;
  int entries = 0;
  int left_out = 0;
  for (const Json& row : Vectors("parse_ok.json")) {
    const Json options = row.value("options", Json::object());
    if (options.value("type_and_unit_labels", false) ||
        options.value("convert_classic_histograms_to_nhcb", false)) {
      ++left_out;
      continue;
    }
    INFO(row["name"]);
    const std::string input = row["input"];
    ParserOptions parsing;
    parsing.start_timestamps = options.value("skip_created_series", false);
    const auto parser =
        Parser::Create(FormatNamed(row["format"]), input, parsing);
    const Json& wanted = row["entries"];
    std::size_t i = 0;
    for (Entry got = parser->Next(); got != Entry::kEnd; got = parser->Next()) {
      INFO(parser->status());
      REQUIRE(i < wanted.size());
      CheckEntry(*parser, got, wanted[i]);
      ++i;
      ++entries;
    }
    CHECK(i == wanted.size());
    ++cases;
  }
  WARN("bodies: " << cases << ", entries: " << entries
                  << ", left out (type and unit labels, histograms with "
                     "custom buckets): "
                  << left_out);
}

bool Parses(Format format, const std::string& input) {
  const auto parser = Parser::Create(format, input);
  for (;;) {
    const Entry entry = parser->Next();
    if (entry == Entry::kEnd) return true;
    if (entry == Entry::kError) return false;
    if (entry != Entry::kSeries) continue;
    model::Labels labels;
    Exemplar exemplar;
    if (!parser->ParseLabels(&labels).ok()) return false;
    if (parser->has_exemplar() && !parser->ParseExemplar(&exemplar).ok()) {
      return false;
    }
  }
}

TEST_CASE("malformed bodies are refused") {
  int count = 0;
  for (const Json& row : Vectors("parse_errors.json")) {
    INFO(row.dump(-1, ' ', true));
    std::string input = row.value("input", "");
    if (row.contains("input_base64")) {
      REQUIRE(
          absl::Base64Unescape(row["input_base64"].get<std::string>(), &input));
    }
    CHECK(Parses(FormatNamed(row["format"]), input) == row["ok"].get<bool>());
    ++count;
  }
  WARN("bodies: " << count);
}

TEST_CASE("responses pick their parser by Content-Type") {
  for (const Json& row : Vectors("content_type.json")) {
    INFO(row.dump());
    std::string name = row["fallback_scrape_protocol"];
    // The vectors name versions with underscores.
    for (char& c : name) c = c == '_' ? '.' : c;
    const FormatChoice choice = ChooseFormat(
        row["content_type"].get<std::string>(), ParseProtocol(name));
    const std::string got = !choice.format.has_value()        ? "none"
                            : *choice.format == Format::kText ? "text"
                            : *choice.format == Format::kOpenMetrics
                                ? "openmetrics"
                                : "protobuf";
    CHECK(got == (row["parser"].is_null() ? "none"
                                          : row["parser"].get<std::string>()));
    CHECK_THAT(choice.complaint,
               Catch::Contains(row["complaint_contains"].get<std::string>()));
    CHECK(choice.complaint.empty() ==
          row["complaint_contains"].get<std::string>().empty());
  }
}

TEST_CASE("real scrapes parse whole") {
  for (const char* name :
       {"1histogram.om.txt", "alltypes.237mfs.nometa.prom.txt",
        "alltypes.237mfs.prom.txt", "alltypes.5mfs.om.txt"}) {
    const auto text = base::ReadFile(DataPath(std::string("testdata/") + name));
    if (!text.ok()) continue;
    INFO(name);
    std::string body = *text;
    const bool open_metrics = absl::StrContains(name, ".om.");
    // Some of the files are cut before their end mark.
    if (open_metrics && !absl::StrContains(body, "# EOF")) body += "# EOF\n";
    CHECK(Parses(open_metrics ? Format::kOpenMetrics : Format::kText, body));
  }
}

}  // namespace
}  // namespace narthex::exposition
