#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace narthex::exposition {

/// What a parser can read. Text covers versions 0.0.4 and 1.0.0, OpenMetrics
/// 0.0.1 and 1.0.0.
enum class Format { kText, kOpenMetrics, kProtobuf };

/// The values of `scrape_protocols`.
enum class Protocol {
  kPrometheusProto,
  kPrometheusText004,
  kPrometheusText100,
  kOpenMetricsText001,
  kOpenMetricsText100,
};

/// "PrometheusText0.0.4" and so on.
absl::string_view ProtocolName(Protocol protocol);
/// None when the name is unknown.
std::optional<Protocol> ParseProtocol(absl::string_view name);
Format FormatOf(Protocol protocol);
/// The names of all protocols, for messages.
std::vector<std::string> ProtocolNames();

/// The Accept header of a scrape: the protocols in order of preference, then
/// anything. `escaping` ("allow-utf-8", "underscores" ...) goes with the
/// versions that know names beyond the legacy set.
std::string AcceptHeader(const std::vector<Protocol>& protocols,
                         absl::string_view escaping);

struct FormatChoice {
  std::optional<Format> format;  // None: the scrape fails with `complaint`.
  std::string complaint;         // To be logged even if there is a format.
};

/// Which parser a response needs, by its Content-Type and, when that is
/// missing, malformed or unknown, `fallback_scrape_protocol`.
FormatChoice ChooseFormat(absl::string_view content_type,
                          std::optional<Protocol> fallback);

}  // namespace narthex::exposition
