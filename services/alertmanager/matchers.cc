#include "services/alertmanager/matchers.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"

namespace narthex::alertmanager {
namespace {

using Matchers = std::vector<model::Matcher>;

bool IsReserved(char c) {
  return absl::ascii_isspace(static_cast<unsigned char>(c)) ||
         absl::string_view("{}!=~,\\\"'`").find(c) != absl::string_view::npos;
}

/// Reads an operator at the front of `*text`, if there is one.
std::optional<model::MatchType> TakeOperator(absl::string_view* text) {
  using model::MatchType;
  if (absl::ConsumePrefix(text, "=~")) return MatchType::kRegex;
  if (absl::ConsumePrefix(text, "!~")) return MatchType::kNotRegex;
  if (absl::ConsumePrefix(text, "!=")) return MatchType::kNotEqual;
  if (absl::ConsumePrefix(text, "=")) return MatchType::kEqual;
  return std::nullopt;
}

/// The UTF-8 notation: names and values are runs of unreserved characters or
/// double-quoted texts.
class Utf8Parser {
 public:
  explicit Utf8Parser(absl::string_view text) : all_(text), rest_(text) {}

  absl::StatusOr<Matchers> Parse() {
    if (!base::IsValidUtf8(all_)) return Error("not valid UTF-8");
    SkipSpace();
    const bool braced = absl::ConsumePrefix(&rest_, "{");
    Matchers matchers;
    SkipSpace();
    while (!rest_.empty() && rest_[0] != '}') {
      NARTHEX_ASSIGN_OR_RETURN(model::Matcher matcher, One());
      matchers.push_back(std::move(matcher));
      SkipSpace();
      if (!absl::ConsumePrefix(&rest_, ",")) break;
      SkipSpace();
    }
    const bool closed = absl::ConsumePrefix(&rest_, "}");
    if (braced && !closed) return Error("expected a closing brace");
    if (!braced && closed) return Error("closing brace without an opening one");
    SkipSpace();
    if (!rest_.empty()) return Error("expected a comma or the end");
    return matchers;
  }

 private:
  absl::StatusOr<model::Matcher> One() {
    NARTHEX_ASSIGN_OR_RETURN(const std::string name, Word("a label name"));
    SkipSpace();
    const std::optional<model::MatchType> type = TakeOperator(&rest_);
    if (!type.has_value()) return Error("expected one of = != =~ !~");
    SkipSpace();
    NARTHEX_ASSIGN_OR_RETURN(const std::string value, Word("a label value"));
    return model::Matcher::Create(*type, name, value);
  }

  absl::StatusOr<std::string> Word(absl::string_view what) {
    if (!rest_.empty() && rest_[0] == '"') return Quoted();
    std::size_t size = 0;
    while (size < rest_.size() && !IsReserved(rest_[size])) ++size;
    if (size == 0) return Error(absl::StrCat("expected ", what));
    std::string word(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return word;
  }

  absl::StatusOr<std::string> Quoted() {
    std::size_t end = 1;
    while (end < rest_.size() && rest_[end] != '"') {
      end += rest_[end] == '\\' ? 2 : 1;
    }
    if (end >= rest_.size()) return Error("missing end quote");
    auto text = base::Unquote(rest_.substr(0, end + 1));
    if (!text.ok()) return Error("invalid quoted text");
    rest_.remove_prefix(end + 1);
    return text;
  }

  void SkipSpace() { rest_ = absl::StripLeadingAsciiWhitespace(rest_); }

  absl::Status Error(absl::string_view reason) const {
    return absl::InvalidArgumentError(
        absl::StrCat("bad matcher format: ", all_, ": position ",
                     all_.size() - rest_.size(), ": ", reason));
  }

  const absl::string_view all_;
  absl::string_view rest_;
};

absl::Status ClassicError(absl::string_view text, absl::string_view reason) {
  return absl::InvalidArgumentError(
      absl::StrCat("bad matcher format: ", text, ": ", reason));
}

/// Undoes \n \" and \\; other backslashes stand for themselves.
absl::StatusOr<std::string> ClassicValue(absl::string_view raw,
                                         absl::string_view text) {
  const bool quoted = absl::ConsumePrefix(&raw, "\"");
  bool closed = false;
  std::string value;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const char c = raw[i];
    if (c == '"') {
      if (!quoted || i + 1 != raw.size()) {
        return ClassicError(text, "unescaped double quote in the value");
      }
      closed = true;
    } else if (c == '\\' && i + 1 < raw.size()) {
      const char next = raw[++i];
      if (next == 'n') {
        value += '\n';
      } else if (next == '"' || next == '\\') {
        value += next;
      } else {
        value += {c, next};
      }
    } else {
      value += c;
    }
  }
  if (quoted && !closed) {
    return ClassicError(text, "missing end quote of the value");
  }
  if (!base::IsValidUtf8(value)) {
    return ClassicError(text, "value is not valid UTF-8");
  }
  return value;
}

absl::StatusOr<model::Matcher> ParseClassicMatcher(absl::string_view text) {
  absl::string_view rest = absl::StripAsciiWhitespace(text);
  std::size_t size = 0;
  while (size < rest.size() &&
         model::IsLegacyMetricName(rest.substr(0, size + 1))) {
    ++size;
  }
  const absl::string_view name = rest.substr(0, size);
  rest = absl::StripLeadingAsciiWhitespace(rest.substr(size));
  const std::optional<model::MatchType> type = TakeOperator(&rest);
  if (name.empty() || !type.has_value()) {
    return ClassicError(text, "expected name, operator and value");
  }
  NARTHEX_ASSIGN_OR_RETURN(
      const std::string value,
      ClassicValue(absl::StripAsciiWhitespace(rest), text));
  return model::Matcher::Create(*type, name, value);
}

absl::StatusOr<Matchers> ParseClassic(absl::string_view text) {
  absl::string_view rest = absl::StripAsciiWhitespace(text);
  absl::ConsumePrefix(&rest, "{");
  absl::ConsumeSuffix(&rest, "}");
  Matchers matchers;
  while (!absl::StripAsciiWhitespace(rest).empty()) {
    bool quoted = false;
    std::size_t end = 0;
    for (; end < rest.size() && (quoted || rest[end] != ','); ++end) {
      if (rest[end] == '"') quoted = !quoted;
      if (rest[end] == '\\') ++end;
    }
    NARTHEX_ASSIGN_OR_RETURN(model::Matcher matcher,
                             ParseClassicMatcher(rest.substr(0, end)));
    matchers.push_back(std::move(matcher));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return matchers;
}

std::string EscapeValue(absl::string_view value) {
  std::string escaped;
  for (const char c : value) {
    if (c == '\n') {
      escaped += "\\n";
    } else {
      if (c == '\\' || c == '"') escaped += '\\';
      escaped += c;
    }
  }
  return escaped;
}

}  // namespace

absl::StatusOr<Matchers> ParseMatchers(absl::string_view text,
                                       MatcherSyntax syntax) {
  if (syntax == MatcherSyntax::kClassic) return ParseClassic(text);
  absl::StatusOr<Matchers> modern = Utf8Parser(text).Parse();
  if (syntax == MatcherSyntax::kUtf8) return modern;
  absl::StatusOr<Matchers> classic = ParseClassic(text);
  // Where both understand the text, configurations from before the UTF-8
  // notation must keep their meaning.
  return classic.ok() ? classic : modern;
}

absl::StatusOr<model::Matcher> ParseMatcher(absl::string_view text,
                                            MatcherSyntax syntax) {
  NARTHEX_ASSIGN_OR_RETURN(Matchers matchers, ParseMatchers(text, syntax));
  if (matchers.size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("bad matcher format: ", text, ": expected one matcher"));
  }
  return std::move(matchers[0]);
}

void SortMatchers(Matchers* matchers) {
  std::stable_sort(matchers->begin(), matchers->end(),
                   [](const model::Matcher& a, const model::Matcher& b) {
                     return std::make_tuple(a.name(), a.value(), a.type()) <
                            std::make_tuple(b.name(), b.value(), b.type());
                   });
}

std::string FormatMatcher(const model::Matcher& matcher) {
  const absl::string_view op = model::MatchOperator(matcher.type());
  if (std::any_of(matcher.name().begin(), matcher.name().end(), IsReserved)) {
    return absl::StrCat(base::Quote(matcher.name()), op,
                        base::Quote(matcher.value()));
  }
  return absl::StrCat(matcher.name(), op, "\"", EscapeValue(matcher.value()),
                      "\"");
}

std::string FormatMatchers(const Matchers& matchers) {
  return absl::StrCat(
      "{",
      absl::StrJoin(matchers, ",",
                    [](std::string* out, const model::Matcher& matcher) {
                      *out += FormatMatcher(matcher);
                    }),
      "}");
}

bool IsLabelName(absl::string_view name, MatcherSyntax syntax) {
  return syntax == MatcherSyntax::kClassic ? model::IsLegacyLabelName(name)
                                           : model::IsUtf8Name(name);
}

}  // namespace narthex::alertmanager
