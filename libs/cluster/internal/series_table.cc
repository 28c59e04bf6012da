#include "libs/cluster/internal/series_table.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "libs/base/hash.h"
#include "narthex/v1/ingester.pb.h"

namespace narthex::cluster::internal {

StreamId StreamId::Next(std::uint32_t lane) {
  static std::atomic<std::uint32_t> last{0};
  return {lane, ++last};
}

std::uint32_t LaneOf(absl::string_view address) {
  return static_cast<std::uint32_t>(base::XxHash64(address));
}

SeriesTable::SeriesTable(std::size_t replicas) : replicas_(replicas) {
  pages_.push_back(std::make_unique<Page>());
  if (replicas_ > 1) streams_.resize(replicas_);
}

storage::SeriesRef SeriesTable::Declare(const model::Labels& labels) {
  const std::uint64_t hash = labels.Hash();
  base::MutexLock lock(mutex_);
  const Entry entry{hash, labels_.Add(labels), 0};
  if (free_.empty()) {
    if (count_ == pages_.size() * kPageEntries) {
      pages_.push_back(std::make_unique<Page>());
    }
    At(count_) = entry;
    if (replicas_ > 1) streams_.resize((count_ + 1) * replicas_);
    return count_++;
  }
  const storage::SeriesRef ref = free_.back();
  free_.pop_back();
  At(ref) = entry;
  return ref;
}

void SeriesTable::Free(absl::Span<const storage::SeriesRef> refs) {
  base::MutexLock lock(mutex_);
  for (const storage::SeriesRef ref : refs) {
    if (ref == 0 || ref >= count_) continue;
    labels_.Remove(At(ref).labels);
    At(ref) = Entry{};
    NoteUndeclared(ref);
    free_.push_back(ref);
  }
}

void SeriesTable::HashesOf(absl::Span<const RefSample> samples,
                           std::vector<std::uint64_t>* hashes) const {
  hashes->clear();
  hashes->reserve(samples.size());
  base::ReaderMutexLock lock(mutex_);
  for (const RefSample& sample : samples) {
    hashes->push_back(sample.ref < count_ ? At(sample.ref).hash : 0);
  }
}

std::uint64_t SeriesTable::HashOf(storage::SeriesRef ref) const {
  base::ReaderMutexLock lock(mutex_);
  return ref < count_ ? At(ref).hash : 0;
}

bool SeriesTable::NoteDeclared(StreamId stream, storage::SeriesRef ref) {
  if (replicas_ == 1) {
    return std::exchange(At(ref).stream, stream.number) != stream.number;
  }
  const absl::Span<StreamId> known = StreamsOf(ref);
  for (StreamId& one : known) {
    if (one.lane != stream.lane || one.number == 0) continue;
    return std::exchange(one.number, stream.number) != stream.number;
  }
  // The series has moved here: the ingester that it left is the first to go.
  std::move_backward(known.begin(), known.end() - 1, known.end());
  known.front() = stream;
  return true;
}

void SeriesTable::NoteUndeclared(storage::SeriesRef ref) {
  At(ref).stream = 0;
  if (replicas_ == 1) return;
  for (StreamId& one : StreamsOf(ref)) one = StreamId();
}

void SeriesTable::DeclareOneOn(StreamId stream, storage::SeriesRef ref,
                               v1::PushRequest* request) {
  if (ref >= count_ || !NoteDeclared(stream, ref)) return;
  request->add_new_refs(static_cast<std::uint32_t>(ref));
  labels_.AppendEncoded(At(ref).labels, request->add_new_labels());
}

void SeriesTable::DeclareOn(StreamId stream, const PushBatch& batch,
                            v1::PushRequest* request) {
  base::MutexLock lock(mutex_);
  for (const RefSample& sample : batch.samples) {
    DeclareOneOn(stream, sample.ref, request);
  }
  for (const storage::SeriesRef ref : OtherRefs(batch)) {
    DeclareOneOn(stream, ref, request);
  }
}

void SeriesTable::Undeclare(const PushBatch& batch) {
  base::MutexLock lock(mutex_);
  std::vector<storage::SeriesRef> refs = OtherRefs(batch);
  for (const RefSample& sample : batch.samples) refs.push_back(sample.ref);
  for (const storage::SeriesRef ref : refs) {
    if (ref < count_) NoteUndeclared(ref);
  }
}

std::size_t SeriesTable::memory_bytes() const {
  base::ReaderMutexLock lock(mutex_);
  return labels_.memory_bytes() + pages_.size() * sizeof(Page) +
         free_.capacity() * sizeof(free_[0]) +
         streams_.capacity() * sizeof(streams_[0]);
}

std::size_t SeriesTable::size() const {
  base::ReaderMutexLock lock(mutex_);
  return count_ - 1 - free_.size();
}

}  // namespace narthex::cluster::internal
