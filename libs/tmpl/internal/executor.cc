#include "libs/tmpl/internal/executor.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/tmpl/internal/builtins.h"
#include "libs/tmpl/internal/call.h"
#include "libs/tmpl/internal/html_writer.h"
#include "libs/tmpl/print.h"

namespace narthex::tmpl::internal {
namespace {

using Kind = Value::Kind;

// Templates that call themselves without end stop here.
constexpr int kMaxTemplateDepth = 250;

enum class Flow { kNext, kBreak, kContinue };

// The value piped into a command, if there is one.
using Piped = std::optional<Value>;

class Executor {
 public:
  Executor(const FindTree& find, const FuncMap& functions,
           const ExecuteOptions& options)
      : find_(find), functions_(functions), options_(options), html_(&out_) {}

  absl::StatusOr<std::string> Run(const Tree& tree, const Value& data) {
    NARTHEX_RETURN_IF_ERROR(RunTree(tree, data));
    return std::move(out_);
  }

 private:
  struct Variable {
    absl::string_view name;
    Value value;
  };

  // An operand or command being evaluated, for messages.
  struct Site {
    std::size_t position = 0;
    absl::string_view text;
    const Command* command = nullptr;  // Of a call of a function.
  };

  absl::Status Fail(const Site& site, absl::string_view reason) const {
    const bool cut = site.text.size() > 20;
    return absl::InvalidArgumentError(
        absl::StrCat("template: ", PlaceOf(*tree_, site.position),
                     ": executing ", base::Quote(tree_->name), " at <",
                     site.text.substr(0, 20), cut ? "..." : "", ">: ", reason));
  }

  absl::Status RunTree(const Tree& tree, const Value& data) {
    const Tree* outer_tree = std::exchange(tree_, &tree);
    std::vector<Variable> outer_variables;
    std::swap(outer_variables, variables_);
    variables_.push_back({"$", data});
    Flow flow = Flow::kNext;
    NARTHEX_RETURN_IF_ERROR(RunList(tree.root, data, &flow));
    std::swap(outer_variables, variables_);
    tree_ = outer_tree;
    return absl::OkStatus();
  }

  absl::Status RunList(const std::vector<Statement>& list, const Value& dot,
                       Flow* flow) {
    for (const Statement& statement : list) {
      NARTHEX_RETURN_IF_ERROR(RunStatement(statement, dot, flow));
      if (*flow != Flow::kNext) break;
    }
    return absl::OkStatus();
  }

  absl::Status RunStatement(const Statement& statement, const Value& dot,
                            Flow* flow) {
    switch (statement.kind) {
      case Statement::Kind::kText:
        WriteText(statement.text);
        return absl::OkStatus();
      case Statement::Kind::kAction: {
        NARTHEX_ASSIGN_OR_RETURN(const Value value,
                                 EvaluatePipe(statement.pipe, dot));
        if (statement.pipe.variables.empty()) WriteValue(value);
        return absl::OkStatus();
      }
      case Statement::Kind::kIf:
      case Statement::Kind::kWith:
        return RunCondition(statement, dot, flow);
      case Statement::Kind::kRange:
        return RunRange(statement, dot, flow);
      case Statement::Kind::kTemplate:
        return RunTemplate(statement, dot);
      case Statement::Kind::kBreak:
        *flow = Flow::kBreak;
        return absl::OkStatus();
      case Statement::Kind::kContinue:
        *flow = Flow::kContinue;
        return absl::OkStatus();
    }
    return absl::OkStatus();
  }

  void WriteText(absl::string_view text) {
    if (options_.html) {
      html_.WriteText(text);
    } else {
      absl::StrAppend(&out_, text);
    }
  }

  void WriteValue(const Value& value) {
    if (options_.html) {
      html_.WriteValue(value);
    } else {
      out_ += Print(value);
    }
  }

  absl::Status RunCondition(const Statement& statement, const Value& dot,
                            Flow* flow) {
    const std::size_t scope = variables_.size();
    NARTHEX_ASSIGN_OR_RETURN(const Value value,
                             EvaluatePipe(statement.pipe, dot));
    if (value.Truth()) {
      const bool with = statement.kind == Statement::Kind::kWith;
      NARTHEX_RETURN_IF_ERROR(
          RunList(statement.body, with ? value : dot, flow));
    } else {
      NARTHEX_RETURN_IF_ERROR(RunList(statement.otherwise, dot, flow));
    }
    DropVariables(scope);
    return absl::OkStatus();
  }

  void DropVariables(std::size_t scope) {
    variables_.erase(variables_.begin() + static_cast<std::ptrdiff_t>(scope),
                     variables_.end());
  }

  // Runs the body for one element; false after a break.
  absl::StatusOr<bool> RunElement(const Statement& statement, Value key,
                                  const Value& element, Flow* flow) {
    const std::size_t scope = variables_.size();
    const Pipe& pipe = statement.pipe;
    if (!pipe.variables.empty()) {
      NARTHEX_RETURN_IF_ERROR(
          SetVariable(pipe, pipe.variables.back(), element));
    }
    if (pipe.variables.size() > 1) {
      NARTHEX_RETURN_IF_ERROR(
          SetVariable(pipe, pipe.variables[0], std::move(key)));
    }
    NARTHEX_RETURN_IF_ERROR(RunList(statement.body, element, flow));
    DropVariables(scope);
    const bool more = *flow != Flow::kBreak;
    *flow = Flow::kNext;
    return more;
  }

  absl::Status RunRange(const Statement& statement, const Value& dot,
                        Flow* flow) {
    const std::size_t scope = variables_.size();
    // The variables are set for each element, not once by the pipe.
    NARTHEX_ASSIGN_OR_RETURN(const Value value,
                             EvaluateCommands(statement.pipe, dot));
    bool any = false;
    if (value.kind() == Kind::kList) {
      std::int64_t i = 0;
      for (const Value& item : value.list()) {
        any = true;
        NARTHEX_ASSIGN_OR_RETURN(
            const bool more,
            RunElement(statement, Value::Int(i++), item, flow));
        if (!more) break;
      }
    } else if (value.kind() == Kind::kMap) {
      for (const auto& [key, element] : value.map()) {
        any = true;
        NARTHEX_ASSIGN_OR_RETURN(
            const bool more,
            RunElement(statement, Value::String(key), element, flow));
        if (!more) break;
      }
    } else if (value.kind() == Kind::kInt) {
      for (std::int64_t i = 0; i < value.int_value(); ++i) {
        any = true;
        NARTHEX_ASSIGN_OR_RETURN(
            const bool more,
            RunElement(statement, Value::Int(i), Value::Int(i), flow));
        if (!more) break;
      }
    } else if (!value.is_nil()) {
      return Fail(SiteOf(statement.pipe),
                  absl::StrCat("range can't iterate over ", Print(value)));
    }
    DropVariables(scope);
    if (any) return absl::OkStatus();
    return RunList(statement.otherwise, dot, flow);
  }

  absl::Status RunTemplate(const Statement& statement, const Value& dot) {
    const std::string text = absl::StrCat(
        "{{template ", base::Quote(statement.text),
        statement.pipe.text.empty() ? "" : " ", statement.pipe.text, "}}");
    const Site site{statement.position, text};
    const Tree* tree = find_(statement.text);
    if (tree == nullptr) {
      return Fail(site, absl::StrCat("template ", base::Quote(statement.text),
                                     " not defined"));
    }
    if (depth_ == kMaxTemplateDepth) {
      return Fail(site, absl::StrCat("exceeded maximum template depth (",
                                     kMaxTemplateDepth, ")"));
    }
    Value argument;
    if (!statement.pipe.commands.empty()) {
      NARTHEX_ASSIGN_OR_RETURN(argument, EvaluatePipe(statement.pipe, dot));
    }
    ++depth_;
    NARTHEX_RETURN_IF_ERROR(RunTree(*tree, argument));
    --depth_;
    return absl::OkStatus();
  }

  static Site SiteOf(const Operand& operand) {
    return {operand.position, operand.text};
  }
  static Site SiteOf(const Command& command) {
    return {command.position, command.text, &command};
  }
  static Site SiteOf(const Pipe& pipe) { return {pipe.position, pipe.text}; }

  absl::StatusOr<Value> EvaluatePipe(const Pipe& pipe, const Value& dot) {
    NARTHEX_ASSIGN_OR_RETURN(Value value, EvaluateCommands(pipe, dot));
    for (const std::string& variable : pipe.variables) {
      NARTHEX_RETURN_IF_ERROR(SetVariable(pipe, variable, value));
    }
    return value;
  }

  absl::StatusOr<Value> EvaluateCommands(const Pipe& pipe, const Value& dot) {
    Piped value;
    for (const Command& command : pipe.commands) {
      NARTHEX_ASSIGN_OR_RETURN(value,
                               EvaluateCommand(command, dot, std::move(value)));
    }
    return std::move(value).value_or(Value());
  }

  absl::Status SetVariable(const Pipe& pipe, const std::string& name,
                           Value value) {
    if (!pipe.assigns) {
      variables_.push_back({name, std::move(value)});
      return absl::OkStatus();
    }
    Variable* variable = FindVariable(name);
    if (variable == nullptr) {
      return Fail(SiteOf(pipe), absl::StrCat("undefined variable: ", name));
    }
    variable->value = std::move(value);
    return absl::OkStatus();
  }

  Variable* FindVariable(absl::string_view name) {
    for (auto it = variables_.rbegin(); it != variables_.rend(); ++it) {
      if (it->name == name) return &*it;
    }
    return nullptr;
  }

  absl::StatusOr<Value> EvaluateCommand(const Command& command,
                                        const Value& dot, Piped piped) {
    const Operand& first = command.operands[0];
    switch (first.kind) {
      case Operand::Kind::kField:
        return EvaluateFields(command, dot, dot, first.names, 0,
                              std::move(piped));
      case Operand::Kind::kChain: {
        NARTHEX_ASSIGN_OR_RETURN(const Value receiver,
                                 EvaluatePipe(*first.pipe, dot));
        return EvaluateFields(command, dot, receiver, first.names, 0,
                              std::move(piped));
      }
      case Operand::Kind::kVariable: {
        NARTHEX_ASSIGN_OR_RETURN(const Value receiver, VariableValue(first));
        if (first.names.size() == 1) break;
        return EvaluateFields(command, dot, receiver, first.names, 1,
                              std::move(piped));
      }
      case Operand::Kind::kIdentifier:
        return EvaluateFunction(command, dot, std::move(piped));
      default:
        break;
    }
    if (command.operands.size() > 1 || piped) {
      return Fail(
          SiteOf(command),
          absl::StrCat("can't give argument to non-function ", first.text));
    }
    if (first.kind == Operand::Kind::kNil) {
      return Fail(SiteOf(command), "nil is not a command");
    }
    return EvaluateOperand(first, dot);
  }

  absl::StatusOr<Value> VariableValue(const Operand& operand) {
    const Variable* variable = FindVariable(operand.names[0]);
    if (variable == nullptr) {
      return Fail(SiteOf(operand),
                  absl::StrCat("undefined variable: ", operand.names[0]));
    }
    return variable->value;
  }

  // An argument, or a command without arguments.
  absl::StatusOr<Value> EvaluateOperand(const Operand& operand,
                                        const Value& dot) {
    switch (operand.kind) {
      case Operand::Kind::kDot:
        return dot;
      case Operand::Kind::kNil:
        return Value();
      case Operand::Kind::kConstant:
        return operand.constant;
      case Operand::Kind::kPipe:
        return EvaluatePipe(*operand.pipe, dot);
      case Operand::Kind::kField:
        return WalkFields(operand, dot, 0);
      case Operand::Kind::kChain: {
        NARTHEX_ASSIGN_OR_RETURN(const Value receiver,
                                 EvaluatePipe(*operand.pipe, dot));
        return WalkFields(operand, receiver, 0);
      }
      case Operand::Kind::kVariable: {
        NARTHEX_ASSIGN_OR_RETURN(const Value receiver, VariableValue(operand));
        return WalkFields(operand, receiver, 1);
      }
      case Operand::Kind::kIdentifier:
        return CallFunction(SiteOf(operand), operand.names[0], {});
    }
    return Value();
  }

  absl::StatusOr<Value> WalkFields(const Operand& operand, Value receiver,
                                   std::size_t from) {
    for (std::size_t i = from; i < operand.names.size(); ++i) {
      NARTHEX_ASSIGN_OR_RETURN(
          receiver, EvaluateField(SiteOf(operand), operand.names[i], receiver,
                                  {}, false));
    }
    return receiver;
  }

  // A chain of fields whose last takes the arguments of the command.
  absl::StatusOr<Value> EvaluateFields(const Command& command, const Value& dot,
                                       Value receiver,
                                       const std::vector<std::string>& names,
                                       std::size_t from, Piped piped) {
    const Site site = SiteOf(command.operands[0]);
    for (std::size_t i = from; i + 1 < names.size(); ++i) {
      NARTHEX_ASSIGN_OR_RETURN(
          receiver, EvaluateField(site, names[i], receiver, {}, false));
    }
    const bool has_arguments = command.operands.size() > 1 || piped;
    std::vector<Value> args;
    if (has_arguments) {
      NARTHEX_ASSIGN_OR_RETURN(args, Arguments(command, dot, std::move(piped)));
    }
    return EvaluateField(site, names.back(), receiver, std::move(args),
                         has_arguments);
  }

  absl::StatusOr<std::vector<Value>> Arguments(const Command& command,
                                               const Value& dot, Piped piped) {
    std::vector<Value> args;
    args.reserve(command.operands.size());
    for (std::size_t i = 1; i < command.operands.size(); ++i) {
      NARTHEX_ASSIGN_OR_RETURN(Value value,
                               EvaluateOperand(command.operands[i], dot));
      args.push_back(std::move(value));
    }
    if (piped) args.push_back(*std::move(piped));
    return args;
  }

  absl::StatusOr<Value> EvaluateField(const Site& site, const std::string& name,
                                      const Value& receiver,
                                      std::vector<Value> args,
                                      bool has_arguments) {
    if (receiver.is_nil()) {
      if (options_.missing_key == MissingKey::kError) {
        return Fail(site, absl::StrCat("nil data; no entry for key ",
                                       base::Quote(name)));
      }
      return Value();
    }
    if (const Function* method = FindMethod(receiver, name)) {
      args.insert(args.begin(), receiver);
      return Call(site, name, *method, 1, std::move(args));
    }
    if (const Value* field = receiver.Field(name)) {
      if (has_arguments) {
        return Fail(site, absl::StrCat(name,
                                       " has arguments but cannot be invoked "
                                       "as function"));
      }
      return *field;
    }
    if (receiver.kind() != Kind::kMap) {
      return Fail(site, absl::StrCat("can't evaluate field ", name, " in type ",
                                     receiver.TypeName()));
    }
    if (has_arguments) {
      return Fail(site,
                  absl::StrCat(name, " is not a method but has arguments"));
    }
    return Entry(site, name, receiver);
  }

  absl::StatusOr<Value> Entry(const Site& site, const std::string& key,
                              const Value& map) {
    const auto it = map.map().find(key);
    if (it != map.map().end()) return it->second;
    switch (options_.missing_key) {
      case MissingKey::kDefault:
        return Value();
      case MissingKey::kZero:
        return map.is_string_map() ? Value::String("") : Value();
      case MissingKey::kError:
        break;
    }
    return Fail(site,
                absl::StrCat("map has no entry for key ", base::Quote(key)));
  }

  absl::StatusOr<Value> EvaluateFunction(const Command& command,
                                         const Value& dot, Piped piped) {
    const std::string& name = command.operands[0].names[0];
    if ((name == "and" || name == "or") && FindFunction(name) == nullptr) {
      return EvaluateLogic(command, dot, name == "or", std::move(piped));
    }
    NARTHEX_ASSIGN_OR_RETURN(std::vector<Value> args,
                             Arguments(command, dot, std::move(piped)));
    return CallFunction(SiteOf(command), name, std::move(args));
  }

  // `and` and `or` give the first argument that decides, or the last.
  absl::StatusOr<Value> EvaluateLogic(const Command& command, const Value& dot,
                                      bool decides, Piped piped) {
    Value value;
    if (command.operands.size() == 1 && !piped) {
      return Fail(SiteOf(command), absl::StrCat("wrong number of args for ",
                                                command.operands[0].text,
                                                ": want at least 1 got 0"));
    }
    for (std::size_t i = 1; i < command.operands.size(); ++i) {
      NARTHEX_ASSIGN_OR_RETURN(value,
                               EvaluateOperand(command.operands[i], dot));
      if (value.Truth() == decides) return value;
    }
    return piped ? *std::move(piped) : value;
  }

  const Function* FindFunction(const std::string& name) const {
    if (options_.functions != nullptr) {
      const auto it = options_.functions->find(name);
      if (it != options_.functions->end()) return &it->second;
    }
    const auto it = functions_.find(name);
    return it == functions_.end() ? nullptr : &it->second;
  }

  absl::StatusOr<Value> CallFunction(const Site& site, const std::string& name,
                                     std::vector<Value> args) {
    const Function* function = FindFunction(name);
    if (function == nullptr) {
      const auto it = Builtins().find(name);
      if (it == Builtins().end() || it->second.call == nullptr) {
        return Fail(site, absl::StrCat(base::Quote(name),
                                       " is not a defined function"));
      }
      function = &it->second;
    }
    return Call(site, name, *function, 0, std::move(args));
  }

  absl::Status FailMismatch(const Site& site, const Mismatch& mismatch,
                            const Value& value) const {
    const std::size_t operand = mismatch.index + 1;
    if (site.command != nullptr && operand < site.command->operands.size()) {
      const Operand& given = site.command->operands[operand];
      if (given.kind == Operand::Kind::kConstant) {
        return Fail(SiteOf(given), absl::StrCat("expected ", mismatch.wanted,
                                                "; found ", given.text));
      }
      return Fail(SiteOf(given), WrongKind(mismatch, value));
    }
    return Fail(site, WrongKind(mismatch, value));
  }

  static std::string WrongKind(const Mismatch& mismatch, const Value& value) {
    if (value.is_nil()) {
      return absl::StrCat("invalid value; expected ", mismatch.wanted);
    }
    return absl::StrCat("wrong type for value; expected ", mismatch.wanted,
                        "; got ", value.TypeName());
  }

  absl::StatusOr<Value> Call(const Site& site, const std::string& name,
                             const Function& function,
                             std::size_t receiver_count,
                             std::vector<Value> args) {
    const absl::Status count =
        CheckCount(name, function.signature, receiver_count, args.size());
    if (!count.ok()) return Fail({site.position, name}, count.message());
    if (const auto mismatch = FindMismatch(function.signature, &args)) {
      return FailMismatch(site, *mismatch, args[mismatch->index]);
    }
    absl::StatusOr<Value> result = function.call(args);
    if (result.ok()) return result;
    return Fail(site, absl::StrCat("error calling ", name, ": ",
                                   result.status().message()));
  }

  const FindTree& find_;
  const FuncMap& functions_;
  const ExecuteOptions& options_;
  std::string out_;
  HtmlWriter html_;
  const Tree* tree_ = nullptr;
  std::vector<Variable> variables_;
  int depth_ = 0;
};

}  // namespace

absl::StatusOr<std::string> Execute(const Tree& tree, const FindTree& find,
                                    const FuncMap& functions, const Value& data,
                                    const ExecuteOptions& options) {
  return Executor(find, functions, options).Run(tree, data);
}

}  // namespace narthex::tmpl::internal
