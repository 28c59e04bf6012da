#pragma once

#include <cstddef>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/promql/column.h"

namespace narthex::cluster {

/// Appends a column in the form that EvaluateResponse.columns documents.
void EncodeColumn(const promql::Column& column, std::string* out);

/// Reads columns of `steps` steps back, one after the other, into one column
/// whose memory is used again. The sink may move the contents out. kDataLoss
/// for malformed bytes, and the errors of the sink.
absl::Status DecodeColumns(absl::string_view bytes, std::size_t steps,
                           promql::ColumnSink sink);

}  // namespace narthex::cluster
