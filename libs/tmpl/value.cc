#include "libs/tmpl/value.h"

#include <cstdlib>

namespace narthex::tmpl {

Time ZeroTime() {
  return {absl::FromCivil(absl::CivilSecond(1, 1, 1), absl::UTCTimeZone()),
          absl::UTCTimeZone()};
}

Value Value::Bool(bool value) { return Value(Data(value)); }
Value Value::Int(std::int64_t value) { return Value(Data(value)); }
Value Value::Uint(std::uint64_t value) { return Value(Data(value)); }
Value Value::Float(double value) { return Value(Data(value)); }
Value Value::String(std::string value, Safety safety) {
  return Value(Data(Text{std::move(value), safety}));
}
Value Value::OfTime(Time value) { return Value(Data(value)); }
Value Value::Duration(std::int64_t nanoseconds) {
  return Value(Data(Ns{nanoseconds}));
}

Value Value::OfList(List items, const Type* type) {
  return Value(
      Data(std::make_shared<const ListRep>(ListRep{std::move(items), type})));
}

Value Value::OfMap(Map entries, const Type* type) {
  return Value(Data(std::make_shared<const MapRep>(
      MapRep{std::move(entries), type, false, false})));
}

Value Value::StringMap(Map entries, const Type* type) {
  return Value(Data(std::make_shared<const MapRep>(
      MapRep{std::move(entries), type, true, false})));
}

Value Value::NilStringMap(const Type* type) {
  return Value(
      Data(std::make_shared<const MapRep>(MapRep{{}, type, true, true})));
}

Value Value::Struct(Fields fields, const Type* type) {
  return Value(Data(
      std::make_shared<const StructRep>(StructRep{std::move(fields), type})));
}

Safety Value::safety() const {
  const auto* text = std::get_if<Text>(&data_);
  return text == nullptr ? Safety::kNone : text->safety;
}

const Value::List& Value::list() const {
  return std::get<std::shared_ptr<const ListRep>>(data_)->items;
}
const Value::Map& Value::map() const {
  return std::get<std::shared_ptr<const MapRep>>(data_)->entries;
}
const Value::Fields& Value::fields() const {
  return std::get<std::shared_ptr<const StructRep>>(data_)->fields;
}

const Type* Value::type() const {
  switch (kind()) {
    case Kind::kList:
      return std::get<std::shared_ptr<const ListRep>>(data_)->type;
    case Kind::kMap:
      return std::get<std::shared_ptr<const MapRep>>(data_)->type;
    case Kind::kStruct:
      return std::get<std::shared_ptr<const StructRep>>(data_)->type;
    default:
      return nullptr;
  }
}

bool Value::is_string_map() const {
  return kind() == Kind::kMap &&
         std::get<std::shared_ptr<const MapRep>>(data_)->strings;
}

bool Value::is_nil_map() const {
  return kind() == Kind::kMap &&
         std::get<std::shared_ptr<const MapRep>>(data_)->absent;
}

const Value* Value::Field(absl::string_view name) const {
  if (kind() != Kind::kStruct) return nullptr;
  for (const auto& [field, value] : fields()) {
    if (name == field) return &value;
  }
  return nullptr;
}

bool Value::Truth() const {
  switch (kind()) {
    case Kind::kNil:
      return false;
    case Kind::kBool:
      return bool_value();
    case Kind::kInt:
      return int_value() != 0;
    case Kind::kUint:
      return uint_value() != 0;
    case Kind::kFloat:
      return float_value() != 0;
    case Kind::kString:
      return !string_value().empty();
    case Kind::kDuration:
      return duration_ns() != 0;
    case Kind::kList:
      return !list().empty();
    case Kind::kMap:
      return !map().empty();
    case Kind::kTime:
    case Kind::kStruct:
      return true;
  }
  std::abort();
}

std::string Value::TypeName() const {
  if (type() != nullptr) return type()->name;
  switch (kind()) {
    case Kind::kNil:
      return "nil";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kUint:
      return "uint";
    case Kind::kFloat:
      return "float64";
    case Kind::kString:
      return "string";
    case Kind::kTime:
      return "time.Time";
    case Kind::kDuration:
      return "time.Duration";
    case Kind::kList:
      return "[]interface {}";
    case Kind::kMap:
      return is_string_map() ? "map[string]string" : "map[string]interface {}";
    case Kind::kStruct:
      return "struct";
  }
  std::abort();
}

}  // namespace narthex::tmpl
