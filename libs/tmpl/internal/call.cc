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

bool IsVariadic(const std::string& signature) {
  return !signature.empty() && signature.back() == '*';
}

}  // namespace

absl::Status CheckCount(absl::string_view name, const std::string& signature,
                        std::size_t receiver_count, std::size_t size) {
  const bool variadic = IsVariadic(signature);
  const std::size_t count = signature.size() - (variadic ? 2 : 0);
  if (variadic ? size >= count : size == count) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "wrong number of args for ", name, ": want ", variadic ? "at least " : "",
      count - receiver_count, " got ", size - receiver_count));
}

std::optional<Mismatch> FindMismatch(const std::string& signature,
                                     std::vector<Value>* args) {
  const bool variadic = IsVariadic(signature);
  const std::size_t count = signature.size() - (variadic ? 2 : 0);
  for (std::size_t i = 0; i < args->size(); ++i) {
    const char letter = signature[variadic ? std::min(i, count) : i];
    if (!Fits(letter, &(*args)[i])) return Mismatch{i, WantedType(letter)};
  }
  return std::nullopt;
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
