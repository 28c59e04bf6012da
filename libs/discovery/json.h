#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

/// How providers read JSON: only for their .cc files, for it is heavy.
/// Fields that are missing, null or of another type are empty.
namespace narthex::discovery {

using Json = nlohmann::json;

/// kInvalidArgument for what is no JSON.
inline absl::StatusOr<Json> ParseJson(absl::string_view text) {
  try {
    return Json::parse(text.begin(), text.end());
  } catch (const Json::exception& error) {
    return absl::InvalidArgumentError(error.what());
  }
}

inline const Json& Child(const Json& object, const char* key) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto it = object.find(key);
  return it == object.end() ? kNull : *it;
}

inline std::string AsText(const Json& value) {
  return value.is_string() ? value.get<std::string>() : std::string();
}

inline std::string Text(const Json& object, const char* key) {
  return AsText(Child(object, key));
}

inline std::int64_t Number(const Json& object, const char* key) {
  const Json& value = Child(object, key);
  return value.is_number() ? value.get<std::int64_t>() : 0;
}

inline bool Flag(const Json& object, const char* key) {
  const Json& value = Child(object, key);
  return value.is_boolean() && value.get<bool>();
}

inline std::vector<std::string> Texts(const Json& object, const char* key) {
  std::vector<std::string> out;
  const Json& list = Child(object, key);
  if (!list.is_array()) return out;
  for (const Json& item : list) out.push_back(AsText(item));
  return out;
}

/// Calls `visit(key, text)` for each entry of a map of texts.
template <typename Visit>
void ForEachText(const Json& map, const Visit& visit) {
  if (!map.is_object()) return;
  for (const auto& [key, value] : map.items()) visit(key, AsText(value));
}

}  // namespace narthex::discovery
