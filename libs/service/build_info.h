#pragma once

#include <string>

namespace narthex::service {

/// What is known when the program is built.
struct BuildInfo {
  std::string version;
  std::string revision;  ///< Of git, "unknown" without.
  std::string build_date;
  std::string compiler;
  std::string architecture;  ///< As Go calls it: "amd64".
  /// The Prometheus that this stands in for, and ours: "3.14.0+narthex.1.0".
  std::string prometheus_version;
};
const BuildInfo& Build();

}  // namespace narthex::service
