#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "libs/base/duration.h"
#include "libs/base/float_format.h"
#include "libs/base/quote.h"
#include "libs/promql/internal/syntax.h"

namespace narthex::promql::internal {
namespace {

constexpr int kUnaryPrecedence = 5;  // That of *, so -a^b is -(a^b).

bool IsCallable(const Token& token) {
  return token.type == TokenType::kIdentifier ||
         (token.type >= TokenType::kStart && token.type <= TokenType::kMinOf);
}

// A word that may be a label name in by (...) and on (...).
bool IsLabelWord(const Token& token) {
  if (token.type == TokenType::kWithout) return false;
  return IsMetricName(token) || token.type == TokenType::kBool ||
         token.type == TokenType::kOn || token.type == TokenType::kIgnoring ||
         token.type == TokenType::kGroupLeft ||
         token.type == TokenType::kGroupRight ||
         (token.type == TokenType::kOperator && token.op == BinaryOp::kAtan2);
}

bool StartsExpression(const Token& token) {
  switch (token.type) {
    case TokenType::kNumber:
    case TokenType::kDuration:
    case TokenType::kString:
    case TokenType::kLeftParen:
    case TokenType::kLeftBrace:
      return true;
    case TokenType::kOperator:
      return token.op == BinaryOp::kAdd || token.op == BinaryOp::kSub ||
             IsMetricName(token);
    default:
      return IsMetricName(token);
  }
}

// Whether a text that is no number has a number's form, so that it must be too
// large for one.
bool HasNumberForm(absl::string_view text) {
  const std::size_t exponent = text.find_first_of("eE");
  return exponent != absl::string_view::npos &&
         absl::ascii_isdigit(static_cast<unsigned char>(text.back())) &&
         text.find('.', exponent) == absl::string_view::npos;
}

// Underscores stand only between digits, or after the base's prefix.
bool UnderscoresSeparateDigits(absl::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') continue;
    const bool prefix = i == 2 && (text[1] == 'x' || text[1] == 'X');
    if (i == 0 || i + 1 == text.size()) return false;
    if (!absl::ascii_isxdigit(text[i + 1])) return false;
    if (!prefix && !absl::ascii_isxdigit(text[i - 1])) return false;
  }
  return true;
}

// Integers in base 16 (0x), 8 (leading 0) or 10, as Go reads literals.
bool ParseInteger(absl::string_view text, double* value) {
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    const bool hex = text[1] == 'x' || text[1] == 'X';
    base = hex ? 16 : 8;
    text.remove_prefix(hex ? 2 : 1);
  }
  if (text.empty()) return false;
  std::uint64_t number = 0;
  for (const char c : text) {
    if (!absl::ascii_isxdigit(c)) return false;
    const int digit =
        absl::ascii_isdigit(c) ? c - '0' : absl::ascii_tolower(c) - 'a' + 10;
    if (digit >= base) return false;
    if (number > (std::numeric_limits<std::uint64_t>::max() - 15) / 16) {
      return false;
    }
    number = number * static_cast<std::uint64_t>(base) +
             static_cast<std::uint64_t>(digit);
  }
  if (number > std::numeric_limits<std::int64_t>::max()) return false;
  *value = static_cast<double>(number);
  return true;
}

}  // namespace

ExprPtr Parser::ParseExpr(int min_precedence) {
  Nesting nesting(this);
  if (failed()) return nullptr;
  ExprPtr lhs = ParseOperand();
  while (lhs != nullptr && At(TokenType::kOperator)) {
    const BinaryOp op = token_.op;
    const int precedence = Precedence(op);
    if (precedence < min_precedence) break;
    nesting.Add();
    auto binary = std::make_unique<BinaryExpr>();
    binary->op = op;
    binary->matching.emplace();
    Advance();
    if (!ParseBinaryModifiers(binary.get())) return nullptr;
    // Only ^ is right-associative.
    const bool right = op == BinaryOp::kPow;
    binary->rhs = ParseExpr(right ? precedence : precedence + 1);
    if (binary->rhs == nullptr) return nullptr;
    binary->lhs = std::move(lhs);
    binary->position = {binary->lhs->position.start, binary->rhs->position.end};
    const VectorMatching& matching = *binary->matching;
    if (!options_.fill_modifiers &&
        (matching.fill_left.has_value() || matching.fill_right.has_value())) {
      Error(binary->position,
            "binop fill modifiers are experimental and not enabled");
    }
    lhs = std::move(binary);
  }
  return lhs;
}

ExprPtr Parser::ParseOperand() {
  if (AtSign()) return ParseUnary();
  ExprPtr expr = ParsePrimary();
  return expr == nullptr ? nullptr : ParsePostfix(std::move(expr));
}

ExprPtr Parser::ParseUnary() {
  const bool negative = AtOperator(BinaryOp::kSub);
  const int start = token_.position;
  Advance();
  ExprPtr operand = ParseExpr(kUnaryPrecedence + 1);
  if (operand == nullptr) return nullptr;
  operand->position.start =
      operand->kind == ExprKind::kNumber ? start : operand->position.start;
  if (operand->kind == ExprKind::kNumber) {
    auto& number = operand->As<NumberLiteral>();
    if (negative) number.value = -number.value;
    return operand;
  }
  auto unary = std::make_unique<UnaryExpr>();
  unary->negative = negative;
  unary->position = {start, operand->position.end};
  unary->expr = std::move(operand);
  return unary;
}

ExprPtr Parser::ParsePrimary() {
  switch (token_.type) {
    case TokenType::kNumber:
    case TokenType::kDuration:
      return ParseNumber();
    case TokenType::kString: {
      auto literal = std::make_unique<StringLiteral>(StringValue(token_));
      literal->position = token_.range();
      Advance();
      return literal;
    }
    case TokenType::kLeftParen:
      return ParseParen();
    case TokenType::kLeftBrace:
      return ParseSelector();
    default:
      break;
  }
  if (!IsMetricName(token_)) return Unexpected();
  // Whether a word is a name, a function or an aggregation shows in what
  // follows it.
  const Token word = token_;
  Lexer rest = lexer_;
  const Token next = rest.Next();
  if (word.type == TokenType::kAggregate &&
      (next.type == TokenType::kLeftParen || next.type == TokenType::kBy ||
       next.type == TokenType::kWithout)) {
    Advance();
    return ParseAggregate(word);
  }
  if (IsCallable(word) && next.type == TokenType::kLeftParen) {
    Advance();
    return ParseCall(word);
  }
  return ParseSelector();
}

ExprPtr Parser::ParseNumber() {
  bool is_duration = false;
  const double value = NumberValue(token_, &is_duration);
  auto literal = std::make_unique<NumberLiteral>(value);
  literal->is_duration = is_duration;
  literal->position = token_.range();
  Advance();
  return literal;
}

double Parser::NumberValue(const Token& token, bool* is_duration) {
  *is_duration = token.type == TokenType::kDuration;
  if (*is_duration) {
    const auto ms = base::ParseDuration(token.text);
    if (ms.ok()) return static_cast<double>(*ms) / 1000;
    Error(token.range(), ms.status().message());
    return 0;
  }
  double value = 0;
  std::string text(token.text);
  if (UnderscoresSeparateDigits(text)) {
    text = absl::StrReplaceAll(text, {{"_", ""}});
    if (ParseInteger(text, &value)) return value;
    const auto number = base::ParseFloat(text);
    if (number.ok()) return *number;
    if (HasNumberForm(text)) {
      Error(token.range(),
            absl::StrCat("error parsing number: strconv.ParseFloat: parsing ",
                         base::Quote(token.text), ": value out of range"));
      return 0;
    }
  }
  Error(token.range(),
        absl::StrCat("error parsing number: strconv.ParseFloat: parsing ",
                     base::Quote(token.text), ": invalid syntax"));
  return value;
}

std::string Parser::StringValue(const Token& token) {
  auto text = base::Unquote(token.text);
  if (text.ok()) return *std::move(text);
  Error(token.range(),
        absl::StrCat("error unquoting string ", base::Quote(token.text), ": ",
                     text.status().message()));
  return "";
}

ExprPtr Parser::ParseParen() {
  auto paren = std::make_unique<ParenExpr>();
  const int start = token_.position;
  Advance();
  paren->expr = ParseExpr(0);
  if (paren->expr == nullptr || !Expect(TokenType::kRightParen)) {
    return nullptr;
  }
  paren->position = {start, previous_end_};
  return paren;
}

bool Parser::ParseArguments(std::vector<ExprPtr>* args) {
  if (!Expect(TokenType::kLeftParen)) return false;
  if (!At(TokenType::kRightParen)) {
    while (true) {
      args->push_back(ParseExpr(0));
      if (args->back() == nullptr) return false;
      if (!At(TokenType::kComma)) break;
      const PositionRange comma = token_.range();
      Advance();
      if (!StartsExpression(token_)) {
        Error(comma, "trailing commas not allowed in function call args");
        break;
      }
    }
  }
  if (At(TokenType::kRightParen)) return true;
  Unexpected();
  return false;
}

ExprPtr Parser::ParseCall(const Token& name) {
  auto call = std::make_unique<Call>();
  if (!ParseArguments(&call->args)) return nullptr;
  call->position = {name.position, token_.end()};
  call->function = FindFunction(name.text);
  if (call->function == nullptr) {
    Error(name.range(),
          absl::StrCat("unknown function with name ", base::Quote(name.text)));
    // Whatever stands here is never evaluated: the error is final.
    call->function = FindFunction("time");
  } else if (call->function->experimental && !options_.experimental_functions) {
    Error(name.range(),
          absl::StrCat("function ", base::Quote(name.text), " is not enabled"));
  }
  // Only now: what is wrong here is told before what is wrong behind it.
  Advance();
  return call;
}

ExprPtr Parser::ParseAggregate(const Token& op) {
  auto aggregate = std::make_unique<AggregateExpr>();
  aggregate->op = op.aggregate;
  aggregate->position.start = op.position;
  std::vector<ExprPtr> args;
  {
    Context context(this, "aggregation", "");
    const bool modifier_first = !At(TokenType::kLeftParen);
    if (modifier_first && !ParseAggregateModifier(aggregate.get())) {
      return nullptr;
    }
    if (!ParseArguments(&args)) return nullptr;
    Advance();
    const bool modifier_last =
        !modifier_first && (At(TokenType::kBy) || At(TokenType::kWithout));
    if (modifier_last && !ParseAggregateModifier(aggregate.get())) {
      return nullptr;
    }
  }
  aggregate->position.end = previous_end_;
  return FinishAggregate(std::move(aggregate), std::move(args));
}

bool Parser::ParseAggregateModifier(AggregateExpr* aggregate) {
  aggregate->without = At(TokenType::kWithout);
  Advance();
  return ParseGrouping(&aggregate->grouping);
}

ExprPtr Parser::FinishAggregate(std::unique_ptr<AggregateExpr> aggregate,
                                std::vector<ExprPtr> args) {
  const bool parameter = HasParameter(aggregate->op);
  const std::size_t wanted = parameter ? 2 : 1;
  const bool experimental = aggregate->op == AggregateOp::kLimitk ||
                            aggregate->op == AggregateOp::kLimitRatio;
  if (args.empty()) {
    Error(aggregate->position,
          "no arguments for aggregate expression provided");
    return aggregate;
  }
  if (experimental && !options_.experimental_functions) {
    Error(aggregate->position,
          absl::StrCat(AggregateOpText(aggregate->op),
                       "() is experimental and must be enabled with "
                       "--enable-feature=promql-experimental-functions"));
    return aggregate;
  }
  if (args.size() != wanted) {
    Error(aggregate->position,
          absl::StrCat("wrong number of arguments for aggregate expression "
                       "provided, expected ",
                       wanted, ", got ", args.size()));
    return aggregate;
  }
  if (parameter) aggregate->param = std::move(args[0]);
  aggregate->expr = std::move(args[wanted - 1]);
  return aggregate;
}

bool Parser::ParseBinaryModifiers(BinaryExpr* binary) {
  VectorMatching& matching = *binary->matching;
  if (At(TokenType::kBool)) {
    binary->return_bool = true;
    Advance();
  }
  if (At(TokenType::kOn) || At(TokenType::kIgnoring)) {
    matching.on = At(TokenType::kOn);
    Advance();
    if (!ParseGrouping(&matching.labels)) return false;
    if (At(TokenType::kGroupLeft) || At(TokenType::kGroupRight)) {
      matching.cardinality = At(TokenType::kGroupLeft)
                                 ? VectorMatching::Cardinality::kManyToOne
                                 : VectorMatching::Cardinality::kOneToMany;
      Advance();
      // The labels may be left out, but then the operand must follow.
      const bool left_out = StartsExpression(token_) || At(TokenType::kFill) ||
                            At(TokenType::kFillLeft) ||
                            At(TokenType::kFillRight);
      if ((!left_out || At(TokenType::kLeftParen)) &&
          !ParseGrouping(&matching.include)) {
        return false;
      }
    }
  }
  return ParseFill(binary);
}

bool Parser::ParseFill(BinaryExpr* binary) {
  VectorMatching& matching = *binary->matching;
  double value = 0;
  if (At(TokenType::kFill)) {
    if (!ParseFillValue(&value)) return false;
    matching.fill_left = value;
    matching.fill_right = value;
    return true;
  }
  // One of each, in any order.
  for (int i = 0; i < 2; ++i) {
    if (At(TokenType::kFillLeft) && !matching.fill_left.has_value()) {
      if (!ParseFillValue(&value)) return false;
      matching.fill_left = value;
    } else if (At(TokenType::kFillRight) && !matching.fill_right.has_value()) {
      if (!ParseFillValue(&value)) return false;
      matching.fill_right = value;
    }
  }
  return true;
}

bool Parser::ParseFillValue(double* value) {
  Advance();
  if (!Expect(TokenType::kLeftParen)) return false;
  const bool negative = AtOperator(BinaryOp::kSub);
  if (AtSign()) Advance();
  if (!At(TokenType::kNumber) && !At(TokenType::kDuration)) {
    Unexpected();
    return false;
  }
  bool is_duration = false;
  *value = NumberValue(token_, &is_duration);
  if (negative) *value = -*value;
  Advance();
  return Expect(TokenType::kRightParen);
}

bool Parser::ParseGrouping(std::vector<std::string>* labels) {
  Context context(this, "grouping opts", "\"(\"");
  if (!Expect(TokenType::kLeftParen)) return false;
  while (!At(TokenType::kRightParen)) {
    context.Set("grouping opts", "label");
    if (!ParseGroupingLabel(labels)) return false;
    if (At(TokenType::kRightParen)) break;
    context.Set("grouping opts", "\",\" or \")\"");
    if (!Expect(TokenType::kComma)) return false;
  }
  return Expect(TokenType::kRightParen);
}

bool Parser::ParseGroupingLabel(std::vector<std::string>* labels) {
  const bool quoted = At(TokenType::kString);
  if (!quoted && !IsLabelWord(token_)) {
    Unexpected();
    return false;
  }
  std::string label = quoted ? StringValue(token_) : std::string(token_.text);
  if (!model::IsUtf8Name(label)) {
    Error(token_.range(), absl::StrCat("invalid label name for grouping: ",
                                       base::Quote(label)));
  }
  labels->push_back(std::move(label));
  Advance();
  return true;
}

}  // namespace narthex::promql::internal
