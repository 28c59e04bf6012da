#include "libs/service/build_info.h"

namespace narthex::service {

const BuildInfo& Build() {
  static const BuildInfo info{.version = NARTHEX_VERSION,
                              .revision = NARTHEX_REVISION,
                              .build_date = "",
                              .compiler = __VERSION__};
  return info;
}

}  // namespace narthex::service
