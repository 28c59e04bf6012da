#include "libs/cluster/internal/push_spool.h"

#include <unistd.h>
#include <zstd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "narthex/v1/ingester.pb.h"

namespace narthex::cluster::internal {
namespace {

// Each segment declares its series anew: it holds so many times the bytes of
// their labels, but no more, as it may be read again from its start.
constexpr std::uint64_t kWorthOfLabels = 8;

const char* NameOf(DiskLoss why) {
  switch (why) {
    case DiskLoss::kBytes:
      return "disk_bytes";
    case DiskLoss::kAge:
      return "disk_age";
    case DiskLoss::kCorrupted:
      return "disk_corrupted";
  }
  return "unknown";
}

// Labels of neighbours have most in common; fast, as all else is faster still.
constexpr int kCompression = 1;
constexpr std::uint64_t kMostPlainBytes = 256 << 20;

absl::StatusOr<std::string> Compress(const std::string& plain) {
  std::string packed(ZSTD_compressBound(plain.size()), '\0');
  const std::size_t size = ZSTD_compress(
      packed.data(), packed.size(), plain.data(), plain.size(), kCompression);
  if (ZSTD_isError(size) != 0) {
    return absl::InternalError(absl::StrCat("compress a record of a queue: ",
                                            ZSTD_getErrorName(size)));
  }
  packed.resize(size);
  return packed;
}

bool Decompress(const std::string& packed, v1::PushRequest* request) {
  // Errors are larger than any size.
  const auto size = ZSTD_getFrameContentSize(packed.data(), packed.size());
  if (size > kMostPlainBytes) return false;
  std::string plain(size, '\0');
  return ZSTD_decompress(plain.data(), plain.size(), packed.data(),
                         packed.size()) == size &&
         request->ParseFromString(plain);
}

// Replaces each reference by what it stands for; those that stand for nothing
// go. Returns how many went.
template <typename T, typename Find>
std::size_t Translate(std::vector<T>* items, const Find& find) {
  std::size_t kept = 0;
  for (T& item : *items) {
    item.ref = find(item.ref);
    if (item.ref == 0) continue;
    if (&(*items)[kept] != &item) (*items)[kept] = std::move(item);
    ++kept;
  }
  const std::size_t gone = items->size() - kept;
  items->resize(kept);
  return gone;
}

}  // namespace

// The references that the series of one segment have in this process, as
// long as anything read from the segment is on its way.
class PushSpool::SegmentSeries {
 public:
  explicit SegmentSeries(SeriesTable& table) : table_(table) {}
  ~SegmentSeries() { table_.Free(all_); }
  SegmentSeries(const SegmentSeries&) = delete;
  SegmentSeries& operator=(const SegmentSeries&) = delete;

  void Declare(std::uint32_t ref, const model::Labels& labels) {
    const storage::SeriesRef declared = table_.Declare(labels);
    all_.push_back(declared);
    refs_[ref] = declared;
  }
  storage::SeriesRef Find(storage::SeriesRef ref) const {
    const auto it = refs_.find(static_cast<std::uint32_t>(ref));
    return it == refs_.end() ? 0 : it->second;
  }

 private:
  SeriesTable& table_;
  absl::flat_hash_map<std::uint32_t, storage::SeriesRef> refs_;
  std::vector<storage::SeriesRef> all_;
};

PushSpool::PushSpool(std::string directory, SeriesTable& series,
                     WriterMetrics& metrics, base::Logger log)
    : directory_(std::move(directory)),
      series_(series),
      metrics_(metrics),
      log_(std::move(log)) {}

PushSpool::~PushSpool() {
  metrics_.disk_bytes.Add(-static_cast<double>(counted_bytes_));
}

absl::StatusOr<std::unique_ptr<PushSpool>> PushSpool::Open(
    DiskQueueOptions options, SeriesTable& series, WriterMetrics& metrics,
    base::Logger log) {
  std::unique_ptr<PushSpool> spool(
      new PushSpool(options.directory, series, metrics, std::move(log)));
  base::MutexLock lock(spool->mutex_);
  PushSpool* const self = spool.get();
  // Called from within the queue's functions, all of which are called locked.
  NARTHEX_ASSIGN_OR_RETURN(
      spool->queue_, DiskQueue::Open(std::move(options), base::Clock::System(),
                                     [self](DiskLoss why, std::uint64_t samples)
                                         ABSL_NO_THREAD_SAFETY_ANALYSIS {
                                           self->Lose(why, samples);
                                         }));
  spool->NoteSize();
  return spool;
}

void PushSpool::Lose(DiskLoss why, std::uint64_t samples) {
  metrics_.dropped.With({NameOf(why)}).Inc(static_cast<double>(samples));
  if (std::exchange(losing_, true)) return;
  log_.Error("dropping samples that wait on disk",
             {{"reason", NameOf(why)}, {"directory", directory_}});
}

void PushSpool::NoteSize() {
  const std::uint64_t bytes = queue_->bytes();
  metrics_.disk_bytes.Add(static_cast<double>(bytes) -
                          static_cast<double>(counted_bytes_));
  counted_bytes_ = bytes;
}

absl::StatusOr<DiskPosition> PushSpool::Append(
    std::uint32_t lane, const std::vector<PushPart>& parts) {
  base::MutexLock lock(mutex_);
  NARTHEX_ASSIGN_OR_RETURN(
      const std::uint64_t segment,
      queue_->TailSegment(kWorthOfLabels * tail_label_bytes_));
  if (segment != tail_segment_) {
    tail_segment_ = segment;
    tail_stream_ = StreamId::Next(lane);
    tail_label_bytes_ = 0;
  }
  v1::PushRequest request;
  EncodeParts(parts, tail_stream_, series_, &request);
  std::size_t samples = 0;
  for (const PushPart& part : parts) samples += part.size();
  const std::string plain = request.SerializeAsString();
  const auto packed = Compress(plain);
  const auto end =
      packed.ok() ? queue_->Append(*packed, static_cast<std::uint32_t>(samples))
                  : packed.status();
  if (!end.ok()) {
    // What it declared is not there; the rest of the segment declares anew.
    tail_stream_ = StreamId::Next(lane);
    return end.status();
  }
  std::size_t labels = 0;
  for (const std::string& one : request.new_labels()) labels += one.size();
  if (labels > 0) {
    tail_label_bytes_ += packed->size() * labels / plain.size();
  }
  metrics_.spooled.Inc(static_cast<double>(samples));
  NoteSize();
  return end;
}

PushPart PushSpool::Decode(const DiskQueue::Record& record) {
  PushPart part;
  v1::PushRequest request;
  if (!Decompress(record.payload, &request)) {
    Lose(DiskLoss::kCorrupted, record.passed ? 0 : record.samples);
    return part;
  }
  if (record.end.segment != read_segment_ || read_series_ == nullptr) {
    read_segment_ = record.end.segment;
    read_series_ = std::make_shared<SegmentSeries>(series_);
  }
  const int declared =
      std::min(request.new_refs_size(), request.new_labels_size());
  for (int i = 0; i < declared; ++i) {
    model::Labels labels;
    if (!model::Labels::FromEncoded(request.new_labels(i), &labels)) continue;
    read_series_->Declare(request.new_refs(i), labels);
  }
  if (record.passed) return part;
  if (!DecodePush(request, &part.samples).ok() ||
      !DecodeOthers(request, &part).ok()) {
    Lose(DiskLoss::kCorrupted, record.samples);
    return PushPart();
  }
  const auto find =
      [this](storage::SeriesRef ref)
          ABSL_NO_THREAD_SAFETY_ANALYSIS { return read_series_->Find(ref); };
  const std::size_t unknown = Translate(&part.samples, find) +
                              Translate(&part.histograms, find) +
                              Translate(&part.exemplars, find);
  Translate(&part.starts, find);
  Translate(&part.metadata, find);
  if (unknown > 0) Lose(DiskLoss::kCorrupted, unknown);
  part.all_or_none = request.all_or_none();
  part.in_order_only = request.in_order_only();
  part.resent = record.resent || request.resent();
  part.declared = read_series_;
  return part;
}

std::optional<PushSpool::Entry> PushSpool::Read() {
  base::MutexLock lock(mutex_);
  while (true) {
    const std::optional<DiskQueue::Record> record = queue_->Next();
    if (!record.has_value()) {
      NoteSize();
      return std::nullopt;
    }
    PushPart part = Decode(*record);
    if (part.empty()) continue;
    return Entry{std::move(part), record->end};
  }
}

bool PushSpool::HasUnread() const {
  base::ReaderMutexLock lock(mutex_);
  return queue_->HasUnread();
}

void PushSpool::PassTo(DiskPosition position) {
  base::MutexLock lock(mutex_);
  queue_->PassTo(position);
}

void PushSpool::Commit(DiskPosition position) {
  base::MutexLock lock(mutex_);
  queue_->Commit(position);
  if (queue_->empty()) {
    losing_ = false;
    read_series_.reset();  // The next record begins a segment.
  }
  NoteSize();
}

void PushSpool::Rewind() {
  base::MutexLock lock(mutex_);
  read_series_.reset();
  queue_->Rewind();
}

void PushSpool::DropExpired() {
  base::MutexLock lock(mutex_);
  queue_->DropExpired();
  NoteSize();
}

void PushSpool::Sync() {
  std::vector<base::UniqueFd> files;
  {
    base::MutexLock lock(mutex_);
    files = queue_->TakeUnsynced();
  }
  for (const base::UniqueFd& file : files) {
    if (::fdatasync(file.get()) == 0) continue;
    log_.Error("syncing what waits on disk",
               {{"directory", directory_},
                {"err", std::generic_category().message(errno)}});
  }
}

}  // namespace narthex::cluster::internal
