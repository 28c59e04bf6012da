#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/model/matcher.h"
#include "libs/tsdb/postings.h"

namespace narthex::tsdb {

/// How long some of the series are kept.
struct RetentionRule {
  /// The rule is about series that satisfy all matchers of at least one set.
  std::vector<std::vector<model::Matcher>> matcher_sets;
  /// 0: for ever.
  std::int64_t time_ms = 0;
};

/// What is kept. Ages are counted from the end of the newest block to the end
/// of the block in question, so that a clock that jumps removes nothing.
struct Retention {
  /// Of series that no rule is about. 0: for ever.
  std::int64_t time_ms = std::int64_t{15} * 24 * 60 * 60 * 1000;
  /// Blocks are removed, oldest first, to keep the directory below this many
  /// bytes; 0: no bound.
  std::uint64_t bytes = 0;
  /// The same as a share of the disk that holds the directory, 0 to 100. With
  /// both, the smaller bound counts.
  double percentage = 0;
  /// The first rule that is about a series decides; it may be kept shorter or
  /// longer than `time_ms`.
  std::vector<RetentionRule> rules;
};

/// The age at which no series is kept any more; 0: there is none.
std::int64_t LongestTime(const Retention& retention);

/// The highest of the times that an age has reached; 0: none. While it does
/// not change, neither do the series that are due.
std::int64_t ReachedTime(const Retention& retention, std::int64_t age_ms);

/// The series of an index that are not kept to the age `age_ms`.
absl::StatusOr<Postings> SeriesBeyondRetention(const PostingsSource& index,
                                               const Retention& retention,
                                               std::int64_t age_ms);

}  // namespace narthex::tsdb
