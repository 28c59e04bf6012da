#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/model/matcher.h"

namespace narthex::alertmanager {

/// Which notation of matchers is understood.
enum class MatcherSyntax {
  /// UTF-8 first; what only the classic parser takes, or reads differently,
  /// is read the classic way.
  kFallback,
  kUtf8,
  kClassic,
};

/// Parses `{a="b",c=~"d"}`: braces optional but paired, a comma at the end
/// allowed. An empty list is an empty result. kInvalidArgument otherwise.
absl::StatusOr<std::vector<model::Matcher>> ParseMatchers(
    absl::string_view text, MatcherSyntax syntax);
/// The same for exactly one matcher.
absl::StatusOr<model::Matcher> ParseMatcher(absl::string_view text,
                                            MatcherSyntax syntax);

/// Sorts by name, then value, then operator.
void SortMatchers(std::vector<model::Matcher>* matchers);

/// `name="value"` with the escapes of Alertmanager.
std::string FormatMatcher(const model::Matcher& matcher);
/// `{a="b",c=~"d"}`
std::string FormatMatchers(const std::vector<model::Matcher>& matchers);

/// Whether a text is a name that labels can have under `syntax`.
bool IsLabelName(absl::string_view name, MatcherSyntax syntax);

}  // namespace narthex::alertmanager
