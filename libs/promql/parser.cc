#include "libs/promql/parser.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/promql/internal/syntax.h"

namespace narthex::promql {

absl::StatusOr<ExprPtr> Parse(absl::string_view text,
                              const ParserOptions& options) {
  internal::Parser parser(text, options);
  ExprPtr expr = parser.ParseWholeExpression();
  if (!parser.status().ok()) return parser.status();
  internal::ErrorSink errors(text);
  internal::CheckTypes(text, expr.get(), &errors);
  if (errors.failed()) return errors.status();
  return expr;
}

absl::StatusOr<std::vector<model::Matcher>> ParseMetricSelector(
    absl::string_view text) {
  internal::Parser parser(text, ParserOptions());
  auto selector = parser.ParseWholeSelector();
  if (!parser.status().ok()) return parser.status();
  return std::move(selector->matchers);
}

absl::StatusOr<model::Labels> ParseMetric(absl::string_view text) {
  internal::Parser parser(text, ParserOptions());
  model::Labels labels = parser.ParseWholeMetric();
  if (!parser.status().ok()) return parser.status();
  return labels;
}

absl::StatusOr<model::Labels> ParseMetricPrefix(absl::string_view text,
                                                std::size_t* length) {
  constexpr absl::string_view kSpaces = " \t\r\n";
  std::size_t end = std::min(text.find_first_of(" \t\r\n{"), text.size());
  // White space may stand between name and braces, not a value: those begin
  // with "{{".
  const std::size_t next = text.find_first_not_of(kSpaces, end);
  if (next != absl::string_view::npos && text[next] == '{' &&
      text.substr(next, 2) != "{{") {
    end = next;
    char quote = '\0';
    for (++end; end < text.size(); ++end) {
      const char c = text[end];
      if (quote != '\0') {
        if (c == '\\' && quote != '`') {
          ++end;
        } else if (c == quote) {
          quote = '\0';
        }
      } else if (c == '"' || c == '\'' || c == '`') {
        quote = c;
      } else if (c == '}') {
        ++end;
        break;
      }
    }
  }
  *length = std::min(end, text.size());
  return ParseMetric(text.substr(0, *length));
}

std::string LineColumn(absl::string_view text, int position) {
  if (text.empty()) return "unknown position";
  if (position < 0 || position > static_cast<int>(text.size())) {
    return "invalid position";
  }
  int line = 1;
  int last_break = -1;
  for (int i = 0; i < position; ++i) {
    if (text[static_cast<std::size_t>(i)] != '\n') continue;
    last_break = i;
    ++line;
  }
  return absl::StrCat(line, ":", position - last_break);
}

}  // namespace narthex::promql
