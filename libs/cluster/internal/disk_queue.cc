#include "libs/cluster/internal/disk_queue.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "libs/base/crc32c.h"
#include "libs/base/status.h"

namespace narthex::cluster::internal {
namespace {

constexpr absl::string_view kMagic = "NXQUEUE1";
constexpr absl::string_view kSuffix = ".queue";
constexpr std::size_t kHeaderBytes = 20;
constexpr std::uint32_t kMostPayload = 256u << 20;
constexpr std::size_t kPositionBytes = 44;

template <typename T>
void Put(T value, char* at) {
  std::memcpy(at, &value, sizeof(value));
}
template <typename T>
T Take(const char* at) {
  T value{};
  std::memcpy(&value, at, sizeof(value));
  return value;
}

struct Header {
  std::uint32_t length = 0;
  std::uint32_t crc = 0;
  std::uint32_t samples = 0;
  std::int64_t written_ms = 0;
};

absl::string_view AsView(const std::array<char, kHeaderBytes>& bytes) {
  return {bytes.data(), bytes.size()};
}

// The checksum covers what follows it.
std::uint32_t Checksum(absl::string_view header, absl::string_view payload) {
  return base::Crc32c(payload, base::Crc32c(header.substr(8)));
}

std::array<char, kHeaderBytes> Encode(absl::string_view payload,
                                      std::uint32_t samples,
                                      std::int64_t written_ms) {
  std::array<char, kHeaderBytes> bytes{};
  Put(static_cast<std::uint32_t>(payload.size()), bytes.data());
  Put(samples, bytes.data() + 8);
  Put(written_ms, bytes.data() + 12);
  Put(Checksum(AsView(bytes), payload), bytes.data() + 4);
  return bytes;
}

Header Decode(const std::array<char, kHeaderBytes>& bytes) {
  return {Take<std::uint32_t>(bytes.data()),
          Take<std::uint32_t>(bytes.data() + 4),
          Take<std::uint32_t>(bytes.data() + 8),
          Take<std::int64_t>(bytes.data() + 12)};
}

bool ReadAt(int fd, std::uint64_t offset, char* out, std::size_t size) {
  while (size > 0) {
    const ssize_t got = ::pread(fd, out, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    out += got;
    offset += static_cast<std::uint64_t>(got);
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

std::uint64_t FileSize(int fd) {
  const off_t size = ::lseek(fd, 0, SEEK_END);
  return size < 0 ? 0 : static_cast<std::uint64_t>(size);
}

// Calls `visit(header, end of the record)` for the records from `offset` that
// lie wholly before `end`.
template <typename Visit>
void WalkHeaders(int fd, std::uint64_t offset, std::uint64_t end,
                 const Visit& visit) {
  std::array<char, kHeaderBytes> bytes{};
  while (offset + kHeaderBytes <= end &&
         ReadAt(fd, offset, bytes.data(), bytes.size())) {
    const Header header = Decode(bytes);
    const std::uint64_t next = offset + kHeaderBytes + header.length;
    if (header.length > kMostPayload || next > end) return;
    visit(header, next);
    offset = next;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<DiskQueue>> DiskQueue::Open(
    DiskQueueOptions options, base::Clock& clock, OnLoss on_loss) {
  std::unique_ptr<DiskQueue> queue(
      new DiskQueue(std::move(options), clock, std::move(on_loss)));
  NARTHEX_RETURN_IF_ERROR(queue->Load());
  return queue;
}

std::string DiskQueue::PathOf(std::uint64_t segment) const {
  return absl::StrFormat("%s/%08d%s", options_.directory, segment, kSuffix);
}

absl::Status DiskQueue::Load() {
  if (!base::Exists(options_.directory)) return absl::OkStatus();
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                           base::ListDirectory(options_.directory));
  for (const std::string& name : names) {
    absl::string_view digits = name;
    std::uint64_t number = 0;
    if (!absl::ConsumeSuffix(&digits, kSuffix) ||
        !absl::SimpleAtoi(digits, &number)) {
      continue;
    }
    next_segment_ = std::max(next_segment_, number + 1);
    const base::UniqueFd file(
        ::open(PathOf(number).c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) {
      return base::ErrnoStatus(errno, "open disk queue", PathOf(number));
    }
    Segment segment;
    segment.number = number;
    segment.bytes = kMagic.size();
    WalkHeaders(file.get(), kMagic.size(), FileSize(file.get()),
                [&](const Header& header, std::uint64_t end) {
                  segment.bytes = end;
                  segment.samples += header.samples;
                  segment.newest_ms =
                      std::max(segment.newest_ms, header.written_ms);
                });
    if (segment.newest_ms == 0) {
      NARTHEX_RETURN_IF_ERROR(base::RemoveAll(PathOf(number)));
      continue;
    }
    segments_.push_back(segment);
  }
  // By number, not by name: these may grow beyond eight digits.
  std::sort(
      segments_.begin(), segments_.end(),
      [](const Segment& a, const Segment& b) { return a.number < b.number; });
  if (!segments_.empty()) {
    tail_ = {segments_.back().number, segments_.back().bytes};
    sent_ = synced_ = tail_;
  }
  CountMissing(LoadPosition());
  if (segments_.empty()) return absl::OkStatus();
  while (!segments_.empty() &&
         DiskPosition{segments_.front().number, segments_.front().bytes} <=
             committed_) {
    RemoveFirst(std::nullopt);
  }
  Rewind();
  return absl::OkStatus();
}

DiskQueue::Mark DiskQueue::LoadPosition() {
  const auto content =
      base::ReadFile(absl::StrCat(options_.directory, "/position"));
  if (!content.ok() || content->size() != kPositionBytes) return {};
  const absl::string_view text = *content;
  if (base::Crc32c(text.substr(0, 40)) != Take<std::uint32_t>(&text[40])) {
    return {};
  }
  committed_ = {Take<std::uint64_t>(text.data()),
                Take<std::uint64_t>(text.data() + 8)};
  const Mark mark{{Take<std::uint64_t>(text.data() + 16),
                   Take<std::uint64_t>(text.data() + 24)},
                  Take<std::uint64_t>(text.data() + 32)};
  next_segment_ = std::max(next_segment_,
                           std::max(committed_.segment, mark.end.segment) + 1);
  return mark;
}

void DiskQueue::CountMissing(const Mark& mark) {
  if (mark.end <= tail_ || mark.end <= committed_) return;
  // Segments before the last are synced when they are closed.
  const Segment* found = Find(mark.end.segment);
  const std::uint64_t samples =
      mark.samples - std::min(mark.samples, found ? found->samples : 0);
  if (samples > 0) on_loss_(DiskLoss::kCorrupted, samples);
  // To be counted once.
  StorePosition();
}

void DiskQueue::StorePosition() {
  if (!position_file_) {
    position_file_ = base::UniqueFd(
        ::open(absl::StrCat(options_.directory, "/position").c_str(),
               O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    if (!position_file_) return;
  }
  std::array<char, kPositionBytes> bytes{};
  Put(committed_.segment, bytes.data());
  Put(committed_.offset, bytes.data() + 8);
  Put(tail_.segment, bytes.data() + 16);
  Put(tail_.offset, bytes.data() + 24);
  Put(segments_.empty() ? std::uint64_t{0} : segments_.back().samples,
      bytes.data() + 32);
  Put(base::Crc32c({bytes.data(), 40}), bytes.data() + 40);
  // Without it more would be sent again than need be, which does no harm.
  [[maybe_unused]] const ssize_t written =
      ::pwrite(position_file_.get(), bytes.data(), bytes.size(), 0);
}

absl::Status DiskQueue::StartSegment() {
  NARTHEX_RETURN_IF_ERROR(base::CreateDirectories(options_.directory));
  const std::string path = PathOf(next_segment_);
  base::UniqueFd file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file) return base::ErrnoStatus(errno, "create disk queue", path);
  NARTHEX_RETURN_IF_ERROR(base::WriteAll(file.get(), kMagic, path));
  // Without this the machine could lose the name of what is synced.
  NARTHEX_RETURN_IF_ERROR(base::SyncDirectory(options_.directory));
  segments_.push_back({next_segment_, kMagic.size(), clock_.NowMs(), 0});
  tail_file_ = std::move(file);
  tail_ = {next_segment_, kMagic.size()};
  ++next_segment_;
  // Nothing is behind: there is nothing to read again before it.
  if (segments_.size() == 1) cursor_ = passed_ = committed_ = tail_;
  return absl::OkStatus();
}

absl::StatusOr<std::uint64_t> DiskQueue::TailSegment(
    std::uint64_t worth_bytes) {
  const std::uint64_t most_bytes = std::max(
      options_.segment_bytes, std::min(worth_bytes, options_.max_bytes / 2));
  if (tail_file_ && tail_.offset >= most_bytes) {
    ::fdatasync(tail_file_.get());
    tail_file_.reset();
  }
  // One segment stays whatever its size: there must be some place to write.
  while (segments_.size() > 1 && bytes() > options_.max_bytes) {
    RemoveFirst(DiskLoss::kBytes);
  }
  if (!tail_file_) NARTHEX_RETURN_IF_ERROR(StartSegment());
  return tail_.segment;
}

absl::StatusOr<DiskPosition> DiskQueue::Append(absl::string_view payload,
                                               std::uint32_t samples) {
  const std::int64_t now_ms = clock_.NowMs();
  const auto header = Encode(payload, samples, now_ms);
  const std::string path = PathOf(tail_.segment);
  std::string record;
  record.reserve(kHeaderBytes + payload.size());
  absl::StrAppend(&record, AsView(header), payload);
  if (const absl::Status status =
          base::WriteAll(tail_file_.get(), record, path);
      !status.ok()) {
    // A torn record would hide those behind it.
    if (::ftruncate(tail_file_.get(), static_cast<off_t>(tail_.offset)) != 0 ||
        ::lseek(tail_file_.get(), 0, SEEK_END) < 0) {
      tail_file_.reset();
    }
    return status;
  }
  tail_.offset += record.size();
  segments_.back().bytes = tail_.offset;
  segments_.back().newest_ms = now_ms;
  segments_.back().samples += samples;
  return tail_;
}

std::vector<base::UniqueFd> DiskQueue::TakeUnsynced() {
  if (!tail_file_ || tail_ <= synced_) return {};
  StorePosition();
  std::vector<base::UniqueFd> out;
  for (const base::UniqueFd* file : {&position_file_, &tail_file_}) {
    base::UniqueFd copy(::fcntl(file->get(), F_DUPFD_CLOEXEC, 0));
    if (copy) out.push_back(std::move(copy));
  }
  synced_ = tail_;
  return out;
}

const DiskQueue::Segment* DiskQueue::Find(std::uint64_t number) const {
  for (const Segment& segment : segments_) {
    if (segment.number == number) return &segment;
  }
  return nullptr;
}

void DiskQueue::GiveUpSegment() {
  const Segment* segment = Find(cursor_.segment);
  const base::UniqueFd file(
      ::open(PathOf(cursor_.segment).c_str(), O_RDONLY | O_CLOEXEC));
  std::uint64_t samples = 0;
  if (file) {
    WalkHeaders(file.get(), cursor_.offset, segment->bytes,
                [&](const Header& header, std::uint64_t) {
                  samples += header.samples;
                });
  }
  // Those lengths may be as wrong as what they describe, but nothing better
  // is known.
  on_loss_(DiskLoss::kCorrupted, samples);
  cursor_.offset = segment->bytes;
  if (tail_.segment == cursor_.segment) tail_file_.reset();
}

std::optional<DiskQueue::Record> DiskQueue::Next() {
  while (cursor_ < tail_) {
    const Segment* segment = Find(cursor_.segment);
    if (segment == nullptr || cursor_.offset >= segment->bytes) {
      // On to the next one; there is one, as the cursor is before the tail.
      const auto next = std::find_if(
          segments_.begin(), segments_.end(),
          [&](const Segment& s) { return s.number > cursor_.segment; });
      if (next == segments_.end()) return std::nullopt;
      cursor_ = {next->number, kMagic.size()};
      cursor_file_.reset();
      continue;
    }
    if (!cursor_file_) {
      cursor_file_ = base::UniqueFd(
          ::open(PathOf(cursor_.segment).c_str(), O_RDONLY | O_CLOEXEC));
    }
    std::array<char, kHeaderBytes> bytes{};
    Record record;
    const bool whole =
        cursor_file_ && cursor_.offset + kHeaderBytes <= segment->bytes &&
        ReadAt(cursor_file_.get(), cursor_.offset, bytes.data(), bytes.size());
    const Header header = whole ? Decode(bytes) : Header{};
    const std::uint64_t end = cursor_.offset + kHeaderBytes + header.length;
    if (!whole || end > segment->bytes) {
      GiveUpSegment();
      continue;
    }
    record.payload.resize(header.length);
    if (!ReadAt(cursor_file_.get(), cursor_.offset + kHeaderBytes,
                record.payload.data(), header.length) ||
        Checksum(AsView(bytes), record.payload) != header.crc) {
      GiveUpSegment();
      continue;
    }
    cursor_.offset = end;
    record.end = cursor_;
    record.samples = header.samples;
    record.resent = cursor_ <= sent_;
    record.passed = cursor_ <= passed_;
    if (!record.passed &&
        header.written_ms < clock_.NowMs() - options_.max_age_ms) {
      on_loss_(DiskLoss::kAge, header.samples);
      record.passed = true;
    }
    if (!record.passed) handed_out_ = cursor_;
    return record;
  }
  // What was passed over behind the last record that waits for an answer.
  if (handed_out_ <= committed_ && committed_ < cursor_) Commit(cursor_);
  return std::nullopt;
}

void DiskQueue::PassTo(DiskPosition position) {
  passed_ = std::max(passed_, position);
  sent_ = std::max(sent_, position);
  handed_out_ = std::max(handed_out_, position);
}

void DiskQueue::Commit(DiskPosition position) {
  if (position <= committed_) return;
  committed_ = position;
  passed_ = std::max(passed_, committed_);
  while (!segments_.empty() && segments_.front().number < committed_.segment) {
    RemoveFirst(std::nullopt);
  }
  if (empty()) {
    // The next record begins a file of its own, so that this one can go.
    tail_file_.reset();
    cursor_ = std::max(cursor_, tail_);
    while (!segments_.empty()) RemoveFirst(std::nullopt);
  }
  StorePosition();
}

void DiskQueue::Rewind() {
  sent_ = std::max(sent_, handed_out_);
  passed_ = committed_;
  handed_out_ = committed_;
  cursor_file_.reset();
  if (segments_.empty()) {
    cursor_ = passed_ = committed_ = tail_;
    return;
  }
  cursor_ = {std::max(committed_.segment, segments_.front().number),
             kMagic.size()};
}

std::uint64_t DiskQueue::UndeliveredIn(const Segment& segment) const {
  const base::UniqueFd file(
      ::open(PathOf(segment.number).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return 0;
  std::uint64_t samples = 0;
  WalkHeaders(file.get(), kMagic.size(), segment.bytes,
              [&](const Header& header, std::uint64_t end) {
                if (DiskPosition{segment.number, end} > committed_) {
                  samples += header.samples;
                }
              });
  return samples;
}

void DiskQueue::RemoveFirst(std::optional<DiskLoss> why) {
  const Segment& first = segments_.front();
  if (why.has_value()) {
    if (const std::uint64_t samples = UndeliveredIn(first); samples > 0) {
      on_loss_(*why, samples);
    }
  }
  if (cursor_.segment == first.number) cursor_file_.reset();
  // A file that stays is found and removed by the next process.
  [[maybe_unused]] const absl::Status status =
      base::RemoveAll(PathOf(first.number));
  segments_.pop_front();
}

void DiskQueue::DropExpired() {
  const std::int64_t oldest_ms = clock_.NowMs() - options_.max_age_ms;
  while (!segments_.empty() && segments_.front().newest_ms < oldest_ms &&
         !(tail_file_ && segments_.size() == 1)) {
    RemoveFirst(DiskLoss::kAge);
  }
  if (segments_.empty() && !empty()) Commit(tail_);
}

std::uint64_t DiskQueue::bytes() const {
  std::uint64_t bytes = 0;
  for (const Segment& segment : segments_) bytes += segment.bytes;
  return bytes;
}

}  // namespace narthex::cluster::internal
