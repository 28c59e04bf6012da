#pragma once

#include "libs/exposition/internal/line_parser.h"

namespace narthex::exposition::internal {

/// OpenMetrics text, versions 0.0.1 and 1.0.0.
class OpenMetricsParser : public LineParser {
 public:
  /// `start_timestamps`: as in ParserOptions.
  OpenMetricsParser(absl::string_view body, bool start_timestamps)
      : LineParser(body, false), start_timestamps_(start_timestamps) {}
  Entry Next(absl::string_view guess) override;

 private:
  /// A line that tells when the series of the same key began.
  struct Created {
    std::string key;  ///< Empty: there is none.
    std::int64_t start_ms = 0;
  };

  Entry TakeEntry(absl::string_view guess);
  /// Whether series may come with a line that tells their start.
  bool HaveStarts() const;
  /// What the samples of one metric of the family have in common, and
  /// whether it tells their start. Empty when the series is malformed.
  std::string KeyOf(absl::string_view series, bool* is_created);
  /// Finds the start of the current series, of this key.
  std::int64_t StartOf(const std::string& key);
  void LookAhead();
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

  const bool start_timestamps_;
  std::size_t family_size_ = 0;  // Of the name in the last description.
  // The one that told the start of the series before.
  Created known_;
  // The next one of the family; `no_created_before_` is where it, or what
  // ends the family, begins.
  Created next_;
  const char* no_created_before_ = nullptr;
};

}  // namespace narthex::exposition::internal
