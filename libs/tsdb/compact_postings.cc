#include "libs/tsdb/compact_postings.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "libs/base/varint.h"

namespace narthex::tsdb {

void CompactPostings::Append(SeriesId id) {
  ++size_;
  if (size_ > 1 && id == last_ + 1) {
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
  Postings ids = Decode();
  ids.insert(std::lower_bound(ids.begin(), ids.end(), id), id);
  *this = CompactPostings();
  for (const SeriesId one : ids) Append(one);
}

void CompactPostings::Remove(const Postings& gone) {
  Postings ids = Decode();
  Subtract(PostingsView(gone), &ids);
  *this = CompactPostings();
  for (const SeriesId one : ids) Append(one);
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
}

Postings CompactPostings::Decode() const {
  Postings ids;
  AppendTo(&ids);
  return ids;
}

std::size_t CompactPostings::heap_bytes() const {
  // Short strings lie in the object.
  return bytes_.capacity() < sizeof(bytes_) / 2 ? 0 : bytes_.capacity() + 1;
}

}  // namespace narthex::tsdb
