#pragma once

#include <list>
#include <string>

#include "libs/base/mutex.h"
#include "libs/metrics/metrics.h"
#include "libs/promql/progress.h"
#include "narthex/v1/ingester.pb.h"

namespace narthex::ingester {

/// The fragments that are being evaluated. Thread-safe.
class RunningFragments {
 public:
  /// `running` says how many there are.
  explicit RunningFragments(metrics::Gauge& running) : running_(running) {}

  /// Lists a fragment for as long as it lives.
  class Scope {
   public:
    Scope(RunningFragments& list, const std::string& query_id);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

    promql::QueryProgress* progress() { return &*entry_; }

   private:
    RunningFragments& list_;
    std::list<promql::QueryProgress>::iterator entry_;
  };

  /// Adds those of queries with an id.
  void FillIn(v1::RunningFragmentsResponse* response) const
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  metrics::Gauge& running_;
  mutable base::Mutex mutex_;
  std::list<promql::QueryProgress> entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace narthex::ingester
