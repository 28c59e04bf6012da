#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "libs/model/labels.h"
#include "libs/rules/seams.h"

namespace narthex::rules {

/// One alert as the Alertmanager's API takes it: {"labels": ... }.
std::string AlertJson(const OutgoingAlert& alert);

}  // namespace narthex::rules
