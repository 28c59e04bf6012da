#include "libs/promql/internal/lexer.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/promql/internal/rune.h"

namespace narthex::promql::internal {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

bool StartsDurationKeyword(char c) {
  const char lower = absl::ascii_tolower(static_cast<unsigned char>(c));
  return lower == 's' || lower == 'r' || lower == 'm';
}

}  // namespace

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

bool Lexer::ScanDurationKeyword(TokenType* type) {
  std::size_t end = pos_;
  while (end < text_.size() && IsAlpha(text_[end])) ++end;
  const std::string word =
      absl::AsciiStrToLower(text_.substr(pos_, end - pos_));
  const Keyword* keyword = FindKeyword(word);
  if (keyword == nullptr || keyword->type < TokenType::kStep) return false;
  *type = keyword->type;
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
  const Keyword* keyword = FindKeyword(absl::AsciiStrToLower(word));
  if (keyword == nullptr) {
    return Emit(colon ? TokenType::kMetricIdentifier : TokenType::kIdentifier);
  }
  const bool fill = keyword->type >= TokenType::kFill &&
                    keyword->type <= TokenType::kFillRight;
  if (fill && !ParenFollows()) return Emit(TokenType::kIdentifier);
  Token token = Emit(keyword->type);
  token.op = keyword->op;
  token.aggregate = keyword->aggregate;
  return token;
}

bool Lexer::ParenFollows() const {
  std::size_t next = pos_;
  while (next < text_.size() && IsSpace(text_[next])) ++next;
  return next < text_.size() && text_[next] == '(';
}

}  // namespace narthex::promql::internal
