#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "libs/model/labels.h"
#include "libs/model/sample.h"

namespace narthex::promql {

/// Marks a step at which a series has no value. It is the staleness marker,
/// which no evaluation ever yields: it is dropped when samples are read, and
/// arithmetic turns it (a signalling NaN) into another one.
inline constexpr std::uint64_t kAbsentBits = model::kStaleNanBits;
inline double Absent() { return std::bit_cast<double>(kAbsentBits); }
inline bool IsAbsent(double value) {
  return std::bit_cast<std::uint64_t>(value) == kAbsentBits;
}
inline bool IsPresent(double value) { return !IsAbsent(value); }

/// One series of an instant vector over all steps of a grid: `values[i]` is its
/// value at step i, or Absent().
struct Column {
  model::Labels labels;
  /// With delayed name removal: the name goes at the end of the evaluation.
  bool drop_name = false;
  std::vector<double> values;
  /// Empty when no value is a histogram. Otherwise as long as `values`, with
  /// nulls where there is none. At the steps of histograms `values` is
  /// Absent(): what knows only floats passes them over.
  std::vector<model::HistogramPtr> histograms = {};

  bool HasHistogram(std::size_t step) const {
    return !histograms.empty() && histograms[step] != nullptr;
  }
  /// Whether there is a value at the step, of either kind.
  bool Has(std::size_t step) const {
    return IsPresent(values[step]) || HasHistogram(step);
  }
  bool HasHistograms() const;
  void SetHistogram(std::size_t step, model::HistogramPtr histogram);
  /// Makes the step like that of `other`.
  void Copy(const Column& other, std::size_t step);
  void Erase(std::size_t step);
};

std::size_t CountPresent(const std::vector<double>& values);
/// Of both kinds.
std::size_t CountPresent(const Column& column);
/// For how many samples the column counts: a histogram for as many floats with
/// times as fit into its memory.
std::size_t SizeInSamples(const Column& column);
std::size_t SizeInSamples(const model::FloatHistogram& histogram);
std::size_t SizeInSamples(const model::SampleColumns& samples);

/// Removes the histograms. False when the column had some and no floats.
bool DropHistograms(Column* column);

/// Receives the columns of a vector one by one. It may take the contents of the
/// column by moving them out; otherwise the producer uses the memory again.
using ColumnSink = absl::FunctionRef<absl::Status(Column& column)>;

/// The error for two series of one vector with equal labels.
absl::Status RepeatedLabelsError();

/// Collects columns by labels. Columns with equal labels become one, provided
/// that they have no step in common.
class ColumnMerger {
 public:
  /// The column of `labels`, made with no value at any of `steps` steps when
  /// it is new. The reference holds until the next call.
  Column& Get(const model::Labels& labels, bool drop_name, std::size_t steps);
  /// RepeatedLabelsError() when a column with these labels has a value at the
  /// same step.
  absl::Status Add(Column& column);

  /// In order of first appearance.
  std::vector<Column>& columns() { return columns_; }

 private:
  std::vector<Column> columns_;
  absl::flat_hash_map<model::Labels, std::size_t> index_;
};

/// Without the labels that name and describe a metric: __name__, __type__ and
/// __unit__.
model::Labels WithoutMetadata(const model::Labels& labels);
/// Whether __type__ or __unit__ are among the labels.
bool HasTypeOrUnit(const model::Labels& labels);

}  // namespace narthex::promql
