// What people and programs write: expositions, queries, regular expressions,
// relabelling, templates, configuration.
#include <re2/re2.h>

#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/quote.h"
#include "libs/config/config.h"
#include "libs/exposition/custom_buckets.h"
#include "libs/exposition/parser.h"
#include "libs/model/histogram_resolution.h"
#include "libs/model/labels.h"
#include "libs/model/matcher.h"
#include "libs/promql/parser.h"
#include "libs/relabel/relabel.h"
#include "libs/tmpl/template.h"
#include "libs/tmpl/text_functions.h"
#include "tests/fuzz/fuzz_target.h"

namespace narthex::fuzz {
namespace {

using Lines = std::vector<absl::string_view>;

// Expositions.

// All that a parser gives, with or without guessing right.
std::string Parsed(exposition::Parser& parser, bool guess) {
  std::string all;
  std::string last;
  model::Labels labels;
  while (true) {
    const exposition::Entry entry =
        parser.Next(guess ? absl::string_view(last) : absl::string_view());
    if (entry == exposition::Entry::kEnd) return all;
    const bool histogram = entry == exposition::Entry::kHistogram;
    const bool series = entry == exposition::Entry::kSeries || histogram;
    // A malformed series may be noticed here or there.
    if (entry == exposition::Entry::kError ||
        (series && !parser.ParseLabels(&labels).ok())) {
      return all + "error";
    }
    absl::StrAppend(&all, static_cast<int>(entry), " ");
    if (!series) continue;
    last = std::string(parser.series());
    absl::StrAppend(&all, last, " ", parser.value(), " ",
                    parser.has_timestamp() ? parser.timestamp_ms() : 0, " ",
                    parser.start_ms(), labels.encoded(),
                    parser.EmptyLabelNames().size());
    if (histogram) {
      model::HistogramValue value = parser.histogram();
      model::LimitSchema(model::SchemaForFactor(1.5), &value);
      absl::StrAppend(&all, model::LimitBuckets(20, &value));
    }
    std::vector<exposition::Exemplar> exemplars;
    if (parser.has_exemplar() && parser.ParseExemplars(&exemplars).ok()) {
      for (const auto& one : exemplars) {
        absl::StrAppend(&all, one.labels.encoded(), one.value);
      }
    }
  }
}

std::string Parsed(exposition::Format format, absl::string_view body,
                   bool guess) {
  return Parsed(*exposition::Parser::Create(format, body), guess);
}

// The same with all that a scrape can ask for.
void ParseAll(exposition::Format format, absl::string_view body) {
  for (const bool classic : {false, true}) {
    exposition::ParserOptions options;
    options.start_timestamps = true;
    options.native_histograms = true;
    options.classic_beside_native = classic;
    auto parser = exposition::Parser::Create(format, body, options);
    Parsed(*parser, false);
    parser = exposition::WithCustomBuckets(
        exposition::Parser::Create(format, body, options), classic);
    Parsed(*parser, false);
  }
}

template <exposition::Format format>
void RunExposition(absl::string_view input) {
  Require(Parsed(format, input, false) == Parsed(format, input, true),
          "a guess changes what is parsed");
  ParseAll(format, input);
}

void RunProtobuf(absl::string_view input) {
  Parsed(exposition::Format::kProtobuf, input, false);
  ParseAll(exposition::Format::kProtobuf, input);
}

std::vector<std::string> TextExpositions() {
  std::vector<std::string> seeds = SharedFiles("exposition/testdata/*");
  seeds.push_back(
      "# HELP a_total Help.\n# TYPE a_total counter\n"
      "a_total{x=\"y\\n\\\"\",z=\"\xe2\x82\xac\"} 1.5e3 1700000000000\n"
      "{\"utf.8\",\"l l\"=\"v\"} NaN\nb 0x1p-3\nc{} +Inf\n");
  return seeds;
}

std::vector<std::string> OpenMetricsExpositions() {
  std::vector<std::string> seeds = SharedFiles("exposition/testdata/*");
  seeds.push_back(
      "# TYPE a counter\n# UNIT a seconds\n# HELP a Help.\n"
      "a_total{x=\"y\"} 1 1700000000.5 # {trace_id=\"abc\"} 0.5 1.25\n"
      "a_created{x=\"y\"} 17\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\n"
      "h_bucket{le=\"+Inf\"} 3\nh_sum 4\nh_count 3\nh_created 9.5\n"
      "# EOF\n");
  return seeds;
}

std::vector<std::string> ProtobufExpositions() {
  return {SharedFile("exposition/protobuf.delimited.bin")};
}

// PromQL.

void RunPromql(absl::string_view input) {
  promql::ParseMetricSelector(input).status().IgnoreError();
  promql::ParseMetric(input).status().IgnoreError();
  const auto expr = promql::Parse(input, promql::ParserOptions::All());
  if (!expr.ok()) return;
  const std::string printed = (*expr)->String();
  const auto again = promql::Parse(printed, promql::ParserOptions::All());
  Require(again.ok(), absl::StrCat("not parsed again: ", input, " -> ", printed,
                                   ": ", again.status().message()));
  Require((*again)->String() == printed,
          absl::StrCat("printed otherwise the second time: ", input, " -> ",
                       printed, " -> ", (*again)->String()));
}

std::vector<std::string> Queries() {
  std::vector<std::string> queries = {
      "sum by (job) (rate(http_requests_total{code=~\"5..\"}[5m]))",
      "a + on (x) group_left (y) b offset 5m @ 17.5",
      "histogram_quantile(0.9, sum without (i) (rate(b_bucket[1m:10s])))",
      "topk(3, -{__name__=\"x\", \"utf 8\"!=\"\\u20ac\"}) > bool 2 ^ 3 ^ -1",
      "label_replace(up, 'a', '$1', `b`, '(.*)') or vector(1e3) unless 0x1f",
      "count_values('v', up @ start() offset -(5m + 1h))",
      "a == bool b atan2 c % NaN or Inf",
      "{\"a.b\", c=~\"d|e\"}[5m] anchored",
  };
  for (const std::string& script : SharedFiles("promql/testdata/*", 1 << 20)) {
    for (const absl::string_view line : absl::StrSplit(script, '\n')) {
      if (!absl::StartsWith(line, "eval instant at")) continue;
      // "eval instant at 5m <query>"
      const Lines words = absl::StrSplit(line, absl::MaxSplits(' ', 4));
      if (words.size() == 5 && queries.size() < 1000) {
        queries.emplace_back(words[4]);
      }
    }
  }
  return queries;
}

// Regular expressions: the first line is the pattern, the others are texts.

void RunRegex(absl::string_view input) {
  const Lines lines = absl::StrSplit(input, '\n');
  const auto regex = model::AnchoredRegex::Create(lines[0]);
  RE2::Options options;
  options.set_log_errors(false);
  const RE2 plain(absl::StrCat("^(?s:", lines[0], ")$"), options);
  if (!regex.ok()) return;
  Require(plain.ok(), "a pattern that RE2 does not take");
  for (std::size_t i = 1; i < lines.size(); ++i) {
    // Label values are UTF-8; elsewhere RE2's dot differs from Go's.
    if (!base::IsValidUtf8(lines[i])) continue;
    const bool matches = regex->Matches(lines[i]);
    Require(
        matches ==
            RE2::FullMatch(re2::StringPiece(lines[i].data(), lines[i].size()),
                           plain),
        absl::StrCat("another answer than RE2: ", lines[0], " on ", lines[i]));
    Require(!matches || absl::StartsWith(lines[i], regex->prefix()),
            "a match without the prefix");
  }
  for (const std::string& literal : regex->literals()) {
    Require(RE2::FullMatch(literal, plain), "a literal that does not match");
  }
}

std::vector<std::string> Regexes() {
  return {"foo.*\nfoobar\nbar",
          "a|b|c\na\nd",
          ".*x.*\nyxz\nyz",
          "(?i:ab)c\nABc\nabC",
          ".+\n\na",
          "host-[0-9]{1,3}\\.eu\nhost-12.eu\n",
          "a?b*(c|d)+\nabcd\n",
          "(foo|bar)baz.*\nfoobaz1\nbarbaz\n",
          "[a-c]x\\d\nax1\ndx1",
          "\\Qa.b\\E\na.b\naxb",
          "^a$|^b$\na\nb",
          "\xe2\x82\xac+\n\xe2\x82\xac\xe2\x82\xac"};
}

// Relabelling, a line a field.

void RunRelabel(absl::string_view input) {
  const Lines lines = absl::StrSplit(input, '\n');
  const auto line = [&](std::size_t i) {
    return std::string(i < lines.size() ? lines[i] : absl::string_view());
  };
  relabel::Config config;
  config.action = line(0);
  config.source_labels = absl::StrSplit(line(1), ',', absl::SkipEmpty());
  config.separator = line(2);
  config.regex = line(3);
  config.replacement = line(4);
  config.target_label = line(5);
  config.modulus = line(6).size();
  for (const auto validation :
       {relabel::NameValidation::kUtf8, relabel::NameValidation::kLegacy}) {
    const auto rule = relabel::Rule::Create(config, validation);
    if (!rule.ok()) continue;
    model::LabelsBuilder labels(model::Labels{
        {"__name__", "up"}, {"job", "node"}, {"instance", "host:9100"}});
    if (rule->Apply(&labels)) {
      const model::Labels built = labels.Build();
      model::Labels checked;
      // As in Prometheus a name may come out empty: no series takes that.
      Require(built.Has("") ||
                  model::Labels::FromEncoded(built.encoded(), &checked),
              "labels that are none");
    }
  }
}

std::vector<std::string> Relabellings() {
  return {"replace\njob,instance\n;\n(.*);(.*):.*\n$1-${2}\nhost\n",
          "hashmod\ninstance\n;\n(.*)\n$1\n__tmp\n1234567",
          "labelmap\n\n;\n(j)(.*)\nx_$1_$2\n\n",
          "labeldrop\n\n;\njo.*\n$1\n\n",
          "keep\njob\n;\nno.*\n$1\n\n",
          "keepequal\njob\n;\n(.*)\n$1\ninstance\n",
          "lowercase\njob\n;\n(.*)\n$1\nx\n"};
}

// Templates.

void RunTemplate(absl::string_view input) {
  const tmpl::TemplateSet set(tmpl::TextFunctions());
  const tmpl::Value data;
  for (const bool html : {false, true}) {
    tmpl::ExecuteOptions options;
    options.html = html;
    set.ExecuteText("t", input, data, options).status().IgnoreError();
  }
}

std::vector<std::string> Templates() {
  return {"{{ if and true (eq 1 1) }}a{{ else if .x }}b{{ end }}",
          "{{ range $i, $v := .list }}{{ $i }}{{ else }}none{{ end }}",
          "{{ define \"a\" }}{{ . }}{{ end }}{{ template \"a\" \"x\" }}",
          "{{ with $x := printf \"%05.2f|%-8q|%v\" 3.14 \"a\" nil }}{{ end }}",
          "<a href=\"{{ \"x y\" }}\" onclick='f({{ 1.5 }})'>{{- . -}}</a>",
          "{{ \"abc\" | toUpper | reReplaceAll \"B\" \"x\" | len }}",
          "{{ index (slice \"abc\" 1) 0 }}{{ html \"<\" }}{{ 1e3 }}{{ 'x' }}",
          "{{/* c */}}{{ break }}{{ block \"b\" . }}{{ end }}"};
}

// Configuration.

void RunConfig(absl::string_view input) {
  const auto config = config::Parse(input, "prometheus.yml", "/nonexistent");
  if (config.ok()) config->Print();
}

std::vector<std::string> Configs() {
  std::vector<std::string> configs = SharedFiles("config/prometheus/*.yml");
  configs.push_back(
      "global: {scrape_interval: 15s, external_labels: {a: b}}\n"
      "rule_files: [x.yml]\nscrape_configs:\n- job_name: j\n"
      "  static_configs: [{targets: ['a:1'], labels: {c: d}}]\n"
      "  relabel_configs: [{source_labels: [x], action: drop, regex: y}]\n"
      "alerting: {alertmanagers: [{static_configs: [{targets: [b]}]}]}\n");
  return configs;
}

}  // namespace

const std::vector<Target>& Targets() {
  static const std::vector<Target> targets = {
      {"exposition_text", RunExposition<exposition::Format::kText>,
       TextExpositions},
      {"exposition_open_metrics",
       RunExposition<exposition::Format::kOpenMetrics>, OpenMetricsExpositions},
      {"exposition_protobuf", RunProtobuf, ProtobufExpositions},
      {"promql", RunPromql, Queries},
      {"regex", RunRegex, Regexes},
      {"relabel", RunRelabel, Relabellings},
      {"template", RunTemplate, Templates},
      {"prometheus_yaml", RunConfig, Configs},
  };
  return targets;
}

}  // namespace narthex::fuzz
