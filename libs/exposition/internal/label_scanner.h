#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/model/labels.h"
#include "libs/model/sample.h"

namespace narthex::exposition::internal {

bool IsNameStart(char c);      // Of labels: letters and underscore.
bool IsNameCharacter(char c);  // And digits.
/// The position after the metric name (with colons) that begins at `p`.
const char* MetricNameEnd(const char* p, const char* end);
/// The position after the quoted text that begins at `p`; null when it has no
/// end.
const char* QuotedEnd(const char* p, const char* end, bool newlines);
/// Undoes \\, \" and \n; any other backslash stands for itself. `quotes`:
/// whether \" is an escape.
void Unescape(absl::string_view text, bool quotes, std::string* out);

/// Splits the text of a series or of an exemplar's labels into names and
/// values and makes a label set of them. Reused from series to series, so that
/// its buffers are allocated once.
class LabelScanner {
 public:
  /// `lenient` is the text format: blanks between tokens, commas may be left
  /// out, values may span lines. OpenMetrics is strict.
  explicit LabelScanner(bool lenient) : lenient_(lenient) {}

  /// Scans a whole series, `name{...}`, `name` or `{"name",...}`. False with
  /// error() when malformed.
  bool ScanSeries(absl::string_view series);
  /// Scans `{...}` at the front of [p, end) without a metric name in it.
  /// Returns the position after it, null with error() when malformed.
  const char* ScanBraces(const char* p, const char* end);

  /// Makes the label set of what was scanned, `le` or `quantile` normalised
  /// as `type` asks. False with error() for repeated names or bad UTF-8.
  bool Build(model::MetricType type, model::Labels* labels);

  /// After ScanSeries(): the metric name as it is written; the labels, as they
  /// are written but for the one named `skipped`, are appended to `*key`.
  absl::string_view NameAndKey(absl::string_view skipped,
                               std::string* key) const;

  /// Names of the labels that Build() left out because their value is empty.
  std::vector<std::string> EmptyNames() const;

  const std::string& error() const { return error_; }
  /// Whether Build() failed because two labels have the same name.
  bool repeated() const { return repeated_; }
  /// Where something other than expected was found, which error() does not
  /// quote: it may go on behind what was scanned. Null for other errors.
  const char* error_at() const { return error_at_; }

 private:
  struct Raw {
    absl::string_view name;
    absl::string_view value;
    bool name_quoted = false;
    bool complete = false;  // The quoted metric name: no value follows.
  };

  const char* Scan(const char* p, const char* end);
  const char* ScanQuotedName(const char* p, const char* end);
  const char* ScanValue(const char* p, const char* end);
  const char* SkipBlanks(const char* p, const char* end) const;
  const char* Fail(const char* expected, const char* p);
  absl::string_view Plain(absl::string_view text);
  absl::string_view Normalized(model::MetricType type, absl::string_view name,
                               absl::string_view value);
  bool SortByName();

  const bool lenient_;
  bool has_metric_ = false;
  std::vector<Raw> raw_;
  std::vector<model::Label> sorted_;
  std::string unescaped_;
  std::string normalized_;
  std::string encoded_;
  std::string error_;
  bool repeated_ = false;
  const char* error_at_ = nullptr;
};

}  // namespace narthex::exposition::internal
