#pragma once

#include "libs/model/sample.h"

/// What is taken off the samples of a series before they are looked at.
namespace narthex::promql {

void DropStaleMarkers(model::SampleColumns* samples);

/// Drops all of histograms but their counts, sums and schemas, after the
/// buckets have told whether the counter began anew. What could not be added
/// with buckets cannot be added without.
void KeepCounts(model::SampleColumns* samples);

}  // namespace narthex::promql
