#include "libs/cluster/internal/series_table.h"

#include "narthex/v1/ingester.pb.h"

namespace narthex::cluster::internal {

storage::SeriesRef SeriesTable::Declare(const model::Labels& labels) {
  Entry entry{std::string(labels.encoded()), labels.Hash(), 0};
  base::MutexLock lock(mutex_);
  if (free_.empty()) {
    entries_.push_back(std::move(entry));
    return entries_.size() - 1;
  }
  const storage::SeriesRef ref = free_.back();
  free_.pop_back();
  entries_[ref] = std::move(entry);
  return ref;
}

void SeriesTable::Free(absl::Span<const storage::SeriesRef> refs) {
  base::MutexLock lock(mutex_);
  for (const storage::SeriesRef ref : refs) {
    if (ref == 0 || ref >= entries_.size()) continue;
    entries_[ref] = Entry{};
    free_.push_back(ref);
  }
}

void SeriesTable::HashesOf(absl::Span<const RefSample> samples,
                           std::vector<std::uint64_t>* hashes) const {
  hashes->clear();
  hashes->reserve(samples.size());
  base::ReaderMutexLock lock(mutex_);
  for (const RefSample& sample : samples) {
    hashes->push_back(sample.ref < entries_.size() ? entries_[sample.ref].hash
                                                   : 0);
  }
}

void SeriesTable::DeclareOn(std::uint32_t stream,
                            absl::Span<const RefSample> samples,
                            v1::PushRequest* request) {
  base::MutexLock lock(mutex_);
  for (const RefSample& sample : samples) {
    if (sample.ref >= entries_.size()) continue;
    Entry& entry = entries_[sample.ref];
    if (entry.stream == stream) continue;
    entry.stream = stream;
    request->add_new_refs(static_cast<std::uint32_t>(sample.ref));
    request->add_new_labels(entry.labels);
  }
}

void SeriesTable::Undeclare(absl::Span<const RefSample> samples) {
  base::MutexLock lock(mutex_);
  for (const RefSample& sample : samples) {
    if (sample.ref < entries_.size()) entries_[sample.ref].stream = 0;
  }
}

std::size_t SeriesTable::size() const {
  base::ReaderMutexLock lock(mutex_);
  return entries_.size() - 1 - free_.size();
}

}  // namespace narthex::cluster::internal
