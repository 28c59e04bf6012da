#include <algorithm>
#include <utility>

#include "libs/base/status.h"
#include "libs/promql/eval_nodes.h"

namespace narthex::promql {
namespace {

/// Maps a series with several mappers, into one column that has the values of
/// the first for all steps, then those of the second, and so on.
class JointMapper : public SeriesMapper {
 public:
  JointMapper(std::vector<std::unique_ptr<SeriesMapper>> mappers,
              std::size_t steps, Tally* tally)
      : mappers_(std::move(mappers)), steps_(steps), tally_(tally) {}

  absl::StatusOr<bool> Map(model::Labels& labels, model::SampleColumns& samples,
                           Column* out) override {
    out->values.assign(mappers_.size() * steps_, Absent());
    out->histograms.clear();
    const std::int64_t read_before = tally_->stats.read;
    std::int64_t read = 0;
    bool any = false;
    for (std::size_t i = 0; i < mappers_.size(); ++i) {
      const bool last = i + 1 == mappers_.size();
      if (!last) {
        labels_ = labels;
        samples_ = samples;
      }
      NARTHEX_ASSIGN_OR_RETURN(
          const bool kept, mappers_[i]->Map(last ? labels : labels_,
                                            last ? samples : samples_, &part_));
      read = std::max(read, tally_->stats.read - read_before);
      tally_->stats.read = read_before;
      if (!kept) continue;
      any = true;
      Append(i * steps_, out);
    }
    // What several looked at was read once.
    tally_->stats.read = read_before + read;
    return any;
  }

 private:
  void Append(std::size_t at, Column* out) {
    const auto offset = static_cast<std::ptrdiff_t>(at);
    std::copy(part_.values.begin(), part_.values.end(),
              out->values.begin() + offset);
    if (!part_.histograms.empty()) {
      out->histograms.resize(out->values.size());
      std::move(part_.histograms.begin(), part_.histograms.end(),
                out->histograms.begin() + offset);
    }
    std::swap(out->labels, part_.labels);
    out->drop_name = part_.drop_name;
  }

  const std::vector<std::unique_ptr<SeriesMapper>> mappers_;
  const std::size_t steps_;
  Tally* const tally_;
  model::Labels labels_;
  model::SampleColumns samples_;
  Column part_;
};

/// Reads all that any of them reads, and maps it for each.
SeriesReading Join(const std::vector<SeriesReading>& all) {
  SeriesReading joint = all.front();
  for (const SeriesReading& one : all) {
    SelectorReading& reading = joint.reading;
    reading.range.min_ms =
        std::min(reading.range.min_ms, one.reading.range.min_ms);
    reading.range.max_ms =
        std::max(reading.range.max_ms, one.reading.range.max_ms);
    reading.range_ms = std::max(reading.range_ms, one.reading.range_ms);
    reading.newest_only = reading.newest_only && one.reading.newest_only;
  }
  joint.reading.steps = all.size() * joint.grid.count;
  joint.new_mapper = [&all](Tally* tally) {
    std::vector<std::unique_ptr<SeriesMapper>> mappers;
    mappers.reserve(all.size());
    for (const SeriesReading& one : all) {
      mappers.push_back(one.new_mapper(tally));
    }
    return std::make_unique<JointMapper>(std::move(mappers),
                                         all.front().grid.count, tally);
  };
  return joint;
}

/// What mapper `index` has made of the series of a joint column.
Column PartOf(const Column& joint, std::size_t index, std::size_t steps) {
  const auto begin = static_cast<std::ptrdiff_t>(index * steps);
  const auto end = begin + static_cast<std::ptrdiff_t>(steps);
  Column part;
  part.labels = joint.labels;
  part.drop_name = joint.drop_name;
  part.values.assign(joint.values.begin() + begin, joint.values.begin() + end);
  if (!joint.histograms.empty()) {
    part.histograms.assign(joint.histograms.begin() + begin,
                           joint.histograms.begin() + end);
    if (!part.HasHistograms()) part.histograms.clear();
  }
  return part;
}

absl::StatusOr<SeriesReading> ReadingOf(Evaluation& evaluation,
                                        const SharedReads::Member& member,
                                        const StepGrid& grid) {
  if (member.node->kind == ExprKind::kCall) {
    return ReadingOfCall(evaluation, member.node->As<Call>(), member.range_arg,
                         grid);
  }
  return ReadingOfSelector(evaluation, *member.selector, grid);
}

}  // namespace

absl::Status Evaluation::Map(const SeriesReading& reading, ColumnSink sink) {
  if (const auto it = held_.find(reading.selector); it != held_.end()) {
    const std::unique_ptr<HeldColumns> held = std::move(it->second);
    held_.erase(it);
    if (held->grid == reading.grid) return TakeHeld(*held, sink);
    return MapAlone(reading, sink);
  }
  const SharedReads::Group* const group =
      shared_reads_.has_value() ? shared_reads_->Find(*reading.selector)
                                : nullptr;
  if (group == nullptr || group->front().selector != reading.selector) {
    return MapAlone(reading, sink);
  }
  return MapTogether(reading, *group, sink);
}

absl::Status Evaluation::MapTogether(const SeriesReading& own,
                                     const SharedReads::Group& group,
                                     ColumnSink sink) {
  const std::size_t steps = own.grid.count;
  std::vector<SeriesReading> all = {own};
  std::vector<std::unique_ptr<HeldColumns>> held;
  for (std::size_t i = 1; i < group.size(); ++i) {
    NARTHEX_ASSIGN_OR_RETURN(SeriesReading reading,
                             ReadingOf(*this, group[i], own.grid));
    all.push_back(std::move(reading));
    held.push_back(std::make_unique<HeldColumns>(
        HeldColumns{&group[i],
                    &group.front(),
                    own.grid,
                    {{}, SampleReservation(&budget_)}}));
  }
  // Nobody keeps the joint column, which has room for more than one.
  const auto split = [&](Column& joint) -> absl::Status {
    for (std::size_t i = 1; i < group.size(); ++i) {
      Column part = PartOf(joint, i, steps);
      if (CountPresent(part) == 0) continue;
      NARTHEX_RETURN_IF_ERROR(held[i - 1]->columns.reservation.Add(part));
      held[i - 1]->columns.list.push_back(std::move(part));
    }
    Column first = PartOf(joint, 0, steps);
    return CountPresent(first) == 0 ? absl::OkStatus() : sink(first);
  };
  NARTHEX_RETURN_IF_ERROR(MapAlone(Join(all), split));
  for (std::size_t i = 1; i < group.size(); ++i) {
    held_[group[i].selector] = std::move(held[i - 1]);
  }
  return absl::OkStatus();
}

absl::Status Evaluation::TakeHeld(HeldColumns& held, ColumnSink sink) {
  if (node_traces_.has_value()) {
    NodeTrace* const trace = node_traces_->Find(*held.member->node);
    const NodeTrace* const other = node_traces_->Find(*held.read_with->node);
    if (trace != nullptr && other != nullptr) trace->same_as = other->node;
  }
  for (Column& column : held.columns.list) {
    held.columns.reservation.Remove(column);
    NARTHEX_RETURN_IF_ERROR(sink(column));
  }
  return absl::OkStatus();
}

}  // namespace narthex::promql
