#include "libs/tsdb/wal_reader.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"

namespace narthex::tsdb {

absl::StatusOr<WalReader> WalReader::Open(const std::string& directory,
                                          std::optional<WalPosition> from) {
  WalReader reader;
  int after = -1;
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<WalCheckpoint> checkpoints,
                           ListWalCheckpoints(directory));
  if (!checkpoints.empty() && from.has_value() &&
      checkpoints.back().segment >= from->segment) {
    from.reset();
  }
  if (from.has_value()) {
    after = from->segment - 1;
  } else if (!checkpoints.empty()) {
    after = checkpoints.back().segment;
    reader.checkpoint_ = checkpoints.back().path;
    NARTHEX_RETURN_IF_ERROR(reader.Add(reader.checkpoint_, -1, true));
  }
  const std::size_t of_checkpoint = reader.segments_.size();
  NARTHEX_RETURN_IF_ERROR(reader.Add(directory, after, false));
  if (reader.segments_.size() > of_checkpoint) {
    reader.first_ = reader.segments_[of_checkpoint].number;
    reader.last_ = reader.segments_.back().number;
  }
  if (from.has_value()) NARTHEX_RETURN_IF_ERROR(reader.BeginAt(*from));
  return reader;
}

absl::Status WalReader::BeginAt(const WalPosition& from) {
  if (!segments_.empty() && segments_.front().number == from.segment) {
    const std::string path =
        WalSegmentPath(segments_.front().directory, from.segment);
    NARTHEX_ASSIGN_OR_RETURN(const base::MappedFile file,
                             base::MappedFile::Open(path));
    offset_ = from.offset;
    if (file.data().size() >= offset_) return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat("the log does not reach offset ",
                                          from.offset, " of segment ",
                                          from.segment));
}

absl::Status WalReader::Add(const std::string& directory, int after,
                            bool of_checkpoint) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<int> numbers,
                           ListWalSegments(directory));
  NARTHEX_RETURN_IF_ERROR(CheckSegmentsFollow(directory, numbers));
  for (const int number : numbers) {
    if (number > after) segments_.push_back({directory, number, of_checkpoint});
  }
  return absl::OkStatus();
}

void WalReader::SkipRest(bool of_checkpoint) {
  while (at_ < segments_.size() &&
         segments_[at_].of_checkpoint == of_checkpoint) {
    ++at_;
    reader_.reset();
  }
}

absl::StatusOr<bool> WalReader::Next(std::size_t most_bytes,
                                     WalStretch* stretch) {
  if (at_ == segments_.size()) return false;
  const Segment& segment = segments_[at_];
  stretch->segment = segment.number;
  stretch->of_checkpoint = segment.of_checkpoint;
  stretch->count = 0;
  stretch->begins_segment = !reader_.has_value();
  stretch->ends_segment = false;
  stretch->flaw.reset();
  if (!reader_.has_value()) {
    NARTHEX_ASSIGN_OR_RETURN(base::MappedFile file,
                             base::MappedFile::Open(WalSegmentPath(
                                 segment.directory, segment.number)));
    file_ = std::make_shared<const base::MappedFile>(std::move(file));
    reader_.emplace(file_->data(), at_ == 0 ? offset_ : 0);
  }
  stretch->file = file_;
  for (std::size_t bytes = 0; bytes < most_bytes;) {
    if (stretch->count == stretch->records.size()) {
      stretch->records.emplace_back();
    }
    WalFragments& record = stretch->records[stretch->count];
    if (!reader_->Next(&record)) {
      stretch->ends_segment = true;
      break;
    }
    bytes += record.EstimatedBytes();
    ++stretch->count;
  }
  if (!stretch->ends_segment) return true;
  if (!reader_->status().ok()) {
    stretch->flaw = {segment.number, reader_->offset(), reader_->status()};
    SkipRest(segment.of_checkpoint);
  } else {
    ++at_;
    reader_.reset();
  }
  return true;
}

}  // namespace narthex::tsdb
