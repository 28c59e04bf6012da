#include "libs/tmpl/internal/parser.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/tmpl/internal/builtins.h"
#include "libs/tmpl/internal/lexer.h"
#include "libs/tmpl/internal/number.h"

namespace narthex::tmpl::internal {
namespace {

// Nested deeper than this no template is meant seriously, and the parser's
// own stack stays small.
constexpr int kMaxDepth = 500;

class Parser {
 public:
  Parser(absl::string_view name, absl::string_view text,
         const FuncMap& functions)
      : name_(name),
        source_(std::make_shared<const std::string>(text)),
        functions_(functions),
        tokens_(Lex(*source_)) {}

  absl::StatusOr<std::vector<Tree>> Run() {
    Tree own = NewTree(name_);
    trees_.push_back(NewTree(name_));
    variables_ = {"$"};
    std::string stop;
    NARTHEX_RETURN_IF_ERROR(Statements(&own.root, &stop));
    if (!stop.empty()) return Fail(absl::StrCat("unexpected {{", stop, "}}"));
    trees_[0] = std::move(own);
    return std::move(trees_);
  }

 private:
  using Kind = TokenKind;

  Tree NewTree(absl::string_view name) const {
    return {std::string(name), std::string(name_), source_, {}};
  }

  const Token& Now() const { return tokens_[at_]; }
  const Token& Ahead(std::size_t n) const {
    return tokens_[std::min(at_ + n, tokens_.size() - 1)];
  }
  Token Take() {
    Token token = tokens_[at_];
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  void SkipSpace() {
    while (Now().kind == Kind::kSpace) Take();
  }

  absl::Status Fail(absl::string_view reason) const {
    // What the lexer could not read explains more than what was expected.
    if (Now().kind == Kind::kError) reason = Now().text;
    Tree tree = NewTree(name_);
    return absl::InvalidArgumentError(
        absl::StrCat("template: ", LineOf(tree, Now().position), ": ", reason));
  }

  absl::Status Unexpected(absl::string_view context) const {
    std::string what;
    switch (Now().kind) {
      case Kind::kEnd:
        what = "EOF";
        break;
      case Kind::kOpen:
      case Kind::kClose:
        what = absl::StrCat("\"", Now().text, "\"");
        break;
      default:
        what = absl::StrCat("<", Now().text, ">");
    }
    return Fail(absl::StrCat("unexpected ", what, " in ", context));
  }

  absl::Status Deeper() {
    if (++depth_ > kMaxDepth) return Fail("nested too deeply");
    return absl::OkStatus();
  }

  // Reads until {{end}}, {{else ...}} or the end of the text. `*stop` is
  // "end", "else" or empty; the tokens after "else" are left.
  absl::Status Statements(std::vector<Statement>* out, std::string* stop) {
    NARTHEX_RETURN_IF_ERROR(Deeper());
    stop->clear();
    while (stop->empty()) {
      if (Now().kind == Kind::kError) return Fail("");
      if (Now().kind == Kind::kEnd) break;
      if (Now().kind == Kind::kText) {
        Statement text;
        text.position = Now().position;
        text.text = Take().text;
        out->push_back(std::move(text));
        continue;
      }
      Take();
      SkipSpace();
      NARTHEX_RETURN_IF_ERROR(Action(out, stop));
    }
    --depth_;
    return absl::OkStatus();
  }

  absl::Status Action(std::vector<Statement>* out, std::string* stop) {
    const std::string word = Now().kind == Kind::kIdentifier ? Now().text : "";
    if (word == "end") {
      Take();
      *stop = word;
      return Close("end");
    }
    if (word == "else") {
      Take();
      *stop = word;
      return absl::OkStatus();
    }
    if (word == "define") return Define();
    if (word == "block") return Block(out);
    Statement statement;
    statement.position = Now().position;
    if (word == "if" || word == "range" || word == "with") {
      NARTHEX_RETURN_IF_ERROR(Control(word, &statement));
    } else if (word == "template") {
      NARTHEX_RETURN_IF_ERROR(TemplateCall(&statement));
    } else if (word == "break" || word == "continue") {
      NARTHEX_RETURN_IF_ERROR(Jump(word, &statement));
    } else {
      statement.kind = Statement::Kind::kAction;
      NARTHEX_RETURN_IF_ERROR(
          ReadPipe("command", Kind::kClose, false, &statement.pipe));
    }
    out->push_back(std::move(statement));
    return absl::OkStatus();
  }

  absl::Status Close(absl::string_view context) {
    SkipSpace();
    if (Now().kind != Kind::kClose) return Unexpected(context);
    Take();
    return absl::OkStatus();
  }

  absl::Status Jump(const std::string& word, Statement* statement) {
    Take();
    NARTHEX_RETURN_IF_ERROR(Close(absl::StrCat("{{", word, "}}")));
    if (range_depth_ == 0) {
      return Fail(absl::StrCat("{{", word, "}} outside {{range}}"));
    }
    statement->kind =
        word == "break" ? Statement::Kind::kBreak : Statement::Kind::kContinue;
    return absl::OkStatus();
  }

  // The keyword is still to be read.
  absl::Status Control(const std::string& word, Statement* statement) {
    NARTHEX_RETURN_IF_ERROR(Deeper());
    Take();
    const std::size_t scope = variables_.size();
    const bool range = word == "range";
    statement->kind = range          ? Statement::Kind::kRange
                      : word == "if" ? Statement::Kind::kIf
                                     : Statement::Kind::kWith;
    NARTHEX_RETURN_IF_ERROR(
        ReadPipe(word, Kind::kClose, range, &statement->pipe));
    range_depth_ += range ? 1 : 0;
    std::string stop;
    NARTHEX_RETURN_IF_ERROR(Statements(&statement->body, &stop));
    range_depth_ -= range ? 1 : 0;
    if (stop == "else") {
      NARTHEX_RETURN_IF_ERROR(Else(word, statement));
    } else if (stop.empty()) {
      return Unexpected(word);
    }
    variables_.resize(scope);
    --depth_;
    return absl::OkStatus();
  }

  absl::Status Else(const std::string& word, Statement* statement) {
    SkipSpace();
    // {{else if}} is an if inside the else that needs no end of its own.
    if (Now().kind == Kind::kIdentifier && Now().text == word &&
        word != "range") {
      Statement inner;
      inner.position = Now().position;
      NARTHEX_RETURN_IF_ERROR(Control(word, &inner));
      statement->otherwise.push_back(std::move(inner));
      return absl::OkStatus();
    }
    NARTHEX_RETURN_IF_ERROR(Close("else"));
    std::string stop;
    NARTHEX_RETURN_IF_ERROR(Statements(&statement->otherwise, &stop));
    if (stop == "else") return Fail("expected end; found {{else}}");
    if (stop.empty()) return Unexpected(word);
    return absl::OkStatus();
  }

  absl::Status Name(absl::string_view context, std::string* name) {
    SkipSpace();
    if (Now().kind != Kind::kString) {
      return Unexpected(absl::StrCat(context, " clause"));
    }
    const auto unquoted = base::Unquote(Now().text);
    if (!unquoted.ok()) return Fail(unquoted.status().message());
    *name = *unquoted;
    Take();
    return absl::OkStatus();
  }

  absl::Status TemplateCall(Statement* statement) {
    Take();
    statement->kind = Statement::Kind::kTemplate;
    SkipSpace();
    statement->position = Now().position;
    NARTHEX_RETURN_IF_ERROR(Name("template", &statement->text));
    SkipSpace();
    if (Now().kind == Kind::kClose) return Close("template clause");
    return ReadPipe("template clause", Kind::kClose, false, &statement->pipe);
  }

  absl::Status Define() {
    if (depth_ > 1) return Unexpected("command");
    Take();
    std::string name;
    NARTHEX_RETURN_IF_ERROR(Name("define", &name));
    NARTHEX_RETURN_IF_ERROR(Close("define clause"));
    return Body(name, "define");
  }

  absl::Status Block(std::vector<Statement>* out) {
    Take();
    Statement call;
    call.kind = Statement::Kind::kTemplate;
    call.position = Now().position;
    NARTHEX_RETURN_IF_ERROR(Name("block", &call.text));
    NARTHEX_RETURN_IF_ERROR(
        ReadPipe("block clause", Kind::kClose, false, &call.pipe));
    NARTHEX_RETURN_IF_ERROR(Body(call.text, "block"));
    out->push_back(std::move(call));
    return absl::OkStatus();
  }

  // The body of a defined template, which sees no variables but its own.
  absl::Status Body(const std::string& name, absl::string_view context) {
    Tree tree = NewTree(name);
    std::vector<std::string> outer = {"$"};
    std::swap(outer, variables_);
    const int outer_ranges = std::exchange(range_depth_, 0);
    std::string stop;
    NARTHEX_RETURN_IF_ERROR(Statements(&tree.root, &stop));
    if (stop != "end") return Unexpected(absl::StrCat(context, " clause"));
    range_depth_ = outer_ranges;
    std::swap(outer, variables_);
    return AddTree(std::move(tree));
  }

  absl::Status AddTree(Tree tree) {
    for (std::size_t i = 1; i < trees_.size(); ++i) {
      if (trees_[i].name != tree.name) continue;
      if (tree.IsEmpty()) return absl::OkStatus();
      if (!trees_[i].IsEmpty()) {
        return Fail(absl::StrCat("multiple definition of template ",
                                 base::Quote(tree.name)));
      }
      trees_[i] = std::move(tree);
      return absl::OkStatus();
    }
    trees_.push_back(std::move(tree));
    return absl::OkStatus();
  }

  // Up to and including the closing token `close`.
  absl::Status ReadPipe(absl::string_view context, Kind close, bool range,
                        Pipe* pipe) {
    NARTHEX_RETURN_IF_ERROR(Deeper());
    SkipSpace();
    pipe->position = Now().position;
    NARTHEX_RETURN_IF_ERROR(Declarations(context, range, pipe));
    while (true) {
      SkipSpace();
      if (Now().kind == close) break;
      Command command;
      NARTHEX_RETURN_IF_ERROR(ReadCommand(&command));
      if (!pipe->commands.empty() && IsConstant(command.operands[0])) {
        return Fail(absl::StrCat("non executable command in pipeline stage ",
                                 pipe->commands.size() + 1));
      }
      pipe->commands.push_back(std::move(command));
      SkipSpace();
      if (Now().kind == Kind::kPipe) {
        Take();
      } else if (Now().kind != close) {
        return Unexpected(context);
      }
    }
    Take();
    if (pipe->commands.empty()) {
      return Fail(absl::StrCat("missing value for ", context));
    }
    pipe->text = absl::StrJoin(
        pipe->commands, " | ",
        [](std::string* out, const Command& c) { *out += c.text; });
    if (!pipe->assigns) {
      variables_.insert(variables_.end(), pipe->variables.begin(),
                        pipe->variables.end());
    }
    --depth_;
    return absl::OkStatus();
  }

  static bool IsConstant(const Operand& operand) {
    return operand.kind == Operand::Kind::kConstant ||
           operand.kind == Operand::Kind::kDot ||
           operand.kind == Operand::Kind::kNil;
  }

  // `$x :=`, `$x =` and, in a range, `$i, $x :=`.
  absl::Status Declarations(absl::string_view context, bool range, Pipe* pipe) {
    if (Now().kind != Kind::kVariable) return absl::OkStatus();
    std::size_t next = Ahead(1).kind == Kind::kSpace ? 2 : 1;
    const Kind after = Ahead(next).kind;
    if (after == Kind::kDeclare || after == Kind::kAssign) {
      pipe->variables.push_back(Now().text);
    } else if (after == Kind::kComma && range) {
      pipe->variables.push_back(Now().text);
      ++next;
      if (Ahead(next).kind == Kind::kSpace) ++next;
      if (Ahead(next).kind != Kind::kVariable) {
        return Fail("range can only initialize variables");
      }
      pipe->variables.push_back(Ahead(next).text);
      ++next;
      if (Ahead(next).kind == Kind::kSpace) ++next;
      if (Ahead(next).kind != Kind::kDeclare &&
          Ahead(next).kind != Kind::kAssign) {
        return Unexpected(context);
      }
    } else if (after == Kind::kComma) {
      return Fail(absl::StrCat("too many declarations in ", context));
    } else {
      return absl::OkStatus();
    }
    pipe->assigns = Ahead(next).kind == Kind::kAssign;
    if (pipe->assigns) {
      for (const std::string& variable : pipe->variables) {
        NARTHEX_RETURN_IF_ERROR(CheckVariable(variable));
      }
    }
    at_ += next + 1;
    return absl::OkStatus();
  }

  absl::Status CheckVariable(const std::string& name) const {
    if (std::find(variables_.begin(), variables_.end(), name) !=
        variables_.end()) {
      return absl::OkStatus();
    }
    return Fail(absl::StrCat("undefined variable ", base::Quote(name)));
  }

  absl::Status ReadCommand(Command* command) {
    command->position = Now().position;
    while (true) {
      SkipSpace();
      Operand operand;
      bool found = false;
      NARTHEX_RETURN_IF_ERROR(ReadOperand(&operand, &found));
      if (!found) break;
      if (!command->operands.empty()) command->text += ' ';
      command->text += operand.text;
      command->operands.push_back(std::move(operand));
      // Operands are separated by space: `.A.B` is one, `.A .B` are two.
      if (Now().kind != Kind::kSpace) break;
    }
    if (command->operands.empty()) return Unexpected("command");
    return absl::OkStatus();
  }

  absl::Status ReadOperand(Operand* out, bool* found) {
    NARTHEX_RETURN_IF_ERROR(ReadTerm(out, found));
    if (!*found || Now().kind != Kind::kField) return absl::OkStatus();
    if (IsConstant(*out)) {
      return Fail(
          absl::StrCat("unexpected . after term ", base::Quote(out->text)));
    }
    if (out->kind == Operand::Kind::kIdentifier) {
      Operand function = std::move(*out);
      *out = Operand();
      out->position = function.position;
      out->text = function.text;
      out->pipe = std::make_unique<Pipe>();
      out->pipe->position = function.position;
      out->pipe->text = function.text;
      Command command;
      command.position = function.position;
      command.text = function.text;
      command.operands.push_back(std::move(function));
      out->pipe->commands.push_back(std::move(command));
      out->kind = Operand::Kind::kPipe;
    }
    if (out->kind == Operand::Kind::kPipe) out->kind = Operand::Kind::kChain;
    // Go's messages point at where the fields begin.
    out->position = Now().position;
    while (Now().kind == Kind::kField) {
      const std::string field = Take().text;
      out->text += field;
      out->names.push_back(field.substr(1));
    }
    return absl::OkStatus();
  }

  absl::Status ReadTerm(Operand* out, bool* found) {
    *found = true;
    const Token& token = Now();
    out->position = token.position;
    out->text = token.text;
    switch (token.kind) {
      case Kind::kIdentifier:
        return ReadWord(out);
      case Kind::kDot:
        out->kind = Operand::Kind::kDot;
        break;
      case Kind::kVariable:
        NARTHEX_RETURN_IF_ERROR(CheckVariable(token.text));
        out->kind = Operand::Kind::kVariable;
        out->names = {token.text};
        break;
      case Kind::kField:
        out->kind = Operand::Kind::kField;
        out->names = {token.text.substr(1)};
        break;
      case Kind::kNumber:
      case Kind::kChar:
        return ReadNumber(out);
      case Kind::kString:
        return ReadString(out);
      case Kind::kLeftParen:
        Take();
        out->kind = Operand::Kind::kPipe;
        out->pipe = std::make_unique<Pipe>();
        NARTHEX_RETURN_IF_ERROR(ReadPipe("parenthesized pipeline",
                                         Kind::kRightParen, false,
                                         out->pipe.get()));
        out->text = absl::StrCat("(", out->pipe->text, ")");
        return absl::OkStatus();
      case Kind::kError:
        return Fail("");
      default:
        *found = false;
        return absl::OkStatus();
    }
    Take();
    return absl::OkStatus();
  }

  absl::Status ReadWord(Operand* out) {
    static constexpr absl::string_view kKeywords[] = {
        "block", "break", "continue", "define",   "else",
        "end",   "if",    "range",    "template", "with"};
    const std::string word = Now().text;
    if (word == "true" || word == "false") {
      out->kind = Operand::Kind::kConstant;
      out->constant = Value::Bool(word == "true");
    } else if (word == "nil") {
      out->kind = Operand::Kind::kNil;
    } else if (std::find(std::begin(kKeywords), std::end(kKeywords), word) !=
               std::end(kKeywords)) {
      return Unexpected("command");
    } else {
      if (functions_.find(word) == functions_.end() && !IsBuiltin(word)) {
        return Fail(
            absl::StrCat("function ", base::Quote(word), " not defined"));
      }
      out->kind = Operand::Kind::kIdentifier;
      out->names = {word};
    }
    Take();
    return absl::OkStatus();
  }

  absl::Status ReadNumber(Operand* out) {
    out->kind = Operand::Kind::kConstant;
    const auto value = Now().kind == Kind::kChar ? ParseCharacter(out->text)
                                                 : ParseNumber(out->text);
    if (!value && Now().kind == Kind::kChar) {
      return Fail(absl::StrCat("malformed character constant: ", out->text));
    }
    if (!value) {
      return Fail(absl::StrCat("bad number syntax: ", base::Quote(out->text)));
    }
    out->constant = *value;
    Take();
    return absl::OkStatus();
  }

  absl::Status ReadString(Operand* out) {
    out->kind = Operand::Kind::kConstant;
    const auto text = base::Unquote(out->text);
    if (!text.ok()) return Fail(text.status().message());
    out->constant = Value::String(*text);
    Take();
    return absl::OkStatus();
  }

  const std::string name_;
  const std::shared_ptr<const std::string> source_;
  const FuncMap& functions_;
  const std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
  int range_depth_ = 0;
  std::vector<std::string> variables_;  // In scope.
  std::vector<Tree> trees_;
};

}  // namespace

absl::StatusOr<std::vector<Tree>> Parse(absl::string_view name,
                                        absl::string_view text,
                                        const FuncMap& functions) {
  return Parser(name, text, functions).Run();
}

}  // namespace narthex::tmpl::internal
