#include "services/scraper/start_zeros.h"

#include <memory>
#include <utility>

namespace narthex::scraper {
namespace {

// So that the samples that follow need no other chunk.
template <typename Histogram>
std::shared_ptr<const Histogram> ZeroLike(const Histogram& value) {
  auto zero = std::make_shared<Histogram>();
  const bool gauge = value.counter_reset == model::CounterReset::kGauge;
  zero->counter_reset =
      gauge ? model::CounterReset::kGauge : model::CounterReset::kReset;
  zero->schema = value.schema;
  zero->zero_threshold = value.zero_threshold;
  zero->custom_bounds = value.custom_bounds;
  return zero;
}

}  // namespace

bool StartZeros::IsNew(std::uint32_t ref, std::int64_t start_ms,
                       std::int64_t timestamp_ms) {
  if (ref == 0 || start_ms == 0 || start_ms >= timestamp_ms) return false;
  std::int64_t& known = known_[ref];
  return std::exchange(known, start_ms) != start_ms;
}

void StartZeros::Note(std::uint32_t ref, std::int64_t start_ms,
                      std::int64_t timestamp_ms, cluster::PushBatch* zeros) {
  if (!IsNew(ref, start_ms, timestamp_ms)) return;
  zeros->samples.push_back({ref, start_ms, 0});
}

void StartZeros::Note(std::uint32_t ref, std::int64_t start_ms,
                      std::int64_t timestamp_ms,
                      const model::HistogramValue& value,
                      cluster::PushBatch* zeros) {
  if (!IsNew(ref, start_ms, timestamp_ms)) return;
  model::HistogramValue zero;
  if (value.integer != nullptr) {
    zero.integer = ZeroLike(*value.integer);
  } else {
    zero.floating = ZeroLike(*value.floating);
  }
  zeros->histograms.push_back({ref, start_ms, std::move(zero)});
}

}  // namespace narthex::scraper
