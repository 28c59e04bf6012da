#include "libs/yaml/optional_fields.h"

namespace narthex::yaml {

void EmitText(absl::string_view field, const std::string& text, Emitter* out) {
  if (!text.empty()) out->Field(field, text);
}

void EmitSecret(absl::string_view field, const std::string& text,
                Emitter* out) {
  if (!text.empty()) out->Field(field, kHiddenSecret);
}

void EmitTrue(absl::string_view field, bool value, Emitter* out) {
  if (value) out->Field(field, true);
}

void EmitCount(absl::string_view field, std::uint64_t value, Emitter* out) {
  if (value != 0) out->Field(field, static_cast<std::int64_t>(value));
}

void EmitDuration(absl::string_view field, std::int64_t milliseconds,
                  Emitter* out) {
  if (milliseconds != 0) out->Key(field).Duration(milliseconds);
}

void EmitList(absl::string_view field, const std::vector<std::string>& list,
              Emitter* out) {
  if (!list.empty()) out->Field(field, list);
}

void EmitMap(absl::string_view field,
             const std::map<std::string, std::string>& map, Emitter* out) {
  if (map.empty()) return;
  out->Key(field).BeginMap();
  for (const auto& [name, value] : map) out->Field(name, value);
  out->EndMap();
}

}  // namespace narthex::yaml
