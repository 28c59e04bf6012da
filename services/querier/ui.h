#pragma once

#include <string>

#include "libs/http/router.h"

namespace narthex::querier {

/// The user interface: one self-contained page that reads the JSON API, at
/// /query, /alerts, /rules, /targets, /status and their kin. `prefix` is the
/// route prefix, `title` the document's title.
void AddUi(http::Router& router, const std::string& prefix,
           const std::string& title);

}  // namespace narthex::querier
