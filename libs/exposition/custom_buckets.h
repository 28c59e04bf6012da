#pragma once

#include <memory>

#include "libs/exposition/parser.h"

namespace narthex::exposition {

/// Makes native histograms with custom buckets (schema -53) of the classic
/// ones that `parser` gives. `keep_classic`: the classic series are given too,
/// before. A classic histogram that comes beside a native one, or whose counts
/// contradict each other, makes none.
std::unique_ptr<Parser> WithCustomBuckets(std::unique_ptr<Parser> parser,
                                          bool keep_classic);

}  // namespace narthex::exposition
