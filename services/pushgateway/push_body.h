#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/pushgateway/body_shape.h"
#include "services/pushgateway/family.h"

namespace narthex::pushgateway {

/// What a push brings, with its group's labels in every metric.
struct PushBody {
  /// In order of appearance, names unique, none without metrics.
  std::vector<Family> families;
  /// Why the push must be refused although it could be read: timestamps,
  /// reserved labels, the same metric twice. The first reason, in
  /// Pushgateway's words.
  absl::Status inconsistency;
  /// Where each value of `families` came from.
  ValuePlaces places;
};

/// Reads the text format. Every metric gets the `group` labels, which win over
/// its own, and an empty `instance` when there is none at all.
/// kInvalidArgument "text format parsing error in line ...".
absl::StatusOr<PushBody> ParseTextBody(absl::string_view body,
                                       const LabelPairs& group,
                                       bool utf8_names);

/// Says which metric clashes: `collected metric "x" { label:{...} }`.
std::string DescribeMetric(const Family& family, std::size_t metric);

}  // namespace narthex::pushgateway
