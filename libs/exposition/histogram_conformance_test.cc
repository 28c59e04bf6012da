#include <catch2/catch.hpp>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/file.h"
#include "libs/base/float_format.h"
#include "libs/exposition/custom_buckets.h"
#include "libs/exposition/parser.h"

namespace narthex::exposition {
namespace {

using Json = nlohmann::json;

std::string ReadData(const std::string& name) {
  const char* shared = std::getenv("NARTHEX_SHARED");
  const std::string root = shared != nullptr ? shared : NARTHEX_SHARED_DEFAULT;
  const auto text = base::ReadFile(root + "/conformance/exposition/" + name);
  if (text.ok()) return *text;
  WARN("no conformance data: " << text.status());
  return "";
}

double NumberOf(const Json& json) {
  if (json.is_null()) return 0;
  return json.is_string() ? *base::ParseFloat(json.get<std::string>())
                          : json.get<double>();
}

// Empty values count as absent.
std::string ShowLabels(const Json& json) {
  model::LabelsBuilder labels;
  for (const auto& [name, value] : json.items()) {
    labels.Set(name, value.get<std::string>());
  }
  return labels.Build().ToString();
}

template <typename T>
std::string ShowNumbers(const std::vector<T>& values) {
  return absl::StrJoin(values, ",", [](std::string* out, const T& value) {
    absl::StrAppend(out, base::FormatFloat(static_cast<double>(value)));
  });
}

std::string ShowSpans(const std::vector<model::BucketSpan>& spans) {
  return absl::StrJoin(spans, " ",
                       [](std::string* out, const model::BucketSpan& span) {
                         absl::StrAppend(out, span.offset, "+", span.length);
                       });
}

std::string ShowSpans(const Json& spans) {
  std::vector<model::BucketSpan> own;
  for (const Json& span : spans)
    own.push_back({span["offset"], span["length"]});
  return ShowSpans(own);
}

std::string ShowNumbers(const Json& numbers) {
  std::vector<double> values;
  for (const Json& one : numbers) values.push_back(NumberOf(one));
  return ShowNumbers(values);
}

template <typename Histogram, typename Buckets>
std::string Show(const Histogram& h, const Buckets& positive,
                 const Buckets& negative) {
  return absl::StrCat(
      "schema ", h.schema, " threshold ", base::FormatFloat(h.zero_threshold),
      " zero ", base::FormatFloat(static_cast<double>(h.zero_count)), " count ",
      base::FormatFloat(static_cast<double>(h.count)), " sum ",
      base::FormatFloat(h.sum), " positive ", ShowSpans(h.positive_spans), ": ",
      ShowNumbers(positive), " negative ", ShowSpans(h.negative_spans), ": ",
      ShowNumbers(negative), " bounds ", ShowNumbers(h.custom_bounds),
      h.counter_reset == model::CounterReset::kGauge ? " gauge" : "");
}

std::string Show(const model::HistogramValue& value) {
  return value.integer != nullptr
             ? absl::StrCat("integer ",
                            Show(*value.integer, value.integer->positive_deltas,
                                 value.integer->negative_deltas))
             : absl::StrCat("float ", Show(*value.floating,
                                           value.floating->positive_buckets,
                                           value.floating->negative_buckets));
}

std::string ShowHistogram(const Json& h) {
  const auto number = [&h](const char* name) {
    return base::FormatFloat(NumberOf(h.value(name, Json())));
  };
  return absl::StrCat(
      h["float"].get<bool>() ? "float " : "integer ", "schema ",
      number("schema"), " threshold ", number("zero_threshold"), " zero ",
      number("zero_count"), " count ", number("count"), " sum ", number("sum"),
      " positive ", ShowSpans(h.value("positive_spans", Json::array())), ": ",
      ShowNumbers(h.value("positive_buckets", Json::array())), " negative ",
      ShowSpans(h.value("negative_spans", Json::array())), ": ",
      ShowNumbers(h.value("negative_buckets", Json::array())), " bounds ",
      ShowNumbers(h.value("custom_values", Json::array())),
      h.value("counter_reset_hint", "") == "gauge" ? " gauge" : "");
}

std::string ShowEntry(const Json& entry) {
  const std::string kind = entry["kind"];
  if (kind == "comment") {
    return absl::StrCat("comment ", entry["text"].get<std::string>());
  }
  if (kind != "series" && kind != "histogram") {
    return absl::StrCat(kind, " ", entry["metric"].get<std::string>(), " ",
                        entry[kind].get<std::string>());
  }
  std::string text = ShowLabels(entry["labels"]);
  absl::StrAppend(&text, " ",
                  kind == "series" ? base::FormatFloat(NumberOf(entry["value"]))
                                   : ShowHistogram(entry["histogram"]));
  if (entry.contains("timestamp_ms")) {
    absl::StrAppend(&text, " at ", entry["timestamp_ms"].get<std::int64_t>());
  }
  if (entry.contains("start_timestamp_ms")) {
    absl::StrAppend(&text, " since ",
                    entry["start_timestamp_ms"].get<std::int64_t>());
  }
  for (const Json& one : entry.value("exemplars", Json::array())) {
    absl::StrAppend(&text, " # ", ShowLabels(one["labels"]), " ",
                    base::FormatFloat(NumberOf(one["value"])));
    if (one.contains("timestamp_ms")) {
      absl::StrAppend(&text, " ", one["timestamp_ms"].get<std::int64_t>());
    }
  }
  return text;
}

std::string ShowSample(Parser& parser, bool histogram) {
  model::Labels labels;
  REQUIRE(parser.ParseLabels(&labels).ok());
  std::string text = absl::StrCat(
      labels.ToString(), " ",
      histogram ? Show(parser.histogram()) : base::FormatFloat(parser.value()));
  if (parser.has_timestamp()) {
    absl::StrAppend(&text, " at ", parser.timestamp_ms());
  }
  if (parser.start_ms() != 0) {
    absl::StrAppend(&text, " since ", parser.start_ms());
  }
  std::vector<Exemplar> exemplars;
  if (parser.has_exemplar()) REQUIRE(parser.ParseExemplars(&exemplars).ok());
  for (const Exemplar& one : exemplars) {
    absl::StrAppend(&text, " # ", one.labels.ToString(), " ",
                    base::FormatFloat(one.value));
    if (one.has_timestamp) absl::StrAppend(&text, " ", one.timestamp_ms);
  }
  return text;
}

std::string ShowEntry(Parser& parser, Entry entry) {
  switch (entry) {
    case Entry::kComment:
      return absl::StrCat("comment ", parser.text());
    case Entry::kHelp:
      return absl::StrCat("help ", parser.metric(), " ", parser.text());
    case Entry::kUnit:
      return absl::StrCat("unit ", parser.metric(), " ", parser.text());
    case Entry::kType:
      return absl::StrCat("type ", parser.metric(), " ",
                          model::MetricTypeName(parser.type()));
    default:
      return ShowSample(parser, entry == Entry::kHistogram);
  }
}

}  // namespace

TEST_CASE("protobuf bodies give the entries that Prometheus reads from them") {
  const std::string body = ReadData("protobuf.delimited.bin");
  const std::string vectors = ReadData("protobuf.json");
  if (body.empty() || vectors.empty()) return;
  int count = 0;
  const Json all = Json::parse(vectors);
  for (const Json& scenario : all["scenarios"]) {
    const Json& wanted = scenario["options"];
    const auto is_on = [&wanted](const char* name) {
      return wanted[name] == "true";
    };
    if (is_on("enableTypeAndUnitLabels")) continue;
    INFO(scenario["name"]);
    ParserOptions options;
    options.native_histograms = !is_on("ignoreNativeHistograms");
    options.classic_beside_native = is_on("parseClassicHistograms");
    options.start_timestamps = true;
    const auto parser = Parser::Create(Format::kProtobuf, body, options);
    for (const Json& entry : scenario["entries"]) {
      const Entry got = parser->Next();
      INFO(parser->status());
      REQUIRE(got != Entry::kError);
      REQUIRE(got != Entry::kEnd);
      CHECK(ShowEntry(*parser, got) == ShowEntry(entry));
      ++count;
    }
    CHECK(parser->Next() == Entry::kEnd);
  }
  WARN("entries: " << count);
}

TEST_CASE("classic histograms become those that Prometheus makes of them") {
  const std::string vectors = ReadData("parse_ok.json");
  if (vectors.empty()) return;
  const Json all = Json::parse(vectors);
  int count = 0;
  for (const Json& row : all) {
    const Json options = row.value("options", Json::object());
    if (!options.value("convert_classic_histograms_to_nhcb", false) ||
        options.value("type_and_unit_labels", false)) {
      continue;
    }
    INFO(row["name"]);
    const std::string input = row["input"];
    ParserOptions parsing;
    parsing.start_timestamps = options.value("skip_created_series", false);
    const auto parser = WithCustomBuckets(
        Parser::Create(
            row["format"] == "text" ? Format::kText : Format::kOpenMetrics,
            input, parsing),
        options.value("keep_classic", false));
    const Json& wanted = row["entries"];
    std::size_t i = 0;
    for (Entry got = parser->Next(); got != Entry::kEnd; got = parser->Next()) {
      INFO(parser->status());
      REQUIRE(got != Entry::kError);
      const std::string text = ShowEntry(*parser, got);
      const std::string next = i < wanted.size() ? ShowEntry(wanted[i]) : "";
      CHECK(text == next);
      ++i;
      ++count;
    }
    CHECK(i == wanted.size());
  }
  WARN("entries: " << count);
}

TEST_CASE("a protobuf body that is cut or changed anywhere does no harm") {
  const std::string body = ReadData("protobuf.delimited.bin");
  const auto walk = [](const std::string& bytes) {
    ParserOptions options;
    options.native_histograms = true;
    options.classic_beside_native = true;
    const auto parser = Parser::Create(Format::kProtobuf, bytes, options);
    Entry entry = Entry::kEnd;
    while ((entry = parser->Next()) != Entry::kEnd && entry != Entry::kError) {
      if (entry != Entry::kSeries && entry != Entry::kHistogram) continue;
      model::Labels labels;
      std::vector<Exemplar> exemplars;
      parser->ParseLabels(&labels).IgnoreError();
      if (parser->has_exemplar()) {
        parser->ParseExemplars(&exemplars).IgnoreError();
      }
    }
    return entry;
  };
  for (std::size_t i = 0; i < body.size(); i += 7) {
    walk(body.substr(0, i));
    std::string changed = body;
    changed[i] = static_cast<char>(changed[i] ^ 0x55);
    walk(changed);
  }
  if (!body.empty()) CHECK(walk(body) == Entry::kEnd);
}

}  // namespace narthex::exposition
