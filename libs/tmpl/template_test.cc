#include "libs/tmpl/template.h"

#include <catch2/catch.hpp>
#include <string>

#include "absl/strings/match.h"
#include "libs/tmpl/prometheus_functions.h"

namespace narthex::tmpl {
namespace {

Value Data() {
  return Value::OfMap(
      {{"name", Value::String("fennel")},
       {"n", Value::Int(3)},
       {"f", Value::Float(1.5)},
       {"yes", Value::Bool(true)},
       {"list", Value::OfList({Value::String("a"), Value::String("b"),
                               Value::String("c")})},
       {"empty", Value::OfList({})},
       {"map", Value::StringMap(
                   {{"x", Value::String("1")}, {"y", Value::String("2")}})},
       {"deep", Value::OfMap({{"in", Value::String("side")}})}});
}

std::string Expand(const std::string& text) {
  const TemplateSet set(PrometheusFunctions());
  const auto out = set.ExecuteText("t", text, Data());
  return out.ok() ? *out : "ERROR " + std::string(out.status().message());
}

struct Row {
  const char* text;
  const char* want;
};

TEST_CASE("templates of the language give what Go gives") {
  const Row row = GENERATE(values<Row>({
      {"a{{/* gone */}}b", "ab"},
      {"a {{- /* gone */ -}} b", "ab"},
      {"a {{- 1 -}} b", "a1b"},
      {"{{ -1 }} {{ 0x10 }} {{ 1_000 }} {{ 'a' }} {{ 1e3 }}",
       "-1 16 1000 97 1000"},
      {"{{ `raw\\n` }}", "raw\\n"},
      {"{{ .name }} {{ .deep.in }} {{ (.deep).in }}", "fennel side side"},
      {"{{ $x := .n }}{{ $x }}{{ $x = 4 }}{{ $x }}", "34"},
      {"{{ if .yes }}y{{ else }}n{{ end }}", "y"},
      {"{{ if .empty }}y{{ else if .yes }}e{{ else }}n{{ end }}", "e"},
      {"{{ if not .empty }}none{{ end }}", "none"},
      {"{{ with .deep }}{{ .in }}{{ end }}", "side"},
      {"{{ with .empty }}x{{ else with .name }}{{ . }}{{ end }}", "fennel"},
      {"{{ range .list }}{{ . }},{{ end }}", "a,b,c,"},
      {"{{ range $i, $e := .list }}{{ $i }}{{ $e }}{{ end }}", "0a1b2c"},
      {"{{ range $k, $v := .map }}{{ $k }}={{ $v }};{{ end }}", "x=1;y=2;"},
      {"{{ range 3 }}{{ . }}{{ end }}", "012"},
      {"{{ range .empty }}x{{ else }}none{{ end }}", "none"},
      {"{{ range .list }}{{ if eq . \"b\" }}{{ continue }}{{ end }}{{ . }}"
       "{{ end }}",
       "ac"},
      {"{{ range .list }}{{ if eq . \"b\" }}{{ break }}{{ end }}{{ . }}"
       "{{ end }}",
       "a"},
      {"{{ $s := 0 }}{{ range 3 }}{{ $s = . }}{{ end }}{{ $s }}", "2"},
      {"{{ range .list }}{{ $.n }}{{ end }}", "333"},
      {"{{ define \"x\" }}<{{ . }}>{{ end }}{{ template \"x\" .name }}",
       "<fennel>"},
      {"{{ define \"x\" }}{{ . }}{{ end }}{{ template \"x\" }}", "<no value>"},
      {"{{ block \"b\" .n }}[{{ . }}]{{ end }}", "[3]"},
      {"{{ and 1 0 }} {{ or 0 \"x\" }} {{ and true .n }}", "0 x 3"},
      {"{{ or true (index .list 99) }}", "true"},
      {"{{ eq 1 2 1 }} {{ ne 1 2 }} {{ lt 1 2 }} {{ ge 2.5 2.5 }}",
       "true true true true"},
      {"{{ len .list }} {{ len .name }} {{ index .list 1 }} "
       "{{ index .map \"y\" }} {{ slice .name 1 3 }}",
       "3 6 b 2 en"},
      {"{{ .list }} {{ .map }}", "[a b c] map[x:1 y:2]"},
      {"{{ print 1 2 \"x\" }} {{ println 1 }}", "1 2x 1\n"},
      {"{{ printf \"%05.1f|%-4d|%q|%v\" .f .n .name .list }}",
       "001.5|3   |\"fennel\"|[a b c]"},
      {"{{ .name | printf \"%s-%s\" \"x\" }}", "x-fennel"},
      {"{{ html \"<a>\" }} {{ js \"it's\" }} {{ urlquery \"a b&c\" }}",
       "&lt;a&gt; it\\'s a+b%26c"},
      {"{{ .nothing }} {{ .map.z }}", "<no value> <no value>"},
      {"{{ if eq .nothing nil }}nil{{ end }}", "nil"},
      {"{{ true }}{{ 1.0 }}{{ 1e21 }}", "true11e+21"},
      {"{{ 1234567.0 }} {{ 1e6 | humanize }}", "1.234567e+06 1M"},
      {"{{ reReplaceAll \"(.)b\" \"${1}c\" \"abab\" }}", "acac"},
      {"{{ 3 | print | }}", "3"},
      {"{{ title \"it's an éLan\" }} {{ toUpper \"é\" }}", "It'S An ÉLan É"},
      {"{{ reReplaceAll \"x*\" \"-\" \"abc\" }}", "-a-b-c-"},
  }));
  CAPTURE(row.text);
  CHECK(Expand(row.text) == row.want);
}

TEST_CASE("a template that is wrong says where and why") {
  const Row row = GENERATE(values<Row>({
      {"{{", "template: t:1: unclosed action"},
      {"a\n{{ .x ", "template: t:2: unclosed action"},
      {"{{ nope }}", "template: t:1: function \"nope\" not defined"},
      {"{{ $x }}", "template: t:1: undefined variable \"$x\""},
      {"{{ if .x }}", "template: t:1: unexpected EOF in if"},
      {"{{ end }}", "template: t:1: unexpected {{end}}"},
      {"{{ else }}", "template: t:1: unexpected {{else}}"},
      {"{{ break }}", "template: t:1: {{break}} outside {{range}}"},
      {"{{ (1 }}", "template: t:1: unclosed left paren"},
      {"{{ 1) }}", "template: t:1: unexpected right paren"},
      {"{{ \"a }}", "template: t:1: unterminated quoted string"},
      {"{{ .n | 3 }}",
       "template: t:1: non executable command in pipeline stage 2"},
      {"{{ }}", "template: t:1: missing value for command"},
      {"{{ 3 4 }}",
       "template: t:1:3: executing \"t\" at <3 4>: can't give argument to "
       "non-function 3"},
      {"\n{{ .n.x }}",
       "template: t:2:6: executing \"t\" at <.n.x>: can't evaluate field x in "
       "type int"},
      {"{{ index .list 5 }}",
       "template: t:1:3: executing \"t\" at <index .list 5>: error calling "
       "index: index out of range: 5"},
      {"{{ toUpper 1 }}",
       "template: t:1:11: executing \"t\" at <1>: expected string; found 1"},
      {"{{ gt .f 1 }}",
       "template: t:1:3: executing \"t\" at <gt .f 1>: error calling gt: "
       "incompatible types for comparison: float64 and int"},
      {"{{ title }}",
       "template: t:1:3: executing \"t\" at <title>: wrong number of args for "
       "title: want 1 got 0"},
      {"{{ template \"none\" }}",
       "template: t:1:12: executing \"t\" at <{{template \"none\"}}>: template "
       "\"none\" not defined"},
  }));
  CAPTURE(row.text);
  CHECK(Expand(row.text) == std::string("ERROR ") + row.want);
}

TEST_CASE("a template that calls itself for ever is stopped") {
  CHECK(
      absl::StrContains(Expand("{{ define \"x\" }}{{ template \"x\" }}{{ end }}"
                               "{{ template \"x\" }}"),
                        "exceeded maximum template depth"));
}

TEST_CASE("no text makes the parser crash or hang") {
  const std::string whole =
      "a{{- if and .x (eq $.y `z`) -}}{{range $i, $e := .l}}{{$i|printf "
      "\"%d\"}}{{else}}{{template \"t\" .}}{{end}}{{/* c */}}{{end}}"
      "{{define \"t\"}}{{'x'}}{{1.5e3}}{{end}}";
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    Expand(whole.substr(0, cut));
    for (const char c : {'{', '}', '(', '"', '.', '$', '\xff', '\0'}) {
      std::string changed = whole;
      if (cut < changed.size()) changed[cut] = c;
      Expand(changed);
    }
  }
  CHECK(absl::StrContains(Expand("{{" + std::string(100000, '(')),
                          "nested too deeply"));
}

TEST_CASE("a later definition replaces an earlier one in a set") {
  TemplateSet set(FuncMap{});
  REQUIRE(set.Parse("a.tmpl", "{{ define \"x\" }}one{{ end }}").ok());
  REQUIRE(set.Parse("b.tmpl", "{{ define \"x\" }}two{{ end }}").ok());
  REQUIRE(set.Parse("c.tmpl", "{{ define \"x\" }} {{ end }}").ok());

  CHECK(set.Has("x"));
  CHECK(set.Execute("x", Value()).value() == "two");
  CHECK(set.ExecuteText("", "{{ template \"x\" }}!", Value()).value() ==
        "two!");
  CHECK(absl::IsNotFound(set.Execute("y", Value()).status()));
}

}  // namespace
}  // namespace narthex::tmpl
