#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "libs/base/file.h"
#include "libs/discovery/config.h"
#include "libs/relabel/relabel.h"
#include "libs/yaml/decoder.h"
#include "libs/yaml/emitter.h"
#include "libs/yaml/optional_fields.h"

/// How fields that several sections have are read and printed.
namespace narthex::config {

using base::SetDirectory;

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

/// Refuses static targets that are no addresses. With relabelling they may
/// become such: then not called.
void CheckStaticTargets(yaml::Decoder& d, const discovery::Configs& configs);

/// Prints nothing for an empty list.
void EmitRules(absl::string_view field, const std::vector<relabel::Rule>& rules,
               yaml::Emitter* out);

}  // namespace narthex::config
