#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "libs/tmpl/value.h"

namespace narthex::tmpl {

/// `value` as an action writes it (Go's %v); nil is "<no value>".
std::string Print(const Value& value);

/// Go's Sprint: a space between neighbours that are both not strings.
std::string Sprint(absl::Span<const Value> values);
/// Go's Sprintln: always a space between, a line break at the end.
std::string Sprintln(absl::Span<const Value> values);
/// Go's Sprintf with all its verbs and its complaints ("%!d(string=x)").
std::string Sprintf(absl::string_view format, absl::Span<const Value> values);

}  // namespace narthex::tmpl
