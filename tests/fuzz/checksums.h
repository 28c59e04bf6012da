#pragma once

#include <string>

namespace narthex::fuzz {

/// Makes the checksums of a damaged file right again, so that what is behind
/// them is reached: a segment of a write-ahead log, a block's index, a file of
/// tombstones. What does not look like one is left as it is.
void FixWalChecksums(std::string* segment);
void FixIndexChecksums(std::string* index);
void FixTombstonesChecksum(std::string* tombstones);

}  // namespace narthex::fuzz
