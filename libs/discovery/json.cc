#include "libs/discovery/json.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"

namespace narthex::discovery {
namespace {

/// A value that somebody nests without end must not exhaust the stack.
constexpr std::size_t kMaxDepth = 1000;

std::int64_t Clamped(double value) {
  constexpr double kLimit = 9223372036854775808.0;
  if (std::isnan(value)) return 0;
  if (value >= kLimit) return std::numeric_limits<std::int64_t>::max();
  if (value < -kLimit) return std::numeric_limits<std::int64_t>::min();
  return static_cast<std::int64_t>(value);
}

/// Builds a value from what the parser tells.
class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return Take(Json()); }
  bool boolean(bool value) override { return Take(value); }
  bool number_integer(std::int64_t value) override { return Take(value); }
  bool number_unsigned(std::uint64_t value) override {
    constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
    if (value > kMax) return Take(static_cast<double>(value));
    return Take(static_cast<std::int64_t>(value));
  }
  bool number_float(double value, const std::string&) override {
    return Take(value);
  }
  bool string(std::string& text) override { return Take(std::move(text)); }
  bool binary(nlohmann::json::binary_t&) override { return false; }
  bool start_object(std::size_t) override { return Open(/*is_map=*/true); }
  bool key(std::string& text) override {
    open_.back().keys.push_back(std::move(text));
    return true;
  }
  bool end_object() override {
    Container done = Close();
    std::vector<Json::Member> members;
    members.reserve(done.items.size());
    for (std::size_t i = 0; i < done.items.size(); ++i) {
      members.push_back({std::move(done.keys[i]), std::move(done.items[i])});
    }
    return Take(Json::Map(std::move(members)));
  }
  bool start_array(std::size_t) override { return Open(/*is_map=*/false); }
  bool end_array() override { return Take(Json::List(Close().items)); }
  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::json::exception& error) override {
    error_ = error.what();
    return false;
  }

  Json& result() { return result_; }
  const std::string& error() const { return error_; }

 private:
  /// A list or a map that is not complete yet.
  struct Container {
    std::vector<std::string> keys;
    std::vector<Json> items;
  };

  bool Take(Json value) {
    if (open_.empty()) {
      result_ = std::move(value);
    } else {
      open_.back().items.push_back(std::move(value));
    }
    return true;
  }
  bool Open(bool is_map) {
    if (open_.size() == kMaxDepth) {
      error_ = absl::StrCat(is_map ? "map" : "list", " nested more than ",
                            kMaxDepth, " deep");
      return false;
    }
    open_.emplace_back();
    return true;
  }
  Container Close() {
    Container done = std::move(open_.back());
    open_.pop_back();
    return done;
  }

  std::vector<Container> open_;
  Json result_;
  std::string error_;
};

/// The value within, or an empty one of that type.
template <typename T, typename Value>
const T& ValueOrEmpty(const Value& value) {
  static const T kEmpty{};
  const T* found = std::get_if<T>(&value);
  return found == nullptr ? kEmpty : *found;
}

void AppendScalar(const nlohmann::json& value, std::string* out) {
  out->append(value.dump(-1, ' ', /*ensure_ascii=*/false,
                         nlohmann::json::error_handler_t::replace));
}

}  // namespace

Json::Json() = default;
Json::Json(bool value) : value_(value) {}
Json::Json(int value) : value_(std::int64_t{value}) {}
Json::Json(std::int64_t value) : value_(value) {}
Json::Json(double value) : value_(value) {}
Json::Json(const char* text) : value_(std::string(text)) {}
Json::Json(std::string text) : value_(std::move(text)) {}
Json::Json(const Json& other) = default;
Json::Json(Json&& other) noexcept = default;
Json& Json::operator=(const Json& other) = default;
Json& Json::operator=(Json&& other) noexcept = default;
Json::~Json() = default;

Json Json::List(std::vector<Json> items) {
  Json out;
  out.value_ = std::move(items);
  return out;
}

Json Json::Map(std::vector<Member> members) {
  std::stable_sort(
      members.begin(), members.end(),
      [](const Member& a, const Member& b) { return a.key < b.key; });
  // Of neighbours with one key the first in reverse is the last that was said.
  const auto kept = std::unique(
      members.rbegin(), members.rend(),
      [](const Member& a, const Member& b) { return a.key == b.key; });
  members.erase(members.begin(), kept.base());
  Json out;
  out.value_ = std::move(members);
  return out;
}

bool Json::is_null() const {
  return std::holds_alternative<std::monostate>(value_);
}
bool Json::is_boolean() const { return std::holds_alternative<bool>(value_); }
bool Json::is_integer() const {
  return std::holds_alternative<std::int64_t>(value_);
}
bool Json::is_number() const {
  return is_integer() || std::holds_alternative<double>(value_);
}
bool Json::is_text() const {
  return std::holds_alternative<std::string>(value_);
}
bool Json::is_list() const {
  return std::holds_alternative<std::vector<Json>>(value_);
}
bool Json::is_map() const {
  return std::holds_alternative<std::vector<Member>>(value_);
}

bool Json::boolean() const { return ValueOrEmpty<bool>(value_); }
std::int64_t Json::integer() const {
  return is_integer() ? std::get<std::int64_t>(value_)
                      : Clamped(ValueOrEmpty<double>(value_));
}
double Json::number() const {
  return is_integer() ? static_cast<double>(std::get<std::int64_t>(value_))
                      : ValueOrEmpty<double>(value_);
}
const std::string& Json::text() const {
  return ValueOrEmpty<std::string>(value_);
}
const std::vector<Json>& Json::items() const {
  return ValueOrEmpty<std::vector<Json>>(value_);
}
const std::vector<Json::Member>& Json::members() const {
  return ValueOrEmpty<std::vector<Member>>(value_);
}

const Json::Member* Json::FindMember(absl::string_view key) const {
  const std::vector<Member>& all = members();
  const auto it =
      std::lower_bound(all.begin(), all.end(), key,
                       [](const Member& member, absl::string_view wanted) {
                         return absl::string_view(member.key) < wanted;
                       });
  return it == all.end() || it->key != key ? nullptr : &*it;
}

const Json& Json::Find(absl::string_view key) const {
  static const Json kNull;
  const Member* member = FindMember(key);
  return member == nullptr ? kNull : member->value;
}

bool Json::Has(absl::string_view key) const {
  return FindMember(key) != nullptr;
}

std::string Json::Dump() const {
  std::string out;
  AppendTo(&out);
  return out;
}

void Json::AppendTo(std::string* out) const {
  if (is_list()) {
    out->push_back('[');
    for (const Json& item : items()) {
      if (&item != &items().front()) out->push_back(',');
      item.AppendTo(out);
    }
    out->push_back(']');
  } else if (is_map()) {
    out->push_back('{');
    for (const Member& member : members()) {
      if (&member != &members().front()) out->push_back(',');
      AppendScalar(member.key, out);
      out->push_back(':');
      member.value.AppendTo(out);
    }
    out->push_back('}');
  } else if (is_null()) {
    out->append("null");
  } else if (is_boolean()) {
    out->append(boolean() ? "true" : "false");
  } else if (is_integer()) {
    absl::StrAppend(out, integer());
  } else if (is_number()) {
    AppendScalar(number(), out);
  } else {
    AppendScalar(text(), out);
  }
}

absl::StatusOr<Json> ParseJson(absl::string_view text) {
  Builder builder;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &builder)) {
    return absl::InvalidArgumentError(builder.error());
  }
  return std::move(builder.result());
}

const Json& Child(const Json& map, absl::string_view key) {
  return map.Find(key);
}

std::string Text(const Json& map, absl::string_view key) {
  return map.Find(key).text();
}

std::int64_t Number(const Json& map, absl::string_view key) {
  return map.Find(key).integer();
}

bool Flag(const Json& map, absl::string_view key) {
  return map.Find(key).boolean();
}

std::vector<std::string> Texts(const Json& map, absl::string_view key) {
  std::vector<std::string> out;
  for (const Json& item : map.Find(key)) out.push_back(item.text());
  return out;
}

}  // namespace narthex::discovery
