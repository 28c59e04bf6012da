#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

/// JSON as providers read and send it.
namespace narthex::discovery {

/// A value. What it is not it holds nothing of: a text has no items, a list
/// no members.
class Json {
 public:
  struct Member;

  Json();
  Json(bool value);
  Json(int value);
  Json(std::int64_t value);
  Json(double value);
  Json(const char* text);
  Json(std::string text);
  static Json List(std::vector<Json> items);
  /// Of two members with one key the last one counts.
  static Json Map(std::vector<Member> members);

  Json(const Json& other);
  Json(Json&& other) noexcept;
  Json& operator=(const Json& other);
  Json& operator=(Json&& other) noexcept;
  ~Json();

  bool is_null() const;
  bool is_boolean() const;
  bool is_integer() const;
  /// Integer or not.
  bool is_number() const;
  bool is_text() const;
  bool is_list() const;
  bool is_map() const;

  bool boolean() const;
  /// Fractions are cut off; what does not fit is the nearest that does.
  std::int64_t integer() const;
  double number() const;
  const std::string& text() const;
  const std::vector<Json>& items() const;
  /// Sorted by key.
  const std::vector<Member>& members() const;
  /// The member of a map; null when there is none.
  const Json& Find(absl::string_view key) const;
  bool Has(absl::string_view key) const;
  std::vector<Json>::const_iterator begin() const { return items().begin(); }
  std::vector<Json>::const_iterator end() const { return items().end(); }

  /// As it is sent: without spaces, invalid UTF-8 replaced.
  std::string Dump() const;

 private:
  using Value =
      std::variant<std::monostate, bool, std::int64_t, double, std::string,
                   std::vector<Json>, std::vector<Member>>;
  const Member* FindMember(absl::string_view key) const;
  void AppendTo(std::string* out) const;

  Value value_;
};

struct Json::Member {
  std::string key;
  Json value;
};

/// kInvalidArgument for what is no JSON or nested deeper than 1000 levels.
absl::StatusOr<Json> ParseJson(absl::string_view text);

/// Fields of a map. Those that are missing, null or of another type are empty.
const Json& Child(const Json& map, absl::string_view key);
std::string Text(const Json& map, absl::string_view key);
std::int64_t Number(const Json& map, absl::string_view key);
bool Flag(const Json& map, absl::string_view key);
std::vector<std::string> Texts(const Json& map, absl::string_view key);

/// Calls `visit(key, text)` for each entry of a map of texts.
template <typename Visit>
void ForEachText(const Json& map, const Visit& visit) {
  for (const Json::Member& member : map.members()) {
    visit(member.key, member.value.text());
  }
}

}  // namespace narthex::discovery
