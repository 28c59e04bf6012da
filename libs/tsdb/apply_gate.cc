#include "libs/tsdb/apply_gate.h"

namespace narthex::tsdb {

void ApplyGate::BeginApply() {
  base::MutexLock lock(mutex_);
  if (measuring_ || (waiting_to_measure_ > 0 && admitted_ == 0)) {
    ++waiting_to_apply_;
    while (measuring_ || (waiting_to_measure_ > 0 && admitted_ == 0)) {
      changed_.Wait(mutex_);
    }
    --waiting_to_apply_;
    if (admitted_ > 0) --admitted_;
  }
  ++applying_;
}

void ApplyGate::EndApply() {
  base::MutexLock lock(mutex_);
  --applying_;
  if (applying_ == 0 && waiting_to_measure_ > 0) changed_.NotifyAll();
}

void ApplyGate::BeginMeasure() {
  base::MutexLock lock(mutex_);
  ++waiting_to_measure_;
  while (measuring_ || applying_ > 0 || admitted_ > 0) changed_.Wait(mutex_);
  --waiting_to_measure_;
  measuring_ = true;
}

void ApplyGate::EndMeasure() {
  base::MutexLock lock(mutex_);
  measuring_ = false;
  admitted_ = waiting_to_apply_;
  changed_.NotifyAll();
}

}  // namespace narthex::tsdb
