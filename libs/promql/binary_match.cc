#include "libs/promql/binary_match.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/promql/binary_histogram.h"
#include "libs/promql/binary_op.h"

namespace narthex::promql {
namespace {

using Mask = std::vector<std::uint8_t>;  // One a step: 0 or 1.

/// Series of both sides that match each other, by position.
struct Group {
  std::vector<std::size_t> left;
  std::vector<std::size_t> right;
};

/// Two vectors and how their series match.
struct Matched {
  Columns left;
  Columns right;
  std::vector<Group> groups;
  std::vector<std::size_t> left_group;  // Of each series on the left.
  std::vector<std::size_t> right_group;
};

/// The labels by which series are matched.
model::Labels Signature(const VectorMatching& matching,
                        const std::vector<std::string>& sorted_labels,
                        const model::Labels& labels) {
  return matching.on ? labels.Of(sorted_labels) : labels.Without(sorted_labels);
}

absl::StatusOr<Matched> Match(Evaluation& evaluation, const BinaryExpr& binary,
                              const std::vector<std::string>& sorted_labels,
                              const StepGrid& grid) {
  NARTHEX_ASSIGN_OR_RETURN(Columns left, evaluation.Collect(*binary.lhs, grid));
  NARTHEX_ASSIGN_OR_RETURN(Columns right,
                           evaluation.Collect(*binary.rhs, grid));
  Matched matched{std::move(left), std::move(right), {}, {}, {}};
  AliveCheck alive(evaluation);
  absl::flat_hash_map<model::Labels, std::size_t> index;
  const auto group_of = [&](const Column& column) {
    const auto [it, is_new] = index.try_emplace(
        Signature(*binary.matching, sorted_labels, column.labels),
        matched.groups.size());
    if (is_new) matched.groups.emplace_back();
    return it->second;
  };
  for (std::size_t i = 0; i < matched.left.list.size(); ++i) {
    NARTHEX_RETURN_IF_ERROR(alive.Pass(0));
    matched.left_group.push_back(group_of(matched.left.list[i]));
    matched.groups[matched.left_group.back()].left.push_back(i);
  }
  for (std::size_t i = 0; i < matched.right.list.size(); ++i) {
    NARTHEX_RETURN_IF_ERROR(alive.Pass(0));
    matched.right_group.push_back(group_of(matched.right.list[i]));
    matched.groups[matched.right_group.back()].right.push_back(i);
  }
  return matched;
}

/// At which steps any of `members` has a value.
absl::StatusOr<Mask> Presence(const Columns& columns,
                              const std::vector<std::size_t>& members,
                              std::size_t steps, AliveCheck& alive) {
  Mask mask(steps, 0);
  for (const std::size_t member : members) {
    const Column& column = columns.list[member];
    NARTHEX_RETURN_IF_ERROR(alive.Pass(steps));
    for (std::size_t i = 0; i < steps; ++i) {
      mask[i] |= IsPresent(column.values[i]);
    }
    for (std::size_t i = 0; i < column.histograms.size(); ++i) {
      mask[i] |= column.histograms[i] != nullptr;
    }
  }
  return mask;
}

/// Removes the values at steps where `mask` has not `wanted`.
void Restrict(const Mask& mask, std::uint8_t wanted, Column* column) {
  for (std::size_t i = 0; i < column->values.size(); ++i) {
    if (mask[i] != wanted) column->values[i] = Absent();
  }
  for (std::size_t i = 0; i < column->histograms.size(); ++i) {
    if (mask[i] != wanted) column->histograms[i] = nullptr;
  }
}

/// and, unless: the left side where the right has (not) a match.
absl::Status EvaluateFilter(Evaluation& evaluation, Matched& matched,
                            bool wanted, const StepGrid& grid,
                            ColumnSink sink) {
  AliveCheck alive(evaluation);
  std::vector<std::optional<Mask>> masks(matched.groups.size());
  for (std::size_t i = 0; i < matched.left.list.size(); ++i) {
    const std::size_t group = matched.left_group[i];
    if (!masks[group].has_value()) {
      NARTHEX_ASSIGN_OR_RETURN(
          masks[group], Presence(matched.right, matched.groups[group].right,
                                 grid.count, alive));
    }
    NARTHEX_RETURN_IF_ERROR(alive.Pass(grid.count));
    Column& column = matched.left.list[i];
    Restrict(*masks[group], wanted ? 1 : 0, &column);
    if (CountPresent(column) == 0) continue;
    NARTHEX_RETURN_IF_ERROR(sink(column));
  }
  return absl::OkStatus();
}

/// or: the left side, and of the right what has no match there.
absl::Status EvaluateOr(Evaluation& evaluation, Matched& matched,
                        const StepGrid& grid, ColumnSink sink) {
  AliveCheck alive(evaluation);
  std::vector<Mask> masks(matched.groups.size());
  for (std::size_t i = 0; i < matched.groups.size(); ++i) {
    NARTHEX_ASSIGN_OR_RETURN(
        masks[i],
        Presence(matched.left, matched.groups[i].left, grid.count, alive));
  }
  ColumnMerger merger;
  for (Column& column : matched.left.list) {
    NARTHEX_RETURN_IF_ERROR(alive.Pass(grid.count));
    NARTHEX_RETURN_IF_ERROR(merger.Add(column));
  }
  for (std::size_t i = 0; i < matched.right.list.size(); ++i) {
    NARTHEX_RETURN_IF_ERROR(alive.Pass(grid.count));
    Column& column = matched.right.list[i];
    Restrict(masks[matched.right_group[i]], 0, &column);
    if (CountPresent(column) == 0) continue;
    NARTHEX_RETURN_IF_ERROR(merger.Add(column));
  }
  for (Column& column : merger.columns()) {
    NARTHEX_RETURN_IF_ERROR(sink(column));
  }
  return absl::OkStatus();
}

/// Evaluates arithmetic and comparisons. One side is the "one": at each step at
/// most one of its series is in a group. The other is the "many", although
/// without group_left and group_right it, too, must be unique.
class Joiner {
 public:
  Joiner(Evaluation& evaluation, const BinaryExpr& binary,
         const std::vector<std::string>& sorted_labels, const StepGrid& grid,
         Matched& matched)
      : evaluation_(evaluation),
        alive_(evaluation),
        binary_(binary),
        matching_(*binary.matching),
        sorted_labels_(sorted_labels),
        steps_(grid.count),
        swapped_(matching_.cardinality ==
                 VectorMatching::Cardinality::kOneToMany),
        one_to_one_(matching_.cardinality ==
                    VectorMatching::Cardinality::kOneToOne),
        many_(swapped_ ? matched.right : matched.left),
        one_(swapped_ ? matched.left : matched.right),
        many_group_(swapped_ ? matched.right_group : matched.left_group),
        one_group_(swapped_ ? matched.left_group : matched.right_group),
        failed_step_(grid.count) {
    for (Group& group : matched.groups) {
      if (swapped_) std::swap(group.left, group.right);
      groups_.push_back({std::move(group.left), std::move(group.right), {}});
    }
  }

  absl::Status Join(ColumnSink sink) {
    for (const GroupState& group : groups_) {
      NARTHEX_RETURN_IF_ERROR(CheckOneSide(group));
      NARTHEX_RETURN_IF_ERROR(CheckManySide(group));
    }
    if (failed_step_ < steps_) return failure_;
    for (std::size_t i = 0; i < many_.list.size(); ++i) {
      NARTHEX_RETURN_IF_ERROR(JoinMany(i));
    }
    if (matching_.fill_left.has_value()) {
      for (std::size_t i = 0; i < one_.list.size(); ++i) {
        NARTHEX_RETURN_IF_ERROR(FillMany(i));
      }
    }
    for (const Note& note : notes_) {
      Annotate(note.note, binary_.op, note.left_is_histogram,
               note.right_is_histogram, binary_.position,
               &evaluation_.annotations());
    }
    for (Column& column : merger_.columns()) {
      if (CountPresent(column) == 0) continue;
      NARTHEX_RETURN_IF_ERROR(sink(column));
    }
    return absl::OkStatus();
  }

 private:
  /// The last thing to say about a step.
  struct Note {
    BinaryNote note = BinaryNote::kNone;
    bool left_is_histogram = false;
    bool right_is_histogram = false;
  };

  struct GroupState {
    std::vector<std::size_t> many;
    std::vector<std::size_t> one;
    /// With several of the many: where each result label set is taken.
    absl::flat_hash_map<model::Labels, Mask> taken;
  };

  static constexpr std::size_t kManySide = static_cast<std::size_t>(-1);

  /// Keeps the error of the earliest step; of one step that of the series of
  /// the "one" side that comes first, before those of the many.
  void Fail(std::size_t step, std::size_t position, absl::Status error) {
    if (step > failed_step_) return;
    if (step == failed_step_ && position >= failed_position_) return;
    failed_step_ = step;
    failed_position_ = position;
    failure_ = std::move(error);
  }

  /// Refuses two of the "one" side at one step.
  absl::Status CheckOneSide(const GroupState& group) {
    if (group.one.size() < 2) return absl::OkStatus();
    // A step at which the other side is empty altogether is not looked at.
    const bool always =
        matching_.fill_left.has_value() || matching_.fill_right.has_value();
    if (!always && any_many_.empty()) {
      std::vector<std::size_t> all(many_.list.size());
      for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
      NARTHEX_ASSIGN_OR_RETURN(any_many_, Presence(many_, all, steps_, alive_));
    }
    for (std::size_t step = 0; step < steps_; ++step) {
      if (!always && any_many_[step] == 0) continue;
      NARTHEX_RETURN_IF_ERROR(alive_.Pass(group.one.size()));
      const Column* found = nullptr;
      for (const std::size_t member : group.one) {
        const Column& column = one_.list[member];
        if (!column.Has(step)) continue;
        if (found != nullptr) {
          Fail(step, member, DuplicateError(*found, column));
          return absl::OkStatus();
        }
        found = &column;
      }
    }
    return absl::OkStatus();
  }

  absl::Status DuplicateError(const Column& first, const Column& second) const {
    std::string a = first.labels.ToString();
    std::string b = second.labels.ToString();
    if (a > b) std::swap(a, b);
    return absl::FailedPreconditionError(absl::StrCat(
        "found duplicate series for the match group ",
        Signature(matching_, sorted_labels_, second.labels).ToString(),
        " on the ", swapped_ ? "left" : "right",
        " hand-side of the operation: [", a, ", ", b,
        "];many-to-many matching not allowed: matching labels must be unique "
        "on one side"));
  }

  /// Without group_left and group_right, refuses two of the "many" side that
  /// find a match at one step.
  absl::Status CheckManySide(const GroupState& group) {
    if (!one_to_one_ || group.many.size() < 2) return absl::OkStatus();
    Mask partner(steps_, 1);
    if (!matching_.fill_right.has_value()) {
      NARTHEX_ASSIGN_OR_RETURN(partner,
                               Presence(one_, group.one, steps_, alive_));
    }
    const Mask one_is_histogram = Histograms(group.one);
    Mask seen(steps_, 0);
    for (const std::size_t member : group.many) {
      const Column& column = many_.list[member];
      NARTHEX_RETURN_IF_ERROR(alive_.Pass(steps_));
      for (std::size_t i = 0; i < steps_; ++i) {
        if (partner[i] == 0 || !column.Has(i)) continue;
        if (!IsDefined(binary_.op, column.HasHistogram(i),
                       one_is_histogram[i] != 0)) {
          continue;
        }
        if (seen[i] != 0) {
          Fail(i, kManySide,
               absl::FailedPreconditionError(
                   "multiple matches for labels: many-to-one matching must be "
                   "explicit (group_left/group_right)"));
          break;
        }
        seen[i] = 1;
      }
    }
    return absl::OkStatus();
  }

  /// At which steps any of the "one" side is a histogram.
  Mask Histograms(const std::vector<std::size_t>& members) const {
    Mask mask(steps_, 0);
    for (const std::size_t member : members) {
      const Column& column = one_.list[member];
      for (std::size_t i = 0; i < column.histograms.size(); ++i) {
        mask[i] |= column.histograms[i] != nullptr;
      }
    }
    return mask;
  }

  /// Joins one series of the many with its partners, or with the fill value.
  absl::Status JoinMany(std::size_t position) {
    const Column& many = many_.list[position];
    GroupState& group = groups_[many_group_[position]];
    NARTHEX_RETURN_IF_ERROR(alive_.Pass(steps_));
    for (const std::size_t member : group.one) {
      const Column& one = one_.list[member];
      NARTHEX_RETURN_IF_ERROR(alive_.Pass(steps_));
      NARTHEX_RETURN_IF_ERROR(Emit(group, many, one));
    }
    if (!matching_.fill_right.has_value()) return absl::OkStatus();
    Column fill;
    fill.labels = Signature(matching_, sorted_labels_, many.labels);
    fill.values.assign(steps_, *matching_.fill_right);
    NARTHEX_ASSIGN_OR_RETURN(const Mask present,
                             Presence(one_, group.one, steps_, alive_));
    Restrict(present, 0, &fill);
    return Emit(group, many, fill);
  }

  /// Joins one series of the "one" side with the fill value of the many.
  absl::Status FillMany(std::size_t position) {
    const Column& one = one_.list[position];
    GroupState& group = groups_[one_group_[position]];
    Column fill;
    fill.labels = Signature(matching_, sorted_labels_, one.labels);
    fill.values.assign(steps_, *matching_.fill_left);
    NARTHEX_RETURN_IF_ERROR(alive_.Pass(steps_));
    NARTHEX_ASSIGN_OR_RETURN(const Mask present,
                             Presence(many_, group.many, steps_, alive_));
    Restrict(present, 0, &fill);
    return Emit(group, fill, one);
  }

  absl::Status Emit(GroupState& group, const Column& many, const Column& one) {
    Mask both(steps_);
    for (std::size_t i = 0; i < steps_; ++i) {
      both[i] = IsPresent(many.values[i]) && IsPresent(one.values[i]);
    }
    const auto any = [](const Mask& mask) {
      return std::find(mask.begin(), mask.end(), 1) != mask.end();
    };
    const bool floats_only = !IsTrim(binary_.op) && many.histograms.empty() &&
                             one.histograms.empty();
    if (floats_only && !any(both)) return absl::OkStatus();
    Column column{ResultLabels(many.labels, one.labels), binary_.return_bool,
                  std::vector<double>(steps_, Absent())};
    const Column& left = swapped_ ? one : many;
    const Column& right = swapped_ ? many : one;
    Mask matched = both;
    if (!floats_only) {
      ComputeHistograms(left, right, &matched, &column);
      if (!any(matched)) return absl::OkStatus();
    }
    NARTHEX_RETURN_IF_ERROR(Take(group, column.labels, matched));
    if (!IsTrim(binary_.op)) {
      Compute(both, left.values, right.values, &column.values);
    }
    return merger_.Add(column);
  }

  /// Fills the steps at which a histogram takes part, and all of operators that
  /// are not defined for floats; corrects `*matched` there.
  void ComputeHistograms(const Column& left, const Column& right, Mask* matched,
                         Column* out) {
    for (std::size_t i = 0; i < steps_; ++i) {
      if (!left.Has(i) || !right.Has(i)) continue;
      const bool left_is = left.HasHistogram(i);
      const bool right_is = right.HasHistogram(i);
      if (!left_is && !right_is && !IsTrim(binary_.op)) continue;
      BinaryResult result = ComputeHistogram(
          binary_.op, {left.values[i], left_is ? &left.histograms[i] : nullptr},
          {right.values[i], right_is ? &right.histograms[i] : nullptr});
      if (result.note != BinaryNote::kNone) {
        notes_.resize(steps_);
        notes_[i] = {result.note, left_is, right_is};
      }
      (*matched)[i] = result.failed ? 0 : 1;
      if (result.failed) continue;
      if (binary_.return_bool) {
        out->values[i] = result.holds ? 1 : 0;
      } else if (result.holds) {
        out->SetHistogram(i, std::move(result.histogram));
      }
    }
  }

  /// Several of the many may not become one series at the same step, even when
  /// a comparison then drops them.
  absl::Status Take(GroupState& group, const model::Labels& labels,
                    const Mask& mask) const {
    if (one_to_one_ || group.many.size() < 2) return absl::OkStatus();
    const auto [it, is_new] = group.taken.try_emplace(labels, mask);
    if (is_new) return absl::OkStatus();
    for (std::size_t i = 0; i < steps_; ++i) {
      if (mask[i] != 0 && it->second[i] != 0) {
        return absl::FailedPreconditionError(
            "multiple matches for labels: grouping labels must ensure unique "
            "matches");
      }
      it->second[i] |= mask[i];
    }
    return absl::OkStatus();
  }

  void Compute(const Mask& both, const std::vector<double>& left,
               const std::vector<double>& right,
               std::vector<double>* out) const {
    VisitOperator(binary_.op, [&](const auto& apply) {
      using Result = decltype(apply(0.0, 0.0));
      for (std::size_t i = 0; i < steps_; ++i) {
        if (both[i] == 0) continue;
        const Result result = apply(left[i], right[i]);
        if constexpr (std::is_same_v<Result, bool>) {
          if (binary_.return_bool) {
            (*out)[i] = result ? 1 : 0;
          } else if (result) {
            (*out)[i] = left[i];
          }
        } else {
          (*out)[i] = result;
        }
      }
    });
  }

  model::Labels ResultLabels(const model::Labels& many,
                             const model::Labels& one) const {
    const bool drops_name =
        IsArithmetic(binary_.op) ||
        (binary_.return_bool && !evaluation_.settings().delayed_name_removal);
    model::Labels labels = drops_name ? WithoutMetadata(many) : many;
    if (one_to_one_) {
      if (matching_.on) {
        labels = labels.Of(sorted_labels_);
      } else if (!matching_.labels.empty()) {
        model::LabelsBuilder builder(labels);
        for (const std::string& name : matching_.labels) builder.Del(name);
        labels = builder.Build();
      }
    }
    if (matching_.include.empty()) return labels;
    model::LabelsBuilder builder(labels);
    for (const std::string& name : matching_.include) {
      builder.Set(name, one.Get(name));
    }
    return builder.Build();
  }

  Evaluation& evaluation_;
  AliveCheck alive_;
  const BinaryExpr& binary_;
  const VectorMatching& matching_;
  const std::vector<std::string>& sorted_labels_;
  const std::size_t steps_;
  const bool swapped_;
  const bool one_to_one_;
  Columns& many_;
  Columns& one_;
  std::vector<std::size_t>& many_group_;
  std::vector<std::size_t>& one_group_;
  std::vector<GroupState> groups_;
  Mask any_many_;
  std::size_t failed_step_;
  std::size_t failed_position_ = kManySide;
  absl::Status failure_;
  std::vector<Note> notes_;  // Of each step; empty without any.
  ColumnMerger merger_;
};

}  // namespace

absl::Status EvaluateMatched(Evaluation& evaluation, const BinaryExpr& binary,
                             const StepGrid& grid, ColumnSink sink) {
  std::vector<std::string> sorted_labels = binary.matching->labels;
  std::sort(sorted_labels.begin(), sorted_labels.end());
  NARTHEX_ASSIGN_OR_RETURN(Matched matched,
                           Match(evaluation, binary, sorted_labels, grid));
  switch (binary.op) {
    case BinaryOp::kAnd:
      return EvaluateFilter(evaluation, matched, true, grid, sink);
    case BinaryOp::kUnless:
      return EvaluateFilter(evaluation, matched, false, grid, sink);
    case BinaryOp::kOr:
      return EvaluateOr(evaluation, matched, grid, sink);
    default:
      return Joiner(evaluation, binary, sorted_labels, grid, matched)
          .Join(sink);
  }
}

}  // namespace narthex::promql
