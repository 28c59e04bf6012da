#include "libs/tsdb/compact_postings.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "libs/base/varint.h"

namespace narthex::tsdb {

void CompactPostings::Append(SeriesId id) {
  ++size_;
  if (last_ != 0 && id == last_ + 1) {
    ++run_;
    last_ = id;
    return;
  }
  if (run_ > 0) {
    base::PutUvarint(std::uint64_t{run_} << 1 | 1, &bytes_);
    run_ = 0;
  }
  base::PutUvarint(std::uint64_t{id - last_} << 1, &bytes_);
  last_ = id;
}

void CompactPostings::Insert(SeriesId id) {
  if (size_ == 0 || id > last_) return Append(id);
  if (late_ == nullptr) late_ = std::make_unique<Postings>();
  late_->push_back(id);
  ++size_;
  constexpr std::size_t kFew = 64;
  if (late_->size() > kFew + size_ / 8) Rewrite(Decode());
}

void CompactPostings::Rewrite(const Postings& ids) {
  *this = CompactPostings();
  for (const SeriesId id : ids) Append(id);
}

void CompactPostings::Remove(const Postings& gone) {
  Postings ids = Decode();
  Subtract(PostingsView(gone), &ids);
  Rewrite(ids);
  if (bytes_.capacity() > 2 * bytes_.size()) bytes_.shrink_to_fit();
}

void CompactPostings::AppendTo(Postings* out) const {
  const std::size_t before = out->size();
  out->resize(before + size_);
  SeriesId* to = out->data() + before;
  SeriesId id = 0;
  const auto follow = [&](std::uint64_t count) {
    for (; count > 0; --count) *to++ = ++id;
  };
  const char* at = bytes_.data();
  const char* const end = at + bytes_.size();
  while (at < end) {
    std::uint64_t token = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<std::uint8_t>(*at++);
      token |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    if ((token & 1) != 0) {
      follow(token >> 1);
    } else {
      id += static_cast<SeriesId>(token >> 1);
      *to++ = id;
    }
  }
  follow(run_);
  if (late_ == nullptr) return;
  const auto middle = std::copy(late_->begin(), late_->end(), to) -
                      static_cast<std::ptrdiff_t>(late_->size());
  std::sort(middle, out->data() + out->size());
  std::inplace_merge(out->data() + before, middle, out->data() + out->size());
}

Postings CompactPostings::Decode() const {
  Postings ids;
  AppendTo(&ids);
  return ids;
}

std::size_t CompactPostings::heap_bytes() const {
  // Short strings lie in the object.
  std::size_t bytes =
      bytes_.capacity() < sizeof(std::string) / 2 ? 0 : bytes_.capacity() + 1;
  if (late_ != nullptr) bytes += late_->capacity() * sizeof(SeriesId);
  return bytes;
}

}  // namespace narthex::tsdb
