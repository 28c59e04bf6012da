#pragma once

namespace narthex::rpc {

/// Stops Abseil's mutexes, which gRPC uses everywhere, from looking for
/// deadlocks: Debian builds it as for debugging, and with that a call costs a
/// tenth more. Cheap to call again.
void SpareLockChecks();

}  // namespace narthex::rpc
