#pragma once

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "libs/model/histogram.h"
#include "libs/model/labels.h"

namespace narthex::querier {

inline constexpr absl::string_view kProtobufContentType =
    "application/vnd.google.protobuf; "
    "proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// Whether an Accept header prefers the delimited protobuf format to text.
bool PrefersProtobuf(absl::string_view accept);

/// Writes samples as io.prometheus.client.MetricFamily messages, each after
/// its length. The caller keeps the samples of a metric together.
class FederationWriter {
 public:
  /// A float when `histogram` is null. `labels` are all those to be told.
  void Add(const model::Labels& labels, std::int64_t timestamp_ms, double value,
           const model::FloatHistogram* histogram);
  /// Everything written.
  std::string Take();

 private:
  void EndFamily();

  std::string out_;
  std::string name_;
  int type_ = -1;
  std::string metrics_;
};

}  // namespace narthex::querier
