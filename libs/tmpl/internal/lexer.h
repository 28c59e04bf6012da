#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace narthex::tmpl::internal {

enum class TokenKind {
  kText,
  kOpen,   ///< {{
  kClose,  ///< }}
  kSpace,
  kIdentifier,  ///< Keywords too.
  kField,       ///< .Name
  kVariable,    ///< $name
  kDot,
  kNumber,
  kChar,
  kString,  ///< Quoted, quotes included; raw strings too.
  kPipe,
  kLeftParen,
  kRightParen,
  kComma,
  kAssign,
  kDeclare,
  kEnd,
  kError,  ///< `text` is the reason.
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::size_t position = 0;
  std::string text;
};

/// Cuts a template into tokens; the last is kEnd or kError. Trim markers and
/// comments are gone, text around them is trimmed.
std::vector<Token> Lex(absl::string_view text);

}  // namespace narthex::tmpl::internal
