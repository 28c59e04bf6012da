#include <algorithm>
#include <cctype>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "libs/base/status.h"
#include "libs/promql/eval_nodes.h"

namespace narthex::promql {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

/// The length of the run of digits, or of anything else, at the begin.
std::size_t RunLength(absl::string_view text) {
  std::size_t length = 1;
  while (length < text.size() && IsDigit(text[length]) == IsDigit(text[0])) {
    ++length;
  }
  return length;
}

absl::string_view WithoutLeadingZeros(absl::string_view digits) {
  while (digits.size() > 1 && digits[0] == '0') digits.remove_prefix(1);
  return digits;
}

int CompareNumbers(absl::string_view a, absl::string_view b) {
  a = WithoutLeadingZeros(a);
  b = WithoutLeadingZeros(b);
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  return a.compare(b);
}

/// Orders texts as people do: runs of digits by their number.
int CompareNaturally(absl::string_view a, absl::string_view b) {
  while (!a.empty() && !b.empty()) {
    const absl::string_view run_a = a.substr(0, RunLength(a));
    const absl::string_view run_b = b.substr(0, RunLength(b));
    const bool numbers = IsDigit(run_a[0]) && IsDigit(run_b[0]);
    const int order =
        numbers ? CompareNumbers(run_a, run_b) : run_a.compare(run_b);
    if (order != 0) return order;
    a.remove_prefix(run_a.size());
    b.remove_prefix(run_b.size());
  }
  if (a.empty() && b.empty()) return 0;
  return a.empty() ? -1 : 1;
}

/// The order of an instant vector; a range query orders by labels at its end.
template <typename Less>
absl::Status SortColumns(Evaluation& evaluation, const Call& call,
                         const StepGrid& grid, ColumnSink sink,
                         bool floats_only, const Less& less) {
  const auto pass = [&](Column& column) {
    return floats_only && !DropHistograms(&column) ? absl::OkStatus()
                                                   : sink(column);
  };
  if (evaluation.settings().step_ms != 0 && grid.count > 1) {
    evaluation.annotations().Warn(
        "sort is ineffective for range queries since results are always "
        "ordered by labels",
        call.position);
    return evaluation.Vector(*call.args[0], grid, pass);
  }
  NARTHEX_ASSIGN_OR_RETURN(Columns columns,
                           evaluation.Collect(*call.args[0], grid));
  std::stable_sort(columns.list.begin(), columns.list.end(), less);
  for (Column& column : columns.list) NARTHEX_RETURN_IF_ERROR(pass(column));
  return absl::OkStatus();
}

/// NaN goes last either way.
template <bool kDescending>
absl::Status SortByValue(Evaluation& evaluation, const Call& call,
                         const StepGrid& grid, ColumnSink sink) {
  return SortColumns(evaluation, call, grid, sink, true,
                     [](const Column& a, const Column& b) {
                       const double left = a.values[0];
                       const double right = b.values[0];
                       if (std::isnan(left)) return false;
                       if (std::isnan(right)) return true;
                       return kDescending ? left > right : left < right;
                     });
}

template <bool kDescending>
absl::Status SortByLabel(Evaluation& evaluation, const Call& call,
                         const StepGrid& grid, ColumnSink sink) {
  std::vector<absl::string_view> names;
  for (std::size_t i = 1; i < call.args.size(); ++i) {
    names.push_back(StringArgument(call, i));
  }
  return SortColumns(evaluation, call, grid, sink, false,
                     [&](const Column& a, const Column& b) {
                       for (const absl::string_view name : names) {
                         const int order = CompareNaturally(a.labels.Get(name),
                                                            b.labels.Get(name));
                         if (order != 0)
                           return kDescending ? order > 0 : order < 0;
                       }
                       const int order =
                           model::Labels::Compare(a.labels, b.labels);
                       return kDescending ? order > 0 : order < 0;
                     });
}

using Table = absl::flat_hash_map<absl::string_view, VectorFunction>;

}  // namespace

VectorFunction FindSortFunction(absl::string_view name) {
  static const Table* const kTable = new Table{
      {"sort", SortByValue<false>},
      {"sort_desc", SortByValue<true>},
      {"sort_by_label", SortByLabel<false>},
      {"sort_by_label_desc", SortByLabel<true>},
  };
  const auto it = kTable->find(name);
  return it == kTable->end() ? nullptr : it->second;
}

}  // namespace narthex::promql
