#pragma once

#include "absl/strings/string_view.h"
#include "libs/relabel/relabel.h"

namespace narthex::relabel {

/// Whether `text`, in which $1 and ${name} stand for capture groups, can
/// become a label name.
bool IsValidNameTemplate(absl::string_view text, NameValidation validation);

}  // namespace narthex::relabel
