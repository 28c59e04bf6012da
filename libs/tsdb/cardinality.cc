#include "libs/tsdb/cardinality.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "libs/model/labels.h"
#include "libs/tsdb/label_index.h"

namespace narthex::tsdb {
namespace {

// New series wait no longer than these take.
constexpr std::size_t kPairsAtOnce = 1 << 14;

bool Before(const NamedCount& a, const NamedCount& b) {
  return a.count != b.count ? a.count > b.count : a.name < b.name;
}

// The largest of what is added, of equal ones the first by name.
class Largest {
 public:
  explicit Largest(std::size_t limit) : limit_(limit) {}

  // `name()` is only asked for when it may be among them.
  template <typename Name>
  void Add(std::uint64_t count, const Name& name) {
    const bool full = kept_.size() >= limit_;
    if (limit_ == 0 || (full && count < kept_.front().count)) return;
    kept_.push_back({name(), count});
    std::push_heap(kept_.begin(), kept_.end(), Before);
    if (!full) return;
    std::pop_heap(kept_.begin(), kept_.end(), Before);
    kept_.pop_back();
  }

  std::vector<NamedCount> Take() && {
    std::sort_heap(kept_.begin(), kept_.end(), Before);
    return std::move(kept_);
  }

 private:
  const std::size_t limit_;
  std::vector<NamedCount> kept_;  // A heap: the least of them is in front.
};

struct OfLabel {
  std::uint64_t values = 0;
  std::uint64_t bytes = 0;
};

}  // namespace

Cardinality CardinalityOf(const Head& head, std::size_t limit) {
  Cardinality result;
  Largest by_metric(limit);
  Largest by_pair(limit);
  absl::flat_hash_map<std::string, OfLabel> labels;
  const auto visit = [&](absl::string_view name, absl::string_view value,
                         std::uint64_t series) {
    OfLabel& label = labels[name];
    ++label.values;
    label.bytes += series * LabelIndex::EncodedBytes(name, value);
    if (name == model::kMetricName) {
      by_metric.Add(series, [&] { return std::string(value); });
    }
    by_pair.Add(series, [&] { return absl::StrCat(name, "=", value); });
  };
  bool more = true;
  for (std::size_t from = 0; more; from += kPairsAtOnce) {
    head.WithIndex([&](const LabelIndex& index) {
      result.series = index.series_count();
      result.label_pairs = index.pair_count();
      more = index.ForEachPair(from, from + kPairsAtOnce, visit);
    });
  }
  Largest values(limit);
  Largest bytes(limit);
  for (const auto& [name, label] : labels) {
    values.Add(label.values, [&name = name] { return name; });
    bytes.Add(label.bytes, [&name = name] { return name; });
  }
  result.series_by_metric = std::move(by_metric).Take();
  result.series_by_pair = std::move(by_pair).Take();
  result.values_by_label = std::move(values).Take();
  result.bytes_by_label = std::move(bytes).Take();
  result.chunks = static_cast<std::uint64_t>(head.chunk_count());
  if (!head.empty()) {
    result.min_ms = head.min_time();
    result.max_ms = head.max_time();
  }
  return result;
}

}  // namespace narthex::tsdb
