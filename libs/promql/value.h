#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libs/model/labels.h"
#include "libs/model/sample.h"
#include "libs/promql/ast.h"

namespace narthex::promql {

/// One element of an instant vector; its time is that of the whole vector.
struct VectorSample {
  model::Labels labels;
  double value = 0;
  /// When set, this is the value.
  model::HistogramPtr histogram = nullptr;
};

/// One series of a range vector or of the result of a range query.
struct MatrixSeries {
  model::Labels labels;
  model::SampleColumns samples;  // Ascending in time.
};

/// The result of a query. `type` says which members mean something.
struct Value {
  ValueType type = ValueType::kNone;
  std::int64_t timestamp_ms = 0;  // Of a scalar, string or vector.
  double scalar = 0;
  std::string text;
  std::vector<VectorSample> vector;  // In the order the query asked for.
  std::vector<MatrixSeries> matrix;  // Sorted by labels.
};

}  // namespace narthex::promql
