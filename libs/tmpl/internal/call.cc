#include "libs/tmpl/internal/call.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/tmpl/go_time.h"

namespace narthex::tmpl::internal {
namespace {

using Kind = Value::Kind;

absl::string_view WantedType(char letter) {
  switch (letter) {
    case 's':
      return "string";
    case 'i':
      return "int";
    case 'f':
      return "float64";
    case 'b':
      return "bool";
    case 't':
      return "time.Time";
    case 'd':
      return "time.Duration";
    case 'l':
      return "[]string";
    default:
      return "interface {}";
  }
}

bool Fits(char letter, Value* value) {
  switch (letter) {
    case 's':
      return value->is_string();
    case 'i':
      return value->kind() == Kind::kInt;
    case 'f':
      if (value->kind() == Kind::kInt) {
        *value = Value::Float(static_cast<double>(value->int_value()));
      }
      return value->kind() == Kind::kFloat;
    case 'b':
      return value->kind() == Kind::kBool;
    case 't':
      return value->kind() == Kind::kTime;
    case 'd':
      if (value->kind() == Kind::kInt) {
        *value = Value::Duration(value->int_value());
      }
      return value->kind() == Kind::kDuration;
    case 'l':
      return value->kind() == Kind::kList;
    default:
      return true;
  }
}

}  // namespace

absl::Status CheckArguments(absl::string_view name,
                            const std::string& signature,
                            std::size_t receiver_count,
                            std::vector<Value>* args) {
  const bool variadic = !signature.empty() && signature.back() == '*';
  const std::size_t count = signature.size() - (variadic ? 2 : 0);
  const std::size_t given = args->size() - receiver_count;
  if (variadic ? args->size() < count : args->size() != count) {
    return absl::InvalidArgumentError(absl::StrCat(
        "wrong number of args for ", name, ": want ",
        variadic ? "at least " : "", count - receiver_count, " got ", given));
  }
  for (std::size_t i = 0; i < args->size(); ++i) {
    const char letter = signature[std::min(i, variadic ? count : i)];
    Value& value = (*args)[i];
    if (Fits(letter, &value)) continue;
    if (value.is_nil()) {
      return absl::InvalidArgumentError(
          absl::StrCat("invalid value; expected ", WantedType(letter)));
    }
    return absl::InvalidArgumentError(
        absl::StrCat("wrong type for value; expected ", WantedType(letter),
                     "; got ", value.TypeName()));
  }
  return absl::OkStatus();
}

const Function* FindMethod(const Value& receiver, absl::string_view name) {
  const FuncMap* methods = nullptr;
  if (receiver.kind() == Kind::kTime) {
    methods = &TimeMethods();
  } else if (receiver.kind() == Kind::kDuration) {
    methods = &DurationMethods();
  } else if (receiver.type() != nullptr) {
    methods = &receiver.type()->methods;
  }
  if (methods == nullptr) return nullptr;
  const auto it = methods->find(name);
  return it == methods->end() ? nullptr : &it->second;
}

}  // namespace narthex::tmpl::internal
