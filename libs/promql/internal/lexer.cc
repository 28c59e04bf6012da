#include "libs/promql/internal/lexer.h"

#include <array>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/quote.h"
#include "libs/promql/internal/rune.h"

namespace narthex::promql::internal {
namespace {

struct Keyword {
  TokenType type = TokenType::kIdentifier;
  BinaryOp op = BinaryOp::kAdd;
  AggregateOp aggregate = AggregateOp::kSum;
};

using KeywordMap = absl::flat_hash_map<std::string, Keyword>;

KeywordMap MakeKeywords() {
  KeywordMap keywords = {
      {"offset", {TokenType::kOffset}},
      {"smoothed", {TokenType::kSmoothed}},
      {"anchored", {TokenType::kAnchored}},
      {"by", {TokenType::kBy}},
      {"without", {TokenType::kWithout}},
      {"on", {TokenType::kOn}},
      {"ignoring", {TokenType::kIgnoring}},
      {"group_left", {TokenType::kGroupLeft}},
      {"group_right", {TokenType::kGroupRight}},
      {"fill", {TokenType::kFill}},
      {"fill_left", {TokenType::kFillLeft}},
      {"fill_right", {TokenType::kFillRight}},
      {"bool", {TokenType::kBool}},
      {"start", {TokenType::kStart}},
      {"end", {TokenType::kEnd}},
      {"step", {TokenType::kStep}},
      {"range", {TokenType::kRange}},
      {"max_of", {TokenType::kMaxOf}},
      {"min_of", {TokenType::kMinOf}},
      {"inf", {TokenType::kNumber}},
      {"nan", {TokenType::kNumber}},
  };
  for (const BinaryOp op :
       {BinaryOp::kAnd, BinaryOp::kOr, BinaryOp::kUnless, BinaryOp::kAtan2}) {
    keywords[std::string(BinaryOpText(op))] = {TokenType::kOperator, op};
  }
  for (int i = 0; i <= static_cast<int>(AggregateOp::kLimitRatio); ++i) {
    const auto op = static_cast<AggregateOp>(i);
    keywords[std::string(AggregateOpText(op))] = {TokenType::kAggregate,
                                                  BinaryOp::kAdd, op};
  }
  return keywords;
}

const KeywordMap& Keywords() {
  static const auto* const keywords = new KeywordMap(MakeKeywords());
  return *keywords;
}

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

bool IsAlpha(std::int32_t rune) {
  return rune == '_' || (rune >= 'a' && rune <= 'z') ||
         (rune >= 'A' && rune <= 'Z');
}

bool IsDigit(std::int32_t rune) { return rune >= '0' && rune <= '9'; }

bool IsAlphaNumeric(std::int32_t rune) {
  return IsAlpha(rune) || IsDigit(rune);
}

bool StartsDurationKeyword(char c) {
  const char lower = absl::ascii_tolower(static_cast<unsigned char>(c));
  return lower == 's' || lower == 'r' || lower == 'm';
}

constexpr absl::string_view kDigits = "0123456789";
constexpr absl::string_view kHexDigits = "0123456789abcdefABCDEF";

}  // namespace

std::string Token::Describe() const {
  const auto quoted = [this] {
    const absl::string_view head = FirstRunes(text, 10);
    return text.size() > 10 ? base::Quote(head) + "..." : base::Quote(head);
  };
  switch (type) {
    case TokenType::kEof:
      return "end of input";
    case TokenType::kIdentifier:
      return absl::StrCat("identifier ", base::Quote(text));
    case TokenType::kMetricIdentifier:
      return absl::StrCat("metric identifier ", base::Quote(text));
    case TokenType::kString:
      return absl::StrCat("string ", quoted());
    case TokenType::kNumber:
      return absl::StrCat("number ", quoted());
    case TokenType::kDuration:
      return absl::StrCat("duration ", quoted());
    case TokenType::kOperator:
    case TokenType::kRegex:
    case TokenType::kNotRegex:
    case TokenType::kAt:
      return absl::StrCat("<op:", text, ">");
    case TokenType::kAggregate:
      return absl::StrCat("<aggr:", text, ">");
    default:
      break;
  }
  if (type >= TokenType::kBool && type <= TokenType::kSmoothed) {
    return absl::StrCat("<", text, ">");
  }
  return quoted();
}

std::int32_t Lexer::PeekRune(std::size_t* width) const {
  return DecodeRune(text_.substr(pos_), width);
}

bool Lexer::Accept(absl::string_view set) {
  if (pos_ >= text_.size() || !absl::StrContains(set, text_[pos_])) {
    return false;
  }
  ++pos_;
  return true;
}

void Lexer::AcceptRun(absl::string_view set) {
  while (Accept(set)) {
  }
}

void Lexer::SkipSpacesAndComments() {
  while (pos_ < text_.size()) {
    if (IsSpace(text_[pos_])) {
      ++pos_;
    } else if (text_[pos_] == '#' && !expects_duration_) {
      while (pos_ < text_.size() && text_[pos_] != '\n' &&
             text_[pos_] != '\r') {
        ++pos_;
      }
    } else {
      break;
    }
  }
  start_ = pos_;
}

Token Lexer::Emit(TokenType type) {
  Token token;
  token.type = type;
  token.position = static_cast<int>(start_);
  token.text = text_.substr(start_, pos_ - start_);
  start_ = pos_;
  return token;
}

Token Lexer::EmitOperator(BinaryOp op) {
  Token token = Emit(TokenType::kOperator);
  token.op = op;
  return token;
}

Token Lexer::Error(std::string message) {
  Token token;
  token.type = TokenType::kError;
  token.position = static_cast<int>(start_);
  token.message = std::move(message);
  return token;
}

Token Lexer::Next() {
  if (finished_) return last_;
  SkipSpacesAndComments();
  Token token = brace_open_         ? LexInsideBraces()
                : expects_duration_ ? LexInsideBrackets()
                                    : LexStatement();
  if (token.type == TokenType::kEof || token.type == TokenType::kError) {
    finished_ = true;
    last_ = token;
  }
  return token;
}

Token Lexer::LexStatement() {
  if (pos_ >= text_.size()) {
    if (paren_depth_ != 0) return Error("unclosed left parenthesis");
    if (bracket_open_) return Error("unclosed left bracket");
    return Emit(TokenType::kEof);
  }
  const char c = text_[pos_];
  if (IsDigit(c) ||
      (c == '.' && pos_ + 1 < text_.size() && IsDigit(text_[pos_ + 1]))) {
    return LexNumberOrDuration();
  }
  if (IsAlpha(c) || c == ':') {
    return bracket_open_ ? LexAlphaInBrackets() : LexKeywordOrIdentifier();
  }
  std::size_t width = 1;
  const std::int32_t rune = PeekRune(&width);
  pos_ += width;
  switch (c) {
    case ',':
      return Emit(TokenType::kComma);
    case '*':
      return EmitOperator(BinaryOp::kMul);
    case '/':
      return EmitOperator(BinaryOp::kDiv);
    case '%':
      return EmitOperator(BinaryOp::kMod);
    case '+':
      return EmitOperator(BinaryOp::kAdd);
    case '-':
      return EmitOperator(BinaryOp::kSub);
    case '^':
      return EmitOperator(BinaryOp::kPow);
    case '=':
    case '!':
    case '<':
    case '>':
      --pos_;
      return LexComparison();
    case '"':
    case '\'':
      return LexString();
    case '`':
      return LexRawString();
    case '(':
      ++paren_depth_;
      return Emit(TokenType::kLeftParen);
    case ')':
      return LexRightParen();
    case '{':
      brace_open_ = true;
      return Emit(TokenType::kLeftBrace);
    case '[':
      return LexLeftBracket();
    case ']':
      if (!bracket_open_) return Error("unexpected right bracket ']'");
      bracket_open_ = false;
      return Emit(TokenType::kRightBracket);
    case '@':
      return Emit(TokenType::kAt);
    default:
      return Error(absl::StrCat("unexpected character: ", QuoteRune(rune)));
  }
}

Token Lexer::LexComparison() {
  const char c = text_[pos_++];
  const char next = PeekByte();
  if (c == '=') {
    if (next == '~') return Error("unexpected character after '=': '~'");
    if (next != '=') return Emit(TokenType::kEqual);
    ++pos_;
    return EmitOperator(BinaryOp::kEqual);
  }
  if (c == '!') {
    if (next != '=') {
      return Error(absl::StrCat("unexpected character after '!': ",
                                QuoteRune(PeekRune())));
    }
    ++pos_;
    return EmitOperator(BinaryOp::kNotEqual);
  }
  const bool less = c == '<';
  if (next == '=') {
    ++pos_;
    return EmitOperator(less ? BinaryOp::kLessEqual : BinaryOp::kGreaterEqual);
  }
  if (next == '/') {
    ++pos_;
    return EmitOperator(less ? BinaryOp::kTrimUpper : BinaryOp::kTrimLower);
  }
  return EmitOperator(less ? BinaryOp::kLess : BinaryOp::kGreater);
}

Token Lexer::LexLeftBracket() {
  if (bracket_open_) return Error("unexpected left bracket '['");
  bracket_open_ = true;
  got_colon_ = false;
  got_duration_ = false;
  expects_duration_ = true;
  return Emit(TokenType::kLeftBracket);
}

Token Lexer::LexRightParen() {
  Token token = Emit(TokenType::kRightParen);
  if (--paren_depth_ < 0) return Error("unexpected right parenthesis ')'");
  return token;
}

Token Lexer::LexAlphaInBrackets() {
  const char c = text_[pos_];
  if (c == ':') {
    if (got_colon_) return Error("unexpected colon ':'");
    got_colon_ = true;
    ++pos_;
    return Emit(TokenType::kColon);
  }
  TokenType type = TokenType::kEof;
  if (StartsDurationKeyword(c) && ScanDurationKeyword(&type)) {
    return Emit(type);
  }
  return Error(
      absl::StrCat("unexpected character: ", QuoteRune(c), ", expected ':'"));
}

Token Lexer::LexInsideBrackets() {
  if (pos_ >= text_.size()) {
    return Error("unexpected end of input in duration expression");
  }
  const char c = text_[pos_];
  if (IsDigit(c) ||
      (c == '.' && pos_ + 1 < text_.size() && IsDigit(text_[pos_ + 1]))) {
    got_duration_ = true;
    expects_duration_ = false;
    return LexNumberOrDuration();
  }
  if (c == ']' || absl::StrContains("()+-*/%^,", c)) {
    if (c == ']') expects_duration_ = false;
    return LexStatement();
  }
  if (c == ':') {
    ++pos_;
    Token token = Emit(TokenType::kColon);
    if (!got_duration_) {
      return Error("unexpected colon before duration in duration expression");
    }
    if (got_colon_) {
      return Error("unexpected repeated colon in duration expression");
    }
    got_colon_ = true;
    return token;
  }
  TokenType type = TokenType::kEof;
  if (StartsDurationKeyword(c) && ScanDurationKeyword(&type)) {
    got_duration_ = true;
    return Emit(type);
  }
  return Error(absl::StrCat("unexpected character in duration expression: ",
                            QuoteRune(PeekRune())));
}

Token Lexer::LexInsideBraces() {
  if (pos_ >= text_.size()) {
    return Error("unexpected end of input inside braces");
  }
  std::size_t width = 1;
  const std::int32_t rune = PeekRune(&width);
  pos_ += width;
  if (IsAlpha(rune)) {
    while (pos_ < text_.size() && IsAlphaNumeric(text_[pos_])) ++pos_;
    return Emit(TokenType::kIdentifier);
  }
  switch (rune) {
    case ',':
      return Emit(TokenType::kComma);
    case '"':
    case '\'':
      return LexString();
    case '`':
      return LexRawString();
    case '=':
      return Emit(Accept("~") ? TokenType::kRegex : TokenType::kEqual);
    case '!':
      if (Accept("~")) return Emit(TokenType::kNotRegex);
      if (Accept("=")) return EmitOperator(BinaryOp::kNotEqual);
      return Error(
          absl::StrCat("unexpected character after '!' inside braces: ",
                       QuoteRune(PeekRune())));
    case '{':
      return Error("unexpected left brace '{'");
    case '}':
      brace_open_ = false;
      return Emit(TokenType::kRightBrace);
    default:
      return Error(absl::StrCat("unexpected character inside braces: ",
                                QuoteRune(rune)));
  }
}

Token Lexer::LexString() {
  const char quote = text_[start_];
  while (true) {
    if (pos_ >= text_.size() || text_[pos_] == '\n') {
      return Error("unterminated quoted string");
    }
    std::size_t width = 1;
    const std::int32_t rune = PeekRune(&width);
    pos_ += width;
    if (rune == kInvalidRune) return Error("invalid UTF-8 rune");
    if (rune == quote) return Emit(TokenType::kString);
    if (rune != '\\') continue;
    std::string error;
    if (!SkipEscape(quote, &error)) return Error(std::move(error));
  }
}

bool Lexer::SkipEscape(char quote, std::string* error) {
  *error = "escape sequence not terminated";
  if (pos_ >= text_.size()) return false;
  std::size_t width = 1;
  const std::int32_t kind = PeekRune(&width);
  if (kind == quote ||
      (kind < 0x80 && absl::StrContains("abfnrtv\\", char(kind)))) {
    ++pos_;
    return true;
  }
  int digits = 3;
  std::int32_t base = 8;
  std::uint32_t largest = 255;
  if (kind == 'x') {
    digits = 2, base = 16;
  } else if (kind == 'u' || kind == 'U') {
    digits = kind == 'u' ? 4 : 8, base = 16, largest = 0x10ffff;
  } else if (kind < '0' || kind > '7') {
    *error = absl::StrCat("unknown escape sequence ", DescribeRune(kind));
    return false;
  }
  if (base == 16) ++pos_;
  std::uint32_t value = 0;
  for (int i = 0; i < digits; ++i) {
    if (pos_ >= text_.size()) return false;
    const std::int32_t rune = PeekRune(&width);
    const std::int32_t digit = HexDigit(rune);
    if (digit >= base) {
      *error = absl::StrCat("illegal character ", DescribeRune(rune),
                            " in escape sequence");
      return false;
    }
    value = value * static_cast<std::uint32_t>(base) +
            static_cast<std::uint32_t>(digit);
    ++pos_;
  }
  if (value > largest || (value >= 0xd800 && value < 0xe000)) {
    *error = "escape sequence is an invalid Unicode code point";
    return false;
  }
  return true;
}

Token Lexer::LexRawString() {
  while (true) {
    if (pos_ >= text_.size()) return Error("unterminated raw string");
    std::size_t width = 1;
    const std::int32_t rune = PeekRune(&width);
    pos_ += width;
    if (rune == kInvalidRune) return Error("invalid UTF-8 rune");
    if (rune == '`') return Emit(TokenType::kString);
  }
}

Token Lexer::LexNumberOrDuration() {
  if (ScanNumber()) return Emit(TokenType::kNumber);
  if (ScanDurationRest()) return Emit(TokenType::kDuration);
  return Error(absl::StrCat("bad number or duration syntax: ",
                            base::Quote(text_.substr(start_, pos_ - start_))));
}

bool Lexer::ScanNumber() {
  absl::string_view digits = kDigits;
  if (Accept("0") && Accept("xX")) {
    Accept("_");
    digits = kHexDigits;
  }
  const bool hex = digits == kHexDigits;
  Accept(".");
  Accept(digits);
  bool got_dot = false;
  bool got_exponent = false;
  while (pos_ < text_.size()) {
    const char c = text_[pos_];
    if (absl::StrContains(digits, c) && !(hex && (c == 'e' || c == 'E'))) {
      AcceptRun(digits);
    } else if (c == '.') {
      ++pos_;
      if (got_dot || Accept("_.") || hex) return false;
      got_dot = true;
    } else if (c == 'e' || c == 'E') {
      ++pos_;
      if (got_exponent) return false;
      got_exponent = true;
      Accept("+-");
      if (Accept("._eE") || pos_ >= text_.size()) return false;
    } else if (c == '_') {
      ++pos_;
      if (Accept("._eE") || pos_ >= text_.size()) return false;
    } else {
      break;
    }
  }
  return !IsAlphaNumeric(PeekRune());
}

bool Lexer::ScanDurationRest() {
  // Wrong units like "hs" are found when the duration is parsed.
  if (!Accept("smhdwy")) return false;
  Accept("s");
  while (Accept(kDigits)) {
    AcceptRun(kDigits);
    if (!Accept("smhdw")) return false;
    Accept("s");
  }
  if (!IsAlphaNumeric(PeekRune())) return true;
  ++pos_;
  return false;
}

bool Lexer::ScanDurationKeyword(TokenType* type) {
  std::size_t end = pos_;
  while (end < text_.size() && IsAlpha(text_[end])) ++end;
  const std::string word =
      absl::AsciiStrToLower(text_.substr(pos_, end - pos_));
  const auto it = Keywords().find(word);
  if (it == Keywords().end() || it->second.type < TokenType::kStep) {
    return false;
  }
  *type = it->second.type;
  pos_ = end;
  return true;
}

Token Lexer::LexKeywordOrIdentifier() {
  bool colon = false;
  for (; pos_ < text_.size(); ++pos_) {
    if (text_[pos_] == ':') {
      colon = true;
    } else if (!IsAlphaNumeric(text_[pos_])) {
      break;
    }
  }
  const absl::string_view word = text_.substr(start_, pos_ - start_);
  const auto it = Keywords().find(absl::AsciiStrToLower(word));
  if (it == Keywords().end()) {
    return Emit(colon ? TokenType::kMetricIdentifier : TokenType::kIdentifier);
  }
  const Keyword& keyword = it->second;
  const bool fill =
      keyword.type >= TokenType::kFill && keyword.type <= TokenType::kFillRight;
  if (fill && !ParenFollows()) return Emit(TokenType::kIdentifier);
  Token token = Emit(keyword.type);
  token.op = keyword.op;
  token.aggregate = keyword.aggregate;
  return token;
}

bool Lexer::ParenFollows() const {
  std::size_t next = pos_;
  while (next < text_.size() && IsSpace(text_[next])) ++next;
  return next < text_.size() && text_[next] == '(';
}

}  // namespace narthex::promql::internal
