#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "libs/relabel/relabel.h"
#include "libs/yaml/decoder.h"
#include "libs/yaml/emitter.h"

/// How fields that several sections have are read and printed.
namespace narthex::config {

inline constexpr char kHiddenSecret[] = "<secret>";

/// `path` joined to `directory` unless it is empty or absolute.
void SetDirectory(const std::string& directory, std::string* path);
/// The URL with its password, if any, replaced by "xxxxx".
std::string RedactUrl(const std::string& url);
/// A size in powers of 1024: "1MiB476KiB".
std::string FormatSize(std::int64_t bytes);

/// Takes a list of relabelling rules from the map that `d` reads.
void DecodeRules(yaml::Decoder& d, absl::string_view field,
                 relabel::NameValidation validation,
                 std::vector<relabel::Rule>* rules);
/// Refuses headers that the protocol sets itself.
void CheckHeaders(yaml::Decoder& d,
                  const std::map<std::string, std::string>& headers,
                  absl::string_view authorization_message);

// All print nothing for an empty, false or zero value.
void EmitRules(absl::string_view field, const std::vector<relabel::Rule>& rules,
               yaml::Emitter* out);
void EmitText(absl::string_view field, const std::string& text,
              yaml::Emitter* out);
void EmitSecret(absl::string_view field, const std::string& text,
                yaml::Emitter* out);
void EmitTrue(absl::string_view field, bool value, yaml::Emitter* out);
void EmitCount(absl::string_view field, std::uint64_t value,
               yaml::Emitter* out);
void EmitDuration(absl::string_view field, std::int64_t milliseconds,
                  yaml::Emitter* out);
void EmitList(absl::string_view field, const std::vector<std::string>& list,
              yaml::Emitter* out);
void EmitMap(absl::string_view field,
             const std::map<std::string, std::string>& map, yaml::Emitter* out);

}  // namespace narthex::config
