#include "services/ingester/running_fragments.h"

namespace narthex::ingester {

RunningFragments::Scope::Scope(RunningFragments& list,
                               const std::string& query_id)
    : list_(list) {
  list_.running_.Add(1);
  base::MutexLock lock(list_.mutex_);
  entry_ = list_.entries_.emplace(list_.entries_.end());
  entry_->id = query_id;
}

RunningFragments::Scope::~Scope() {
  list_.running_.Add(-1);
  base::MutexLock lock(list_.mutex_);
  list_.entries_.erase(entry_);
}

void RunningFragments::FillIn(v1::RunningFragmentsResponse* response) const {
  base::ReaderMutexLock lock(mutex_);
  for (const promql::QueryProgress& progress : entries_) {
    if (progress.id.empty()) continue;
    v1::RunningFragment& fragment = *response->add_fragments();
    fragment.set_query_id(progress.id);
    fragment.set_samples_read(progress.samples_read.load());
    fragment.set_series_read(progress.series_read.load());
    fragment.set_bytes_held(progress.bytes_held.load());
  }
}

}  // namespace narthex::ingester
