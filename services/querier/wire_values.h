#pragma once

#include <google/protobuf/duration.pb.h>

#include <cstdint>
#include <string>

#include "libs/model/labels.h"

/// Readings of what messages carry.
namespace narthex::querier {

/// A label set from its bytes; empty when they are malformed, which only a
/// broken peer sends.
model::Labels LabelsOf(const std::string& encoded);

std::int64_t ToMs(const google::protobuf::Duration& duration);
double ToSeconds(const google::protobuf::Duration& duration);

}  // namespace narthex::querier
