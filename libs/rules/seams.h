#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/model/histogram.h"
#include "libs/model/labels.h"
#include "libs/promql/value.h"
#include "libs/storage/storage.h"

/// What rules need from outside, as callbacks; all are called from several
/// threads at once.
namespace narthex::rules {

/// Evaluates an expression at a time (Unix ms); a scalar comes as one sample
/// without labels. `origin` says who asks, for query logs.
using QueryFunction =
    std::function<absl::StatusOr<std::vector<promql::VectorSample>>(
        absl::string_view expression, std::int64_t time_ms,
        absl::string_view origin)>;

/// A sample that a rule yields. A staleness marker ends its series: no rule
/// will write it again soon.
struct ResultSample {
  model::Labels labels;
  std::int64_t timestamp_ms = 0;
  double value = 0;
  /// When set, this is the value.
  model::HistogramPtr histogram = nullptr;
};

/// Stores samples; returns when a query can see them. Rejections index into
/// the batch; an error says that none or not all were stored.
using AppendFunction =
    std::function<absl::StatusOr<std::vector<storage::Rejection>>(
        const std::vector<ResultSample>& batch)>;

/// An alert on its way to Alertmanagers.
struct OutgoingAlert {
  model::Labels labels;
  model::Labels annotations;
  std::int64_t starts_at_ms = 0;
  std::int64_t ends_at_ms = 0;
  std::string generator_url;
};

/// Queues alerts for sending and returns at once.
using NotifyFunction = std::function<void(std::vector<OutgoingAlert> alerts)>;

}  // namespace narthex::rules
