#include "libs/rpc/lock_checks.h"

#include "absl/synchronization/mutex.h"

namespace narthex::rpc {

void SpareLockChecks() {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
}

}  // namespace narthex::rpc
