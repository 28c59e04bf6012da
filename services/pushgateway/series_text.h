#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "services/pushgateway/group_key.h"

namespace narthex::pushgateway {

/// A series as it was pushed. Unlike model::Labels it keeps empty values,
/// which a Pushgateway exposes.
struct SeriesText {
  std::string name;
  LabelPairs labels;  // As written: unsorted, maybe repeated.
};

/// Splits `name{a="b",...}` or `{"name",a="b",...}` into `*series`, whose
/// memory is reused. kInvalidArgument when malformed.
absl::Status ParseSeries(absl::string_view text, SeriesText* series);

/// Appends `text` with backslash, quote and newline escaped.
void AppendEscapedValue(absl::string_view text, std::string* out);
/// Appends a metric or label name, quoted if it is beyond the legacy set.
void AppendName(absl::string_view name, bool legacy, std::string* out);
/// Appends `a="b",c="d"`.
void AppendLabels(const LabelPairs& labels, std::string* out);

/// Undoes AppendLabels(). The text must come from there.
LabelPairs SplitLabels(absl::string_view text);

}  // namespace narthex::pushgateway
