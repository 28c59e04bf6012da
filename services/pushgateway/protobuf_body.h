#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace narthex::pushgateway {

/// Rewrites length-delimited io.prometheus.client.MetricFamily messages in the
/// text format. kInvalidArgument when malformed, kUnimplemented for native
/// histograms, which the text format cannot hold.
absl::StatusOr<std::string> ProtobufToText(absl::string_view body);

}  // namespace narthex::pushgateway
