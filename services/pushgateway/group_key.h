#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace narthex::pushgateway {

/// Names and values sorted by name, names unique; values may be empty.
using LabelPairs = std::vector<std::pair<std::string, std::string>>;

/// Reads the grouping labels of a push from its path: what follows "/job/"
/// (or "/job@base64/"), escapes decoded, is the job and then names and values
/// in turn. "@base64" after a name (and `job_is_base64`) says that the value
/// is encoded. Labels may repeat, the last wins; `job` always is the first.
/// kInvalidArgument in the words of Pushgateway. With `utf8_names`, names may
/// be any UTF-8, written with the U__ escaping.
absl::StatusOr<LabelPairs> ParseGroupPath(absl::string_view path,
                                          bool job_is_base64, bool utf8_names);

/// One string for each set of labels, by which groups are found and stored.
std::string EncodeGroupKey(const LabelPairs& labels);
/// False when `key` is no such string.
bool DecodeGroupKey(absl::string_view key, LabelPairs* labels);

}  // namespace narthex::pushgateway
