#pragma once

#include <cstddef>
#include <cstdint>

#include "libs/model/histogram.h"

/// Making native histograms coarser, as they are scraped or received.
namespace narthex::model {

/// Merges buckets so that the schema becomes `schema`, which must not be finer
/// than it is. Buckets without observations are left out.
void ReduceResolution(std::int32_t schema, IntHistogram* histogram);

/// Makes `*value` coarser until its schema is at most `max_schema`; no change
/// with custom bounds.
void LimitSchema(std::int32_t max_schema, HistogramValue* value);

/// Makes `*value` coarser until its positive and negative buckets are at most
/// `limit`. False when that cannot be: the coarsest schema, or custom bounds,
/// still have more.
bool LimitBuckets(std::size_t limit, HistogramValue* value);

/// The finest schema whose buckets are at least by `factor` wider each; the
/// finest of all for 1 and less.
std::int32_t SchemaForFactor(double factor);

}  // namespace narthex::model
