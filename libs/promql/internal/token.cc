#include "libs/promql/internal/token.h"

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/promql/internal/rune.h"

namespace narthex::promql::internal {
namespace {

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

}  // namespace

const Keyword* FindKeyword(absl::string_view word) {
  const auto it = Keywords().find(word);
  return it == Keywords().end() ? nullptr : &it->second;
}

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

}  // namespace narthex::promql::internal
