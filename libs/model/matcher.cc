#include "libs/model/matcher.h"

#include <re2/re2.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/quote.h"

namespace narthex::model {
namespace {

constexpr absl::string_view kMeta = R"(\.+*?()|[]{}^$)";

bool IsLiteral(absl::string_view text) {
  return text.find_first_of(kMeta) == absl::string_view::npos;
}

// Undoes \. and its like; false when the text is more than a literal.
bool UnescapeLiteral(absl::string_view pattern, std::string* literal) {
  literal->clear();
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    char c = pattern[i];
    if (c == '\\') {
      if (++i == pattern.size() || !absl::StrContains(kMeta, pattern[i])) {
        return false;
      }
      c = pattern[i];
    } else if (absl::StrContains(kMeta, c)) {
      return false;
    }
    literal->push_back(c);
  }
  return true;
}

// What is wrong with an expression, in Go's words.
std::string ErrorText(const re2::RE2& expression) {
  absl::string_view problem = expression.error();
  switch (expression.error_code()) {
    case re2::RE2::ErrorMissingBracket:
      problem = "missing closing ]";
      break;
    case re2::RE2::ErrorMissingParen:
      problem = "missing closing )";
      break;
    case re2::RE2::ErrorUnexpectedParen:
      problem = "unexpected )";
      break;
    case re2::RE2::ErrorTrailingBackslash:
      // There is nothing to point at.
      return "error parsing regexp: trailing backslash at end of expression: "
             "``";
    case re2::RE2::ErrorRepeatArgument:
      problem = "missing argument to repetition operator";
      break;
    case re2::RE2::ErrorRepeatSize:
      problem = "invalid repeat count";
      break;
    case re2::RE2::ErrorRepeatOp:
      problem = "invalid nested repetition operator";
      break;
    case re2::RE2::ErrorBadPerlOp:
      problem = "invalid or unsupported Perl syntax";
      break;
    case re2::RE2::ErrorBadEscape:
      problem = "invalid escape sequence";
      break;
    case re2::RE2::ErrorBadCharRange:
      problem = "invalid character class range";
      break;
    default:
      return absl::StrCat("error parsing regexp: ", problem);
  }
  return absl::StrCat("error parsing regexp: ", problem, ": `",
                      expression.error_arg(), "`");
}

// The texts of "a|b|c" or "(a|b)", unless an alternative is more than a
// literal.
std::vector<std::string> LiteralAlternatives(absl::string_view pattern) {
  if (absl::StartsWith(pattern, "(?:") && absl::EndsWith(pattern, ")")) {
    pattern = pattern.substr(3, pattern.size() - 4);
  } else if (absl::StartsWith(pattern, "(") && absl::EndsWith(pattern, ")")) {
    pattern = pattern.substr(1, pattern.size() - 2);
  }
  if (absl::EndsWith(pattern, "\\")) return {};
  std::vector<std::string> literals;
  for (const absl::string_view part : absl::StrSplit(pattern, '|')) {
    std::string literal;
    if (!UnescapeLiteral(part, &literal)) return {};
    literals.push_back(std::move(literal));
  }
  std::sort(literals.begin(), literals.end());
  literals.erase(std::unique(literals.begin(), literals.end()), literals.end());
  return literals;
}

// The literal at the front of `pattern`, when no alternation or quantifier can
// take it away.
std::string LiteralPrefix(absl::string_view pattern) {
  if (absl::StrContains(pattern, '|')) return "";
  std::size_t n = pattern.find_first_of(kMeta);
  if (n == absl::string_view::npos) return std::string(pattern);
  const bool quantified = absl::StrContains("*?{", pattern[n]);
  if (quantified && n > 0) --n;
  // A quantifier binds a whole multi-byte character.
  while (quantified && n > 0 && (pattern[n] & 0xc0) == 0x80) --n;
  return std::string(pattern.substr(0, n));
}

// RE2 learnt Go's (?<name>...) after this version: written as (?P<name>...).
std::string WithNamedGroups(absl::string_view pattern) {
  std::string out;
  bool in_class = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    out.push_back(c);
    if (c == '\\' && i + 1 < pattern.size()) {
      out.push_back(pattern[++i]);
    } else if (c == '[') {
      in_class = true;
    } else if (c == ']') {
      in_class = false;
    } else if (c == '(' && !in_class &&
               absl::StartsWith(pattern.substr(i), "(?<")) {
      out.append("?P");
      ++i;
    }
  }
  return out;
}

enum class Shape {
  kAny,
  kNonEmpty,
  kLiterals,
  kPrefix,
  kSuffix,
  kContains,
  kExpression
};

}  // namespace

struct AnchoredRegex::Rep {
  std::string pattern;
  Shape shape = Shape::kExpression;
  std::string text;            // Of kPrefix, kSuffix and kContains.
  bool text_and_more = false;  // ".+" rather than ".*" beside the text.
  std::vector<std::string> literals;
  std::string prefix;
  std::unique_ptr<re2::RE2> expression;
};

namespace {

// Strips ".*" or ".+"; true when there was one, `*more` when it was ".+".
bool StripAnyPrefix(absl::string_view* text, bool* more) {
  *more = absl::StartsWith(*text, ".+");
  return absl::ConsumePrefix(text, ".*") || absl::ConsumePrefix(text, ".+");
}
bool StripAnySuffix(absl::string_view* text, bool* more) {
  *more = absl::EndsWith(*text, ".+");
  if (!*more && !absl::EndsWith(*text, ".*")) return false;
  text->remove_suffix(2);
  return true;
}

}  // namespace

absl::StatusOr<AnchoredRegex> AnchoredRegex::Create(absl::string_view pattern) {
  auto rep = std::make_shared<Rep>();
  rep->pattern = std::string(pattern);
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_dot_nl(true);
  const std::string syntax = WithNamedGroups(pattern);
  rep->expression =
      std::make_unique<re2::RE2>(absl::StrCat("^(?s:", syntax, ")$"), options);
  // Compiled alone as well: "a)(b" would close our group.
  const re2::RE2 alone(syntax, options);
  if (!alone.ok() || !rep->expression->ok()) {
    return absl::InvalidArgumentError(
        ErrorText(alone.ok() ? *rep->expression : alone));
  }
  rep->prefix = LiteralPrefix(pattern);
  rep->literals = LiteralAlternatives(pattern);
  absl::string_view rest = pattern;
  bool more_before = false;
  bool more_behind = false;
  if (!rep->literals.empty()) {
    rep->shape = Shape::kLiterals;
  } else if (pattern == ".*") {
    rep->shape = Shape::kAny;
  } else if (pattern == ".+") {
    rep->shape = Shape::kNonEmpty;
  } else {
    const bool before = StripAnyPrefix(&rest, &more_before);
    const bool behind = StripAnySuffix(&rest, &more_behind);
    if ((before || behind) && !rest.empty() && IsLiteral(rest) &&
        !(before && behind && (more_before || more_behind))) {
      rep->shape = before && behind ? Shape::kContains
                   : before         ? Shape::kSuffix
                                    : Shape::kPrefix;
      rep->text = std::string(rest);
      rep->text_and_more = more_before || more_behind;
    }
  }
  return AnchoredRegex(std::move(rep));
}

bool AnchoredRegex::Matches(absl::string_view text) const {
  const Rep& rep = *rep_;
  const bool long_enough = !rep.text_and_more || text.size() > rep.text.size();
  switch (rep.shape) {
    case Shape::kAny:
      return true;
    case Shape::kNonEmpty:
      return !text.empty();
    case Shape::kLiterals:
      return std::binary_search(rep.literals.begin(), rep.literals.end(), text);
    case Shape::kPrefix:
      return long_enough && absl::StartsWith(text, rep.text);
    case Shape::kSuffix:
      return long_enough && absl::EndsWith(text, rep.text);
    case Shape::kContains:
      return absl::StrContains(text, rep.text);
    case Shape::kExpression:
      break;
  }
  if (!absl::StartsWith(text, rep.prefix)) return false;
  return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()),
                                *rep.expression);
}

const std::string& AnchoredRegex::pattern() const { return rep_->pattern; }
const std::vector<std::string>& AnchoredRegex::literals() const {
  return rep_->literals;
}
const std::string& AnchoredRegex::prefix() const { return rep_->prefix; }

namespace {

// The reference behind a '$' at the front of `*rest`: a number, a name, or
// either in braces. Empty when malformed, with `*rest` untouched.
absl::string_view TakeReference(absl::string_view* rest) {
  absl::string_view text = *rest;
  const bool braces = absl::ConsumePrefix(&text, "{");
  std::size_t n = 0;
  while (n < text.size() && (absl::ascii_isalnum(text[n]) || text[n] == '_')) {
    ++n;
  }
  const absl::string_view name = text.substr(0, n);
  text.remove_prefix(n);
  if (name.empty() || (braces && !absl::ConsumePrefix(&text, "}"))) return {};
  *rest = text;
  return name;
}

}  // namespace

bool AnchoredRegex::Expand(absl::string_view text,
                           absl::string_view replacement,
                           std::string* out) const {
  const re2::RE2& expression = *rep_->expression;
  const int groups = expression.NumberOfCapturingGroups() + 1;
  std::vector<re2::StringPiece> found(static_cast<std::size_t>(groups));
  if (!expression.Match(re2::StringPiece(text.data(), text.size()), 0,
                        text.size(), re2::RE2::UNANCHORED, found.data(),
                        groups)) {
    return false;
  }
  absl::string_view rest = replacement;
  while (!rest.empty()) {
    const std::size_t dollar = std::min(rest.find('$'), rest.size());
    absl::StrAppend(out, rest.substr(0, dollar));
    rest.remove_prefix(dollar);
    if (!absl::ConsumePrefix(&rest, "$")) break;
    if (absl::ConsumePrefix(&rest, "$")) {
      *out += '$';
      continue;
    }
    const absl::string_view reference = TakeReference(&rest);
    if (reference.empty()) {
      *out += '$';
      continue;
    }
    int group = -1;
    if (!absl::SimpleAtoi(reference, &group)) {
      const auto& names = expression.NamedCapturingGroups();
      const auto it = names.find(std::string(reference));
      group = it == names.end() ? -1 : it->second;
    }
    if (group >= 0 && group < groups) {
      const re2::StringPiece& piece = found[static_cast<std::size_t>(group)];
      out->append(piece.data(), piece.size());
    }
  }
  return true;
}

absl::string_view MatchOperator(MatchType type) {
  switch (type) {
    case MatchType::kEqual:
      return "=";
    case MatchType::kNotEqual:
      return "!=";
    case MatchType::kRegex:
      return "=~";
    case MatchType::kNotRegex:
      return "!~";
  }
  return "";
}

absl::StatusOr<Matcher> Matcher::Create(MatchType type, absl::string_view name,
                                        absl::string_view value) {
  Matcher matcher(type, name, value);
  if (type == MatchType::kRegex || type == MatchType::kNotRegex) {
    auto regex = AnchoredRegex::Create(value);
    if (!regex.ok()) return regex.status();
    matcher.regex_.push_back(*std::move(regex));
  }
  matcher.matches_empty_ = matcher.Matches("");
  return matcher;
}

Matcher Matcher::Equal(absl::string_view name, absl::string_view value) {
  Matcher matcher(MatchType::kEqual, name, value);
  matcher.matches_empty_ = value.empty();
  return matcher;
}

bool Matcher::Matches(absl::string_view value) const {
  switch (type_) {
    case MatchType::kEqual:
      return value == value_;
    case MatchType::kNotEqual:
      return value != value_;
    case MatchType::kRegex:
      return regex_[0].Matches(value);
    case MatchType::kNotRegex:
      return !regex_[0].Matches(value);
  }
  return false;
}

std::string Matcher::ToString() const {
  return absl::StrCat(IsLegacyLabelName(name_) ? name_ : base::Quote(name_),
                      MatchOperator(type_), base::Quote(value_));
}

bool MatchesAll(const std::vector<Matcher>& matchers, const Labels& labels) {
  return std::all_of(matchers.begin(), matchers.end(),
                     [&labels](const Matcher& matcher) {
                       return matcher.Matches(labels.Get(matcher.name()));
                     });
}

}  // namespace narthex::model
