#include "libs/model/sample.h"

namespace narthex::model {
namespace {

// Appends rows [begin, end) of a column that is empty when it only holds
// defaults; `held` is the number of rows of the target.
template <typename T>
void AppendOptional(const std::vector<T>& from, std::size_t begin,
                    std::size_t end, std::size_t held, std::vector<T>* to) {
  if (from.empty() && to->empty()) return;
  to->resize(held);
  if (from.empty()) {
    to->resize(held + end - begin);
    return;
  }
  to->insert(to->end(), from.begin() + static_cast<std::ptrdiff_t>(begin),
             from.begin() + static_cast<std::ptrdiff_t>(end));
}

}  // namespace

void SampleColumns::AppendRange(const SampleColumns& from, std::size_t begin,
                                std::size_t end) {
  const std::size_t held = size();
  const auto first = static_cast<std::ptrdiff_t>(begin);
  const auto last = static_cast<std::ptrdiff_t>(end);
  timestamps_ms.insert(timestamps_ms.end(), from.timestamps_ms.begin() + first,
                       from.timestamps_ms.begin() + last);
  values.insert(values.end(), from.values.begin() + first,
                from.values.begin() + last);
  AppendOptional(from.histograms, begin, end, held, &histograms);
  AppendOptional(from.starts_ms, begin, end, held, &starts_ms);
}

void SampleColumns::Truncate(std::size_t count) {
  if (count >= size()) return;
  timestamps_ms.resize(count);
  values.resize(count);
  if (!histograms.empty()) histograms.resize(count);
  if (!starts_ms.empty()) starts_ms.resize(count);
}

const char* MetricTypeName(MetricType type) {
  switch (type) {
    case MetricType::kUnknown:
      return "unknown";
    case MetricType::kCounter:
      return "counter";
    case MetricType::kGauge:
      return "gauge";
    case MetricType::kHistogram:
      return "histogram";
    case MetricType::kGaugeHistogram:
      return "gaugehistogram";
    case MetricType::kSummary:
      return "summary";
    case MetricType::kInfo:
      return "info";
    case MetricType::kStateset:
      return "stateset";
  }
  return "unknown";
}

}  // namespace narthex::model
