#include <catch2/catch.hpp>
#include <string>

#include "libs/tmpl/alertmanager_functions.h"
#include "libs/tmpl/template.h"

namespace narthex::tmpl {
namespace {

std::string Render(const std::string& text) {
  const TemplateSet set(AlertmanagerFunctions([] { return 0; }));
  const Value data = Value::OfMap({
      {"evil", Value::String("<script>alert(\"1\")</script>")},
      {"url", Value::String("javascript:alert(1)")},
      {"link", Value::String("http://x/a b?c=d&e")},
      {"text", Value::String("it's")},
  });
  const auto out = set.ExecuteText("t", text, data, {true});
  return out.ok() ? *out : "ERROR " + std::string(out.status().message());
}

struct Row {
  const char* text;
  const char* want;
};

TEST_CASE("values are escaped for the place in HTML where they stand") {
  const Row row = GENERATE(values<Row>({
      {"<p>{{ .evil }}</p>",
       "<p>&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;</p>"},
      {"<p>{{ .evil | safeHtml }}</p>", "<p><script>alert(\"1\")</script></p>"},
      {"<p title=\"{{ .evil }}\">x</p>",
       "<p "
       "title=\"&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;\">x</p>"},
      {"<a title={{ .text }}>", "<a title=it&#39;s>"},
      {"<a href=\"{{ .url }}\">", "<a href=\"#ZgotmplZ\">"},
      {"<a href=\"{{ .link }}\">", "<a href=\"http://x/a%20b?c=d&amp;e\">"},
      {"<a href=\"/q?x={{ .link }}\">",
       "<a href=\"/q?x=http%3a%2f%2fx%2fa%20b%3fc%3dd%26e\">"},
      {"<script>var x = {{ .evil }};</script>",
       "<script>var x = "
       "\"\\u003cscript\\u003ealert(\\\"1\\\")\\u003c/script\\u003e\";"
       "</script>"},
      {"<script>var x = '{{ .text }}';</script>",
       "<script>var x = 'it\\u0027s';</script>"},
      {"<p style=\"color: {{ .url }}\">", "<p style=\"color: ZgotmplZ\">"},
      {"<!-- {{ .evil }} --><b>{{ .text }}</b>", "<!--  --><b>it&#39;s</b>"},
      {"<textarea>{{ .evil }}</textarea>",
       "<textarea>&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;"
       "</textarea>"},
      {"<img {{ .evil }}>", "<img ZgotmplZ>"},
      {"<img {{ \"onclick\" }}>", "<img ZgotmplZ>"},
      {"<img {{ \"class\" }}=\"x\">", "<img class=\"x\">"},
      {"<{{ \"b\" }}>", "&lt;b>"},
      {"<a title={{ \"it's a b=c`\" }}>",
       "<a title=it&#39;s&#32;a&#32;b&#61;c&#96;>"},
      {"<input onclick=\"f('{{ .text }}', {{ 3 }})\">",
       "<input onclick=\"f('it\\u0027s',  3 )\">"},
      {"<style>p { width: {{ 3 }}px }</style>",
       "<style>p { width: 3px }</style>"},
      {"{{ .missing }}", ""},
  }));
  CAPTURE(row.text);
  CHECK(Render(row.text) == row.want);
}

}  // namespace
}  // namespace narthex::tmpl
