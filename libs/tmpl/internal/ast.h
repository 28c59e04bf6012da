#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "libs/tmpl/value.h"

namespace narthex::tmpl::internal {

struct Pipe;

/// One operand of a command.
struct Operand {
  enum class Kind {
    kDot,
    kNil,
    kConstant,    ///< `constant`: bool, number or string.
    kField,       ///< .A.B: `names`.
    kVariable,    ///< $x.A.B: the first of `names` is "$x".
    kIdentifier,  ///< A function: the one of `names`.
    kPipe,        ///< (pipe)
    kChain,       ///< (pipe).A.B or function.A: `pipe` and `names`.
  };
  Kind kind = Kind::kDot;
  std::size_t position = 0;  ///< Byte offset in the text of the template.
  std::string text;          ///< As error messages cite it.
  std::vector<std::string> names;
  Value constant;
  std::unique_ptr<Pipe> pipe;
};

/// A function or value with its arguments; never empty.
struct Command {
  std::size_t position = 0;
  std::string text;
  std::vector<Operand> operands;
};

/// Commands joined by |, whose result may go to variables.
struct Pipe {
  std::size_t position = 0;
  std::string text;
  std::vector<std::string> variables;
  bool assigns = false;  ///< "=", not ":=".
  std::vector<Command> commands;
};

struct Statement {
  enum class Kind {
    kText,
    kAction,
    kIf,
    kRange,
    kWith,
    kTemplate,
    kBreak,
    kContinue,
  };
  Kind kind = Kind::kText;
  std::size_t position = 0;
  std::string text;  ///< Of kText; the name of kTemplate.
  Pipe pipe;         ///< No commands when kTemplate has no argument.
  std::vector<Statement> body;
  std::vector<Statement> otherwise;
};

/// A parsed template.
struct Tree {
  std::string name;
  std::string parse_name;  ///< Of the text in which it was defined.
  std::shared_ptr<const std::string> source;
  std::vector<Statement> root;

  /// Whether it writes nothing but space.
  bool IsEmpty() const;
};

/// "NAME:LINE" and "NAME:LINE:COLUMN" of an offset.
std::string LineOf(const Tree& tree, std::size_t position);
std::string PlaceOf(const Tree& tree, std::size_t position);

}  // namespace narthex::tmpl::internal
