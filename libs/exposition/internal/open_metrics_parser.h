#pragma once

#include "libs/exposition/internal/line_parser.h"

namespace narthex::exposition::internal {

/// OpenMetrics text, versions 0.0.1 and 1.0.0.
class OpenMetricsParser : public LineParser {
 public:
  explicit OpenMetricsParser(absl::string_view body)
      : LineParser(body, false) {}
  Entry Next(absl::string_view guess) override;

 private:
  Entry TakeSeries(absl::string_view guess);
  Entry TakeDescription();
  Entry TakeEnd();
  Entry TakeType(absl::string_view text, const char* at);
  Entry TakeUnit(absl::string_view text, const char* at);
  /// Reads " <float>" at `*p`. False when it is not there or malformed.
  bool TakeNumber(const char** p, double* value) const;
  /// Reads " <seconds>" at `*p` as milliseconds.
  bool TakeSeconds(const char** p, std::int64_t* milliseconds) const;
  /// Reads `{...} <float> [<seconds>]` at `*p`; empty when good, else the
  /// reason.
  std::string TakeExemplar(const char** p);
};

}  // namespace narthex::exposition::internal
