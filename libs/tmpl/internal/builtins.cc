#include "libs/tmpl/internal/builtins.h"

#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/html.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/base/url_query.h"
#include "libs/tmpl/print.h"

namespace narthex::tmpl::internal {
namespace {

using Kind = Value::Kind;
using Args = absl::Span<const Value>;

absl::Status Refuse(absl::string_view why) {
  return absl::InvalidArgumentError(why);
}

enum class Basic { kBool, kInt, kFloat, kString, kNil, kOther };

Basic BasicOf(const Value& value) {
  switch (value.kind()) {
    case Kind::kBool:
      return Basic::kBool;
    case Kind::kInt:
    case Kind::kUint:
    case Kind::kDuration:
      return Basic::kInt;
    case Kind::kFloat:
      return Basic::kFloat;
    case Kind::kString:
      return Basic::kString;
    case Kind::kNil:
      return Basic::kNil;
    default:
      return Basic::kOther;
  }
}

// Integers of both signs as sign and bits, so that they order correctly.
bool IntegerLess(const Value& a, const Value& b) {
  const auto negative = [](const Value& v) {
    return (v.kind() == Kind::kInt && v.int_value() < 0) ||
           (v.kind() == Kind::kDuration && v.duration_ns() < 0);
  };
  const auto bits = [](const Value& v) {
    if (v.kind() == Kind::kUint) return v.uint_value();
    return static_cast<std::uint64_t>(v.kind() == Kind::kInt ? v.int_value()
                                                             : v.duration_ns());
  };
  if (negative(a) != negative(b)) return negative(a);
  return bits(a) < bits(b);
}

absl::Status Incompatible(const Value& a, const Value& b) {
  return Refuse(absl::StrCat("incompatible types for comparison: ",
                             a.TypeName(), " and ", b.TypeName()));
}

absl::StatusOr<bool> Less(const Value& a, const Value& b) {
  const Basic basic = BasicOf(a);
  if (basic == Basic::kOther || basic == Basic::kNil) {
    return Refuse("invalid type for comparison");
  }
  if (basic != BasicOf(b)) return Incompatible(a, b);
  switch (basic) {
    case Basic::kInt:
      return IntegerLess(a, b);
    case Basic::kFloat:
      return a.float_value() < b.float_value();
    case Basic::kString:
      return a.string_value() < b.string_value();
    default:
      return Refuse("invalid type for comparison");
  }
}

absl::StatusOr<bool> Equal(const Value& a, const Value& b) {
  if (a.is_nil() || b.is_nil()) {
    if (a.is_nil() && b.is_nil()) return true;
    if (a.is_nil_map() || b.is_nil_map()) return true;
    return false;
  }
  if (a.kind() == Kind::kTime && b.kind() == Kind::kTime) {
    return a.time_value().at == b.time_value().at;
  }
  const Basic basic = BasicOf(a);
  if (basic == Basic::kOther) {
    return Refuse(absl::StrCat("non-comparable type: ", a.TypeName()));
  }
  if (basic != BasicOf(b)) return Incompatible(a, b);
  switch (basic) {
    case Basic::kBool:
      return a.bool_value() == b.bool_value();
    case Basic::kInt:
      return !IntegerLess(a, b) && !IntegerLess(b, a);
    case Basic::kFloat:
      return a.float_value() == b.float_value();
    default:
      return a.string_value() == b.string_value();
  }
}

absl::StatusOr<Value> Eq(Args args) {
  if (args.size() < 2) return Refuse("missing argument for comparison");
  for (std::size_t i = 1; i < args.size(); ++i) {
    NARTHEX_ASSIGN_OR_RETURN(const bool equal, Equal(args[0], args[i]));
    if (equal) return Value::Bool(true);
  }
  return Value::Bool(false);
}

absl::StatusOr<Value> Ne(Args args) {
  NARTHEX_ASSIGN_OR_RETURN(const bool equal, Equal(args[0], args[1]));
  return Value::Bool(!equal);
}

absl::StatusOr<Value> Lt(Args args) {
  NARTHEX_ASSIGN_OR_RETURN(const bool less, Less(args[0], args[1]));
  return Value::Bool(less);
}

absl::StatusOr<Value> Le(Args args) {
  NARTHEX_ASSIGN_OR_RETURN(const bool less, Less(args[0], args[1]));
  if (less) return Value::Bool(true);
  NARTHEX_ASSIGN_OR_RETURN(const bool equal, Equal(args[0], args[1]));
  return Value::Bool(equal);
}

absl::StatusOr<Value> Gt(Args args) {
  NARTHEX_ASSIGN_OR_RETURN(const Value le, Le(args));
  // Not the negation of Le for NaN, but it is so in Go as well.
  return Value::Bool(!le.bool_value());
}

absl::StatusOr<Value> Ge(Args args) {
  NARTHEX_ASSIGN_OR_RETURN(const bool less, Less(args[0], args[1]));
  return Value::Bool(!less);
}

absl::StatusOr<Value> Len(Args args) {
  std::size_t size = 0;
  switch (args[0].kind()) {
    case Kind::kString:
      size = args[0].string_value().size();
      break;
    case Kind::kList:
      size = args[0].list().size();
      break;
    case Kind::kMap:
      size = args[0].map().size();
      break;
    case Kind::kNil:
      return Refuse("len of nil pointer");
    default:
      return Refuse(absl::StrCat("len of type ", args[0].TypeName()));
  }
  return Value::Int(static_cast<std::int64_t>(size));
}

absl::StatusOr<std::size_t> Position(const Value& index, std::size_t limit) {
  if (index.kind() != Kind::kInt && index.kind() != Kind::kUint) {
    return Refuse(
        absl::StrCat("cannot index slice/array with type ", index.TypeName()));
  }
  const bool big = index.kind() == Kind::kUint;
  if (big || index.int_value() < 0 ||
      static_cast<std::uint64_t>(index.int_value()) > limit) {
    return Refuse(absl::StrCat("index out of range: ", Print(index)));
  }
  return static_cast<std::size_t>(index.int_value());
}

absl::StatusOr<Value> IndexMap(const Value& map, const Value& key) {
  if (!key.is_string()) {
    return Refuse(
        absl::StrCat("value has type ", key.TypeName(), "; should be string"));
  }
  const auto it = map.map().find(key.string_value());
  if (it != map.map().end()) return it->second;
  return map.is_string_map() ? Value::String("") : Value();
}

absl::StatusOr<Value> Index(Args args) {
  if (args[0].is_nil()) return Refuse("index of untyped nil");
  Value item = args[0];
  for (const Value& index : args.subspan(1)) {
    if (item.kind() == Kind::kMap) {
      NARTHEX_ASSIGN_OR_RETURN(item, IndexMap(item, index));
    } else if (item.kind() == Kind::kList) {
      const std::size_t size = item.list().size();
      NARTHEX_ASSIGN_OR_RETURN(const std::size_t at, Position(index, size));
      if (at == size) {
        return Refuse(absl::StrCat("index out of range: ", at));
      }
      item = Value(item.list()[at]);
    } else if (item.is_string()) {
      const std::size_t size = item.string_value().size();
      NARTHEX_ASSIGN_OR_RETURN(const std::size_t at, Position(index, size));
      if (at == size) {
        return Refuse(absl::StrCat("index out of range: ", at));
      }
      item = Value::Uint(static_cast<unsigned char>(item.string_value()[at]));
    } else if (item.is_nil()) {
      return Refuse("index of nil pointer");
    } else {
      return Refuse(absl::StrCat("can't index item of type ", item.TypeName()));
    }
  }
  return item;
}

absl::StatusOr<Value> Slice(Args args) {
  const Value& item = args[0];
  if (item.is_nil()) return Refuse("slice of untyped nil");
  if (args.size() > 4) {
    return Refuse(absl::StrCat("too many slice indexes: ", args.size() - 1));
  }
  if (!item.is_string() && item.kind() != Kind::kList) {
    return Refuse(absl::StrCat("can't slice item of type ", item.TypeName()));
  }
  if (item.is_string() && args.size() == 4) {
    return Refuse("cannot 3-index slice a string");
  }
  const std::size_t size =
      item.is_string() ? item.string_value().size() : item.list().size();
  std::size_t bounds[3] = {0, size, size};
  for (std::size_t i = 1; i < args.size(); ++i) {
    NARTHEX_ASSIGN_OR_RETURN(bounds[i - 1], Position(args[i], size));
  }
  if (bounds[0] > bounds[1] || bounds[1] > bounds[2]) {
    return Refuse(
        absl::StrCat("invalid slice index: ", bounds[0], " > ", bounds[1]));
  }
  if (item.is_string()) {
    return Value::String(
        item.string_value().substr(bounds[0], bounds[1] - bounds[0]));
  }
  const auto begin = item.list().begin();
  return Value::OfList(
      Value::List(begin + static_cast<std::ptrdiff_t>(bounds[0]),
                  begin + static_cast<std::ptrdiff_t>(bounds[1])),
      item.type());
}

// One string as it is, anything else as print would join it.
std::string Joined(Args args) {
  if (args.size() == 1 && args[0].is_string()) return args[0].string_value();
  if (args.size() == 1) return Print(args[0]);
  return Sprint(args);
}

absl::StatusOr<Value> Html(Args args) {
  return Value::String(base::EscapeHtml(Joined(args)), Safety::kHtml);
}

const FuncMap& Table() {
  static const FuncMap table = {
      // Evaluated by the executor.
      {"and", {"aa*", nullptr}},
      {"or", {"aa*", nullptr}},
      {"not", {"a", [](Args args) { return Value::Bool(!args[0].Truth()); }}},
      {"eq", {"aa*", Eq}},
      {"ne", {"aa", Ne}},
      {"lt", {"aa", Lt}},
      {"le", {"aa", Le}},
      {"gt", {"aa", Gt}},
      {"ge", {"aa", Ge}},
      {"len", {"a", Len}},
      {"index", {"aa*", Index}},
      {"slice", {"aa*", Slice}},
      {"print", {"a*", [](Args args) { return Value::String(Sprint(args)); }}},
      {"println",
       {"a*", [](Args args) { return Value::String(Sprintln(args)); }}},
      {"printf",
       {"sa*",
        [](Args args) {
          return Value::String(
              Sprintf(args[0].string_value(), args.subspan(1)));
        }}},
      {"html", {"a*", Html}},
      {"js",
       {"a*", [](Args args) { return Value::String(EscapeJs(Joined(args))); }}},
      {"urlquery",
       {"a*",
        [](Args args) {
          return Value::String(base::EscapeUrlQuery(Joined(args)));
        }}},
      {"call",
       {"aa*",
        [](Args) -> absl::StatusOr<Value> {
          return Refuse("non-function given to call");
        }}},
  };
  return table;
}

}  // namespace

const FuncMap& Builtins() { return Table(); }

bool IsBuiltin(absl::string_view name) {
  return Table().find(name) != Table().end();
}

std::string EscapeJs(absl::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '\\':
        out += "\\\\";
        break;
      case '\'':
        out += "\\'";
        break;
      case '"':
        out += "\\\"";
        break;
      case '<':
      case '>':
      case '&':
      case '=':
        absl::StrAppendFormat(&out, "\\u%04X", c);
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          absl::StrAppendFormat(&out, "\\u%04X", c);
        } else {
          out += c;
        }
    }
  }
  return out;
}

}  // namespace narthex::tmpl::internal
