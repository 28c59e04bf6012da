#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace narthex::base {

/// Parses a Prometheus duration ("1h30m", "500ms", "0") into milliseconds.
/// Units y w d h m s ms, in that order, each at most once. kInvalidArgument
/// when malformed, empty or beyond 64 bits of nanoseconds, as upstream.
absl::StatusOr<std::int64_t> ParseDuration(absl::string_view text);

/// The shortest Prometheus form: 5400000 is "1h30m", 0 is "0s". Weeks and
/// years appear only when they divide exactly. Negative values get a "-".
std::string FormatDuration(std::int64_t ms);

/// Go's time.Duration text of `ns` nanoseconds: "1.5s", "2m0s", "1h0m0s".
std::string FormatGoDuration(std::int64_t ns);

/// Parses a size ("512MB", "1.5GiB", "1GB512MB"): numbers, each with one of
/// B KB MB GB TB PB EB, or all of the KiB style; powers of 1024 in both; into
/// bytes. A bare "0" is allowed. kInvalidArgument otherwise.
absl::StatusOr<std::int64_t> ParseSize(absl::string_view text);

/// RFC 3339 in UTC with up to nanosecond digits, as Go prints time.Time:
/// "2026-01-02T03:04:05.678Z".
std::string FormatRfc3339(std::int64_t ms);

/// Parses an RFC 3339 time with any offset into Unix milliseconds.
absl::StatusOr<std::int64_t> ParseRfc3339(absl::string_view text);

}  // namespace narthex::base
