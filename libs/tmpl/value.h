#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace narthex::tmpl {

class Value;

/// A function a template can call. `signature` has one letter a parameter:
///   s string, i integer, f number, b bool, t time, d duration, l list,
///   a anything
/// and a trailing '*' lets the last parameter repeat any number of times,
/// zero included. Count and kinds are checked before `call` runs; an integer
/// given for 'f' arrives as a float.
struct Function {
  std::string signature;
  std::function<absl::StatusOr<Value>(absl::Span<const Value> args)> call;
};

using FuncMap = std::map<std::string, Function, std::less<>>;

/// Gives a list, map or struct its own name and methods. A method's first
/// argument is the receiver. Types are constants that outlive all values.
struct Type {
  std::string name;
  FuncMap methods;
  /// Names in JSON of a struct's fields, in their order; empty: as they are.
  std::vector<std::string> json_names;
};

/// A moment with the zone in which it prints.
struct Time {
  absl::Time at;
  absl::TimeZone zone = absl::UTCTimeZone();
};

/// Go's zero time: 0001-01-01T00:00:00Z.
Time ZeroTime();

/// What a string is known to be, so that HTML templates need not escape it.
enum class Safety { kNone, kHtml, kUrl };

/// What templates compute with: Go's values as far as templates can tell them
/// apart. Immutable, cheap to copy (lists, maps and structs are shared).
class Value {
 public:
  using List = std::vector<Value>;
  using Map = std::map<std::string, Value, std::less<>>;
  using Fields = std::vector<std::pair<std::string, Value>>;

  enum class Kind {
    kNil,
    kBool,
    kInt,
    kUint,
    kFloat,
    kString,
    kTime,
    kDuration,
    kList,
    kMap,
    kStruct,
  };

  Value() = default;  ///< Nil.
  static Value Bool(bool value);
  static Value Int(std::int64_t value);
  static Value Uint(std::uint64_t value);
  static Value Float(double value);
  static Value String(std::string value, Safety safety = Safety::kNone);
  static Value OfTime(Time value);
  static Value Duration(std::int64_t nanoseconds);
  static Value OfList(List items, const Type* type = nullptr);
  /// A map of anything: a missing key gives nil.
  static Value OfMap(Map entries, const Type* type = nullptr);
  /// A map of strings, such as labels: a missing key gives the empty string
  /// where the option says so. Use NilStringMap() for an absent one.
  static Value StringMap(Map entries, const Type* type = nullptr);
  static Value NilStringMap(const Type* type = nullptr);
  static Value Struct(Fields fields, const Type* type = nullptr);

  Kind kind() const { return static_cast<Kind>(data_.index()); }
  bool is_nil() const { return kind() == Kind::kNil; }
  bool is_string() const { return kind() == Kind::kString; }

  // The value of the matching kind; anything else is a programming error.
  bool bool_value() const { return std::get<bool>(data_); }
  std::int64_t int_value() const { return std::get<std::int64_t>(data_); }
  std::uint64_t uint_value() const { return std::get<std::uint64_t>(data_); }
  double float_value() const { return std::get<double>(data_); }
  const std::string& string_value() const { return std::get<Text>(data_).text; }
  Safety safety() const;
  const Time& time_value() const { return std::get<Time>(data_); }
  std::int64_t duration_ns() const { return std::get<Ns>(data_).count; }
  const List& list() const;
  const Map& map() const;
  const Fields& fields() const;

  /// Of a list, map or struct; null when it has none.
  const Type* type() const;
  /// Whether this is a map of strings (see StringMap).
  bool is_string_map() const;
  /// Whether this is a map that was never made: JSON null.
  bool is_nil_map() const;
  /// A struct's field; null when there is none of that name.
  const Value* Field(absl::string_view name) const;

  /// Go template truth: not the zero value and not empty; structs are true.
  bool Truth() const;

  /// The name of its Go type, for messages: "int", "string", "[]interface {}".
  std::string TypeName() const;

 private:
  struct Text {
    std::string text;
    Safety safety = Safety::kNone;
  };
  struct Ns {
    std::int64_t count = 0;
  };
  struct ListRep {
    List items;
    const Type* type = nullptr;
  };
  struct MapRep {
    Map entries;
    const Type* type = nullptr;
    bool strings = false;
    bool absent = false;
  };
  struct StructRep {
    Fields fields;
    const Type* type = nullptr;
  };
  using Data =
      std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double,
                   Text, Time, Ns, std::shared_ptr<const ListRep>,
                   std::shared_ptr<const MapRep>,
                   std::shared_ptr<const StructRep>>;

  explicit Value(Data data) : data_(std::move(data)) {}

  Data data_;
};

}  // namespace narthex::tmpl
