#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "libs/tsdb/postings.h"

namespace narthex::tsdb {

/// Postings that grow, in little memory: a byte or so for an id near the one
/// before, next to nothing for each of a run of consecutive ids, as the series
/// of one target are. Read by decoding all of them. Not thread-safe.
class CompactPostings {
 public:
  /// Requires: not there yet. Cheap for an id above all others.
  void Insert(SeriesId id);
  /// Removes those of `gone`, which ascend, that are there.
  void Remove(const Postings& gone);

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  void AppendTo(Postings* out) const;
  Postings Decode() const;

  /// Bytes held beside the object itself; estimated.
  std::size_t heap_bytes() const;

 private:
  void Append(SeriesId id);
  void Rewrite(const Postings& ids);

  // Varints: twice the distance from the id before (from 0 at first), or one
  // more than twice the number of ids that follow each other from there.
  std::string bytes_;
  SeriesId last_ = 0;
  SeriesId run_ = 0;  // How many ids up to the last are not in bytes_ yet.
  SeriesId size_ = 0;
  // Inserted below others, in any order; kept apart until they are many, for
  // to put one into its place is to write all anew. Null: none.
  std::unique_ptr<Postings> late_;
};

}  // namespace narthex::tsdb
