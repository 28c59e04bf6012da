#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/http/message.h"
#include "libs/model/matcher.h"
#include "libs/storage/storage.h"

/// Reading of the HTTP API's parameters. Errors are kInvalidArgument in
/// Prometheus's words.
namespace narthex::querier {

/// `invalid parameter "name": <message>`
absl::Status InvalidParam(absl::string_view name, absl::string_view message);

/// Unix seconds with decimals, or RFC 3339, into ms.
absl::StatusOr<std::int64_t> ParseTime(absl::string_view text);

/// The parameter `name`, or `fallback_ms` when absent.
absl::StatusOr<std::int64_t> TimeParam(const http::Params& params,
                                       absl::string_view name,
                                       std::int64_t fallback_ms);

/// Seconds with decimals, or a Prometheus duration, into ns.
absl::StatusOr<std::int64_t> ParseDurationNs(absl::string_view text);

/// `limit`; 0 means no limit.
absl::StatusOr<std::size_t> LimitParam(const http::Params& params);

/// A whole number, or `fallback`; the error says "<name> must be a number".
absl::StatusOr<std::int64_t> NumberParam(const http::Params& params,
                                         absl::string_view name,
                                         std::int64_t fallback);

/// `start` and `end`; without them, all of time.
absl::StatusOr<storage::TimeRange> RangeParams(const http::Params& params);

using MatcherSets = std::vector<std::vector<model::Matcher>>;

/// All `match[]`; none may match the empty label set.
absl::StatusOr<MatcherSets> MatchParams(const http::Params& params);

}  // namespace narthex::querier
