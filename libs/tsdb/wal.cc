#include "libs/tsdb/wal.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/status.h"
#include "libs/tsdb/wal_directory.h"

namespace narthex::tsdb {

Wal::Wal(std::string directory, const WalOptions& options, base::Logger logger,
         WriteLogMetrics& metrics)
    : directory_(std::move(directory)),
      options_(options),
      logger_(std::move(logger)),
      metrics_(metrics),
      bytes_saved_(metrics.bytes_saved.With(
          {std::string(WalCompressionName(options.compression))})) {}

absl::StatusOr<std::unique_ptr<Wal>> Wal::Open(const std::string& directory,
                                               const WalOptions& options,
                                               base::Logger logger,
                                               WriteLogMetrics& metrics) {
  if (options.segment_bytes == 0 ||
      options.segment_bytes % kWalPageBytes != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "segment size ", options.segment_bytes,
        " of the write-ahead log is not a multiple of ", kWalPageBytes));
  }
  NARTHEX_RETURN_IF_ERROR(base::CreateDirectories(directory));
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<int> segments,
                           ListWalSegments(directory));
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<WalCheckpoint> checkpoints,
                           ListWalCheckpoints(directory));
  int last = segments.empty() ? -1 : segments.back();
  // Segments that a checkpoint stands for are not replayed.
  if (!checkpoints.empty()) last = std::max(last, checkpoints.back().segment);
  std::unique_ptr<Wal> wal(
      new Wal(directory, options, std::move(logger), metrics));
  NARTHEX_RETURN_IF_ERROR(wal->OpenSegment(last + 1));
  return wal;
}

Wal::~Wal() {
  const absl::Status status = Close();
  if (!status.ok()) {
    logger_.Error("write-ahead log not closed well",
                  {{"err", status.ToString()}});
  }
}

absl::Status Wal::Log(absl::Span<const std::string> records) {
  Waiter waiter;
  for (const std::string& record : records) {
    if (record.empty()) continue;
    waiter.payloads.push_back(CompressRecord(record, options_.compression));
    bytes_saved_.Inc(static_cast<double>(record.size() -
                                         waiter.payloads.back().bytes.size()));
  }
  if (waiter.payloads.empty()) return absl::OkStatus();
  std::vector<Waiter*> group;
  {
    base::MutexLock lock(mutex_);
    if (closed_) {
      return absl::FailedPreconditionError("the write-ahead log is closed");
    }
    queue_.push_back(&waiter);
    while (!waiter.done && led_) changed_.Wait(mutex_);
    if (waiter.done) return waiter.status;
    led_ = true;
    group.assign(queue_.begin(), queue_.end());
    queue_.clear();
  }
  WriteGroup(group);
  base::MutexLock lock(mutex_);
  for (Waiter* served : group) served->done = true;
  led_ = false;
  changed_.NotifyAll();
  return waiter.status;
}

void Wal::Lead() {
  base::MutexLock lock(mutex_);
  while (led_) changed_.Wait(mutex_);
  led_ = true;
}

void Wal::StopLeading() {
  base::MutexLock lock(mutex_);
  led_ = false;
  changed_.NotifyAll();
}

void Wal::WriteGroup(const std::vector<Waiter*>& group) {
  std::vector<Waiter*> framed;
  const auto flush = [&] {
    const absl::Status status = Flush();
    for (Waiter* waiter : framed) waiter->status = status;
    framed.clear();
  };
  for (Waiter* waiter : group) {
    const std::uint64_t end = written_ + buffer_.size();
    std::uint64_t size = 0;
    for (const WalPayload& payload : waiter->payloads) {
      size += FramedSize(payload.bytes.size(), end + size);
    }
    // One caller's records stay in one segment, so that they are written, or
    // not, together.
    if (end > 0 && end + size > options_.segment_bytes) {
      flush();
      waiter->status = FinishSegment();
      if (!waiter->status.ok()) continue;
    }
    for (const WalPayload& payload : waiter->payloads) {
      FramePayload(payload, written_ + buffer_.size(), &buffer_);
    }
    framed.push_back(waiter);
  }
  flush();
}

// Writes the buffer. After an error the segment is as it was before.
absl::Status Wal::Flush() {
  if (buffer_.empty()) return absl::OkStatus();
  if (torn_) Rewind();
  absl::Status status =
      torn_ ? absl::UnavailableError(absl::StrCat(
                  "write-ahead log ", path_,
                  ": the remains of a write that failed cannot be removed"))
            : base::WriteAll(file_.get(), buffer_, path_);
  if (status.ok() && options_.sync == WalSync::kGroup)
    status = Sync(file_.get(), path_);
  if (status.ok()) {
    const std::uint64_t pages = written_ / kWalPageBytes;
    written_ += buffer_.size();
    metrics_.page_flushes.Inc();
    metrics_.completed_pages.Inc(
        static_cast<double>(written_ / kWalPageBytes - pages));
  } else {
    metrics_.writes_failed.Inc();
    torn_ = true;
    Rewind();
    logger_.Error(
        "write-ahead log not written",
        {{"segment", path_}, {"offset", written_}, {"err", status.ToString()}});
  }
  buffer_.clear();
  return status;
}

// Removes what a failed write left behind the good bytes.
void Wal::Rewind() {
  const auto end = static_cast<off_t>(written_);
  torn_ = ::ftruncate(file_.get(), end) != 0 ||
          ::lseek(file_.get(), end, SEEK_SET) != end;
}

absl::Status Wal::Sync(int fd, const std::string& path) {
  const std::int64_t start = base::Clock::System().MonotonicNs();
  if (::fdatasync(fd) != 0) return base::ErrnoStatus(errno, "fsync", path);
  metrics_.fsync_seconds.Observe(
      static_cast<double>(base::Clock::System().MonotonicNs() - start) * 1e-9);
  return absl::OkStatus();
}

absl::Status Wal::OpenSegment(int number) {
  const std::string path = WalSegmentPath(directory_, number);
  base::UniqueFd file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file) return base::ErrnoStatus(errno, "create", path);
  absl::Status status = base::SyncDirectory(directory_);
  if (!status.ok()) {
    ::unlink(path.c_str());
    return status;
  }
  file_ = std::move(file);
  path_ = path;
  written_ = 0;
  torn_ = false;
  segment_.store(number);
  metrics_.segment_current.Set(number);
  return absl::OkStatus();
}

// Fills the last page, makes the segment durable and begins the next.
absl::Status Wal::FinishSegment() {
  const std::size_t used = static_cast<std::size_t>(written_ % kWalPageBytes);
  if (used != 0) buffer_.append(kWalPageBytes - used, '\0');
  NARTHEX_RETURN_IF_ERROR(Flush());
  NARTHEX_RETURN_IF_ERROR(Sync(file_.get(), path_));
  return OpenSegment(segment_.load() + 1);
}

absl::Status Wal::ForceToDisk() {
  Lead();
  // A descriptor of its own: the segment may be finished and closed meanwhile.
  const base::UniqueFd file(file_ ? ::dup(file_.get()) : -1);
  const std::string path = path_;
  StopLeading();
  return file ? Sync(file.get(), path) : absl::OkStatus();
}

absl::StatusOr<int> Wal::NextSegment() {
  Lead();
  const absl::Status status =
      written_ == 0 ? absl::OkStatus() : FinishSegment();
  StopLeading();
  NARTHEX_RETURN_IF_ERROR(status);
  return segment_.load();
}

WalPosition Wal::Position() {
  Lead();
  const WalPosition position{segment_.load(), written_};
  StopLeading();
  return position;
}

absl::Status Wal::RemoveSegmentsBelow(int segment) {
  metrics_.truncations.Inc();
  const auto remove = [&]() -> absl::Status {
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<int> segments,
                             ListWalSegments(directory_));
    for (const int number : segments) {
      if (number >= segment || number >= segment_.load()) break;
      NARTHEX_RETURN_IF_ERROR(
          base::RemoveAll(WalSegmentPath(directory_, number)));
    }
    return absl::OkStatus();
  };
  absl::Status status = remove();
  if (!status.ok()) metrics_.truncations_failed.Inc();
  return status;
}

std::uint64_t Wal::SizeBytes() const { return WalDirectoryBytes(directory_); }

absl::Status Wal::Close() {
  {
    base::MutexLock lock(mutex_);
    if (closed_) return absl::OkStatus();
    closed_ = true;
  }
  Lead();
  absl::Status status = absl::OkStatus();
  if (file_) {
    status = Sync(file_.get(), path_);
    file_.reset();
  }
  StopLeading();
  return status;
}

}  // namespace narthex::tsdb
