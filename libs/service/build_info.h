#pragma once

#include <string>

namespace narthex::service {

/// The part of /api/v1/status/buildinfo that is fixed at compile time.
struct BuildInfo {
  std::string version;
  std::string revision;  ///< Of git, "unknown" without.
  std::string build_date;
  std::string compiler;
};
const BuildInfo& Build();

}  // namespace narthex::service
