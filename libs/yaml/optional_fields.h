#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/yaml/emitter.h"

/// Fields that print nothing for an empty, false or zero value.
namespace narthex::yaml {

inline constexpr char kHiddenSecret[] = "<secret>";

void EmitText(absl::string_view field, const std::string& text, Emitter* out);
/// Prints kHiddenSecret for any text.
void EmitSecret(absl::string_view field, const std::string& text, Emitter* out);
void EmitTrue(absl::string_view field, bool value, Emitter* out);
void EmitCount(absl::string_view field, std::uint64_t value, Emitter* out);
void EmitDuration(absl::string_view field, std::int64_t milliseconds,
                  Emitter* out);
void EmitList(absl::string_view field, const std::vector<std::string>& list,
              Emitter* out);
void EmitMap(absl::string_view field,
             const std::map<std::string, std::string>& map, Emitter* out);

}  // namespace narthex::yaml
