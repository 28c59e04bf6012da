#include "libs/service/build_info.h"

namespace narthex::service {

namespace {

#if defined(__x86_64__)
constexpr const char* kArchitecture = "amd64";
#elif defined(__aarch64__)
constexpr const char* kArchitecture = "arm64";
#else
constexpr const char* kArchitecture = "unknown";
#endif

}  // namespace

const BuildInfo& Build() {
  static const BuildInfo info{
      .version = NARTHEX_VERSION,
      .revision = NARTHEX_REVISION,
      .build_date = "",
      .compiler = __VERSION__,
      .architecture = kArchitecture,
      .prometheus_version = "3.14.0+narthex." NARTHEX_VERSION};
  return info;
}

}  // namespace narthex::service
