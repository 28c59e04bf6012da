#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "libs/promql/ast.h"

namespace narthex::promql::internal {

enum class TokenType {
  kEof,
  kError,  // `message` says why.
  kComma,
  kColon,
  kEqual,  // =
  kRegex,  // =~
  kNotRegex,
  kLeftBrace,
  kRightBrace,
  kLeftParen,
  kRightParen,
  kLeftBracket,
  kRightBracket,
  kAt,
  kIdentifier,
  kMetricIdentifier,  // With a colon in it.
  kNumber,
  kDuration,
  kString,     // With its quotes.
  kOperator,   // `op` says which; != inside braces too.
  kAggregate,  // `aggregate` says which.
  kBool,
  kBy,
  kWithout,
  kOn,
  kIgnoring,
  kGroupLeft,
  kGroupRight,
  kFill,
  kFillLeft,
  kFillRight,
  kOffset,
  kAnchored,
  kSmoothed,
  kStart,
  kEnd,
  kStep,
  kRange,
  kMaxOf,
  kMinOf,
};

struct Token {
  TokenType type = TokenType::kEof;
  int position = 0;
  absl::string_view text;
  BinaryOp op = BinaryOp::kAdd;
  AggregateOp aggregate = AggregateOp::kSum;
  std::string message;  // Of kError.

  int end() const { return position + static_cast<int>(text.size()); }
  PositionRange range() const { return {position, end()}; }
  /// As error messages name it: `identifier "foo"`, `<op:+>`, `end of input`.
  std::string Describe() const;
};

/// A word that is more than a name, and what it says.
struct Keyword {
  TokenType type = TokenType::kIdentifier;
  BinaryOp op = BinaryOp::kAdd;
  AggregateOp aggregate = AggregateOp::kSum;
};

/// Null when `word`, in lower case, is none.
const Keyword* FindKeyword(absl::string_view word);

}  // namespace narthex::promql::internal
