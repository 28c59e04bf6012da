#pragma once

#include <string>
#include <vector>

#include "libs/exposition/internal/label_scanner.h"
#include "libs/exposition/parser.h"

namespace narthex::exposition::internal {

/// What the two line formats share: the cursor, labels and errors.
class LineParser : public Parser {
 public:
  absl::Status ParseLabels(model::Labels* labels) override;
  std::vector<std::string> EmptyLabelNames() const override {
    return labels_.EmptyNames();
  }
  absl::Status ParseExemplar(Exemplar* exemplar) override;

 protected:
  LineParser(absl::string_view body, bool lenient)
      : begin_(body.data()),
        end_(body.data() + body.size()),
        p_(begin_),
        labels_(lenient) {}

  /// Ends the parse with "line <n>: <reason>"; the line is that of `at`.
  Entry Fail(const char* at, absl::string_view reason);
  /// As Fail(), with "expected <what>, found <text at `at`>".
  Entry FailExpected(const char* at, absl::string_view what);
  Entry Finish();
  /// labels_.error() with what was found in place of what is expected.
  std::string LabelError() const;

  const char* LineEnd(const char* p) const;
  /// The end of the series that begins at `p` when its line has no exemplar:
  /// the last closing brace, or the end of the name when there is none.
  const char* LastBraceEnd(const char* p) const;
  /// The end of the series that begins at `p`, found by walking over quoted
  /// text; null when the braces do not close.
  const char* WalkSeries(const char* p) const;
  /// The end of `guess` when that is the series at the cursor, else null.
  const char* MatchGuess(absl::string_view guess) const;
  /// Reads a metric name, plain or quoted, into metric_. Returns the position
  /// after it, null when there is none.
  const char* TakeMetric(const char* p, const char* line_end);
  absl::string_view Unescaped(absl::string_view text, bool quotes);
  absl::string_view LineFrom(const char* p) const;

  const char* const begin_;
  const char* const end_;
  const char* p_;
  bool over_ = false;
  LabelScanner labels_;
  absl::string_view exemplar_;  // The labels in braces.
  double exemplar_value_ = 0;
  bool exemplar_has_timestamp_ = false;
  std::int64_t exemplar_timestamp_ms_ = 0;

 private:
  /// The line from `at` on, quoted.
  std::string Found(const char* at) const;
  absl::Status ErrorAt(const char* at, absl::string_view reason) const;

  std::string metric_storage_;
  std::string text_storage_;
};

}  // namespace narthex::exposition::internal
