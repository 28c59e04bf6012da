#pragma once

#include "libs/base/mutex.h"

namespace narthex::tsdb {

/// Lets either many appenders apply their samples or one reader take the
/// measure of the series, so that it sees of every append all or nothing. A
/// waiting reader goes before appenders that come after it, and after a reader
/// those that wait go first: neither side starves. Thread-safe.
class ApplyGate {
 public:
  /// Holds the gate as one of many appenders.
  class Applying {
   public:
    explicit Applying(ApplyGate& gate) : gate_(gate) { gate_.BeginApply(); }
    ~Applying() { gate_.EndApply(); }
    Applying(const Applying&) = delete;
    Applying& operator=(const Applying&) = delete;

   private:
    ApplyGate& gate_;
  };

  /// Holds the gate alone.
  class Measuring {
   public:
    explicit Measuring(ApplyGate& gate) : gate_(gate) { gate_.BeginMeasure(); }
    ~Measuring() { gate_.EndMeasure(); }
    Measuring(const Measuring&) = delete;
    Measuring& operator=(const Measuring&) = delete;

   private:
    ApplyGate& gate_;
  };

 private:
  void BeginApply() ABSL_LOCKS_EXCLUDED(mutex_);
  void EndApply() ABSL_LOCKS_EXCLUDED(mutex_);
  void BeginMeasure() ABSL_LOCKS_EXCLUDED(mutex_);
  void EndMeasure() ABSL_LOCKS_EXCLUDED(mutex_);

  base::Mutex mutex_;
  base::CondVar changed_;
  int applying_ ABSL_GUARDED_BY(mutex_) = 0;
  int waiting_to_apply_ ABSL_GUARDED_BY(mutex_) = 0;
  int waiting_to_measure_ ABSL_GUARDED_BY(mutex_) = 0;
  bool measuring_ ABSL_GUARDED_BY(mutex_) = false;
  // How many waiting appenders go before the next reader.
  int admitted_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace narthex::tsdb
