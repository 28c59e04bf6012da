#pragma once

#include "libs/exposition/internal/line_parser.h"

namespace narthex::exposition::internal {

/// The text format, versions 0.0.4 and 1.0.0.
class TextParser : public LineParser {
 public:
  explicit TextParser(absl::string_view body) : LineParser(body, true) {}
  Entry Next(absl::string_view guess) override;

 private:
  Entry TakeSeries(absl::string_view guess);
  /// Reads value and timestamp after the series that ends at `p`. Null when
  /// good, else what was expected at `*bad`.
  const char* TakeValue(const char* p, const char** bad);
  Entry TakeComment();
  Entry TakeHelp(const char* p, const char* line_end);
  Entry TakeType(const char* p, const char* line_end);
};

}  // namespace narthex::exposition::internal
