#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/exposition/format.h"
#include "libs/model/histogram.h"
#include "libs/model/labels.h"
#include "libs/model/sample.h"

namespace narthex::exposition {

/// A sample of a trace beside a series.
struct Exemplar {
  model::Labels labels;
  double value = 0;
  bool has_timestamp = false;
  std::int64_t timestamp_ms = 0;
};

enum class Entry {
  kSeries,     // series(), value(), timestamp, exemplar; ParseLabels()
  kHistogram,  // The same with histogram() for value()
  kHelp,       // metric(), text()
  kType,       // metric(), type()
  kUnit,       // metric(), text()
  kComment,    // text(): the whole line
  kEnd,        // the body is at its end and was good
  kError,      // status()
};

struct ParserOptions {
  /// Give native histograms, else the classic ones that they stand for.
  bool native_histograms = false;
  /// Of what is exposed as both, also give the classic one.
  bool classic_beside_native = false;
  /// Give start timestamps. OpenMetrics tells them in lines of their own,
  /// `x_created`, which then are no series.
  bool start_timestamps = false;
};

/// Reads an exposition entry by entry from a body that stays in place; all
/// views are into the body, or valid until the next call. Nothing is
/// allocated for a series until its labels are asked for. After kEnd or
/// kError every further Next() gives the same.
///
///   while (true) {
///     switch (parser->Next()) {
///       case Entry::kSeries:
///         if (!cache.Find(parser->series())) {
///           NARTHEX_RETURN_IF_ERROR(parser->ParseLabels(&labels));
///         }
///         ...
class Parser {
 public:
  /// A parser of `body`, which must outlive it.
  static std::unique_ptr<Parser> Create(Format format, absl::string_view body,
                                        const ParserOptions& options = {});
  virtual ~Parser() = default;

  /// Moves to the next entry. `guess` may name the series() expected next
  /// (the line that came here in the last scrape); a right guess makes the
  /// call quicker, a wrong one changes nothing. The text between the braces of
  /// a series is checked by ParseLabels() only: call it for every series text
  /// not seen good before.
  virtual Entry Next(absl::string_view guess) = 0;
  Entry Next() { return Next(absl::string_view()); }

  /// The series as written, `name{a="b"}`: the key of a cache.
  absl::string_view series() const { return series_; }
  /// Every not-a-number is model::NormalNan().
  double value() const { return value_; }
  bool has_timestamp() const { return has_timestamp_; }
  std::int64_t timestamp_ms() const { return timestamp_ms_; }
  /// When the counter, summary or histogram that the current series belongs to
  /// began, in Unix milliseconds. 0: not told, or not asked for in the options.
  std::int64_t start_ms() const { return start_ms_; }
  /// Parses the labels of the current series, the metric name among them.
  /// Values of `le` and `quantile` in families of such type are normalised
  /// ("1" becomes "1.0"). kInvalidArgument with line and reason; kAlreadyExists
  /// when only the names of its labels are not unique.
  virtual absl::Status ParseLabels(model::Labels* labels) = 0;
  /// Names of labels that stand in the series with an empty value, after
  /// ParseLabels(), which leaves them out.
  virtual std::vector<std::string> EmptyLabelNames() const = 0;

  bool has_exemplar() const { return has_exemplar_; }
  virtual absl::Status ParseExemplar(Exemplar* exemplar) = 0;
  /// Appends all exemplars of the current entry: histograms may have several.
  virtual absl::Status ParseExemplars(std::vector<Exemplar>* exemplars) {
    return ParseExemplar(&exemplars->emplace_back());
  }

  /// Of kHistogram, as it is exposed: it need not be consistent.
  const model::HistogramValue& histogram() const { return histogram_; }

  absl::string_view metric() const { return metric_; }
  absl::string_view text() const { return text_; }
  model::MetricType type() const { return type_; }

  /// kInvalidArgument "line <n>: <reason>" after kError.
  const absl::Status& status() const { return status_; }

 protected:
  absl::string_view series_;
  double value_ = 0;
  model::HistogramValue histogram_;
  std::int64_t timestamp_ms_ = 0;
  bool has_timestamp_ = false;
  std::int64_t start_ms_ = 0;
  bool has_exemplar_ = false;
  absl::string_view metric_;
  absl::string_view text_;
  model::MetricType type_ = model::MetricType::kUnknown;
  absl::Status status_;
};

}  // namespace narthex::exposition
