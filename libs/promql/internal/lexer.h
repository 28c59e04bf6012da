#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "libs/promql/ast.h"
#include "libs/promql/internal/token.h"

namespace narthex::promql::internal {

/// Splits an expression into tokens; comments and white space are skipped.
/// What a character means depends on being inside braces or brackets.
class Lexer {
 public:
  /// `text` must outlive the lexer and its tokens.
  explicit Lexer(absl::string_view text) : text_(text) {}

  /// The next token; after kEof or kError the same again.
  Token Next();

 private:
  static constexpr std::int32_t kEndOfText = -1;

  std::int32_t PeekRune(std::size_t* width = nullptr) const;
  char PeekByte() const { return pos_ < text_.size() ? text_[pos_] : '\0'; }
  bool Accept(absl::string_view set);
  void AcceptRun(absl::string_view set);
  void SkipSpacesAndComments();

  Token Emit(TokenType type);
  Token EmitOperator(BinaryOp op);
  Token Error(std::string message);

  Token LexStatement();
  Token LexInsideBraces();
  Token LexInsideBrackets();
  Token LexComparison();
  Token LexLeftBracket();
  Token LexRightParen();
  Token LexAlphaInBrackets();
  Token LexString();
  Token LexRawString();
  bool SkipEscape(char quote, std::string* error);
  Token LexNumberOrDuration();
  bool ScanNumber();
  bool ScanDurationRest();
  bool ScanDurationKeyword(TokenType* type);
  Token LexKeywordOrIdentifier();
  bool ParenFollows() const;

  absl::string_view text_;
  std::size_t start_ = 0;  // Of the current token.
  std::size_t pos_ = 0;
  int paren_depth_ = 0;
  bool brace_open_ = false;
  bool bracket_open_ = false;
  bool got_colon_ = false;
  bool got_duration_ = false;
  bool expects_duration_ = false;  // Before the first number in brackets.
  bool finished_ = false;
  Token last_;
};

}  // namespace narthex::promql::internal
