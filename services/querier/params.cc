#include "services/querier/params.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/duration.h"
#include "libs/base/float_format.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/promql/parser.h"

namespace narthex::querier {
namespace {

// The largest range that clients use: what Prometheus's own client library
// sends for "all of time".
constexpr absl::string_view kMinTimeText = "-292273086-05-16T16:47:06Z";
constexpr absl::string_view kMaxTimeText =
    "292277025-08-18T07:12:54.999999999Z";
constexpr std::int64_t kMinTimeMs = -9223309901257974'000LL;
constexpr std::int64_t kMaxTimeMs = 9223309901257974'999LL;

// Go's strconv.Atoi, error texts included.
absl::StatusOr<std::int64_t> ParseInteger(absl::string_view text) {
  std::int64_t value = 0;
  if (absl::SimpleAtoi(text, &value) && !text.empty() &&
      !absl::ascii_isspace(static_cast<unsigned char>(text.front())) &&
      !absl::ascii_isspace(static_cast<unsigned char>(text.back()))) {
    return value;
  }
  absl::string_view digits = text;
  if (!digits.empty() && (digits[0] == '-' || digits[0] == '+')) {
    digits.remove_prefix(1);
  }
  const bool number =
      !digits.empty() && std::all_of(digits.begin(), digits.end(), [](char c) {
        return absl::ascii_isdigit(static_cast<unsigned char>(c));
      });
  return absl::InvalidArgumentError(
      absl::StrCat("strconv.Atoi: parsing ", base::Quote(text),
                   number ? ": value out of range" : ": invalid syntax"));
}

}  // namespace

absl::Status InvalidParam(absl::string_view name, absl::string_view message) {
  return absl::InvalidArgumentError(
      absl::StrCat("invalid parameter ", base::Quote(name), ": ", message));
}

absl::StatusOr<std::int64_t> ParseTime(absl::string_view text) {
  if (const auto seconds = base::ParseFloat(text); seconds.ok()) {
    if (!(std::abs(*seconds) <= 9.2e15)) {
      // Infinities and what no sample can have: the nearest storable time.
      return std::isnan(*seconds) || *seconds < 0 ? kMinTimeMs : kMaxTimeMs;
    }
    const double whole = std::trunc(*seconds);
    return static_cast<std::int64_t>(whole) * 1000 +
           static_cast<std::int64_t>(std::round((*seconds - whole) * 1000));
  }
  if (const auto time = base::ParseRfc3339(text); time.ok()) return *time;
  if (text == kMinTimeText) return kMinTimeMs;
  if (text == kMaxTimeText) return kMaxTimeMs;
  return absl::InvalidArgumentError(absl::StrCat(
      "cannot parse ", base::Quote(text), " to a valid timestamp"));
}

absl::StatusOr<std::int64_t> TimeParam(const http::Params& params,
                                       absl::string_view name,
                                       std::int64_t fallback_ms) {
  const absl::string_view text = params.Get(name);
  if (text.empty()) return fallback_ms;
  const auto time = ParseTime(text);
  if (time.ok()) return time;
  return InvalidParam(name, absl::StrCat("invalid time value for '", name,
                                         "': ", time.status().message()));
}

absl::StatusOr<std::int64_t> ParseDurationNs(absl::string_view text) {
  if (const auto seconds = base::ParseFloat(text); seconds.ok()) {
    const double ns = *seconds * 1e9;
    if (std::abs(ns) < 9223372036854775807.0) {
      return static_cast<std::int64_t>(ns);
    }
    return absl::InvalidArgumentError(
        absl::StrCat("cannot parse ", base::Quote(text),
                     " to a valid duration. It overflows int64"));
  }
  if (const auto ms = base::ParseDuration(text); ms.ok()) {
    return *ms * 1'000'000;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("cannot parse ", base::Quote(text), " to a valid duration"));
}

absl::StatusOr<std::size_t> LimitParam(const http::Params& params) {
  const absl::string_view text = params.Get("limit");
  if (text.empty()) return 0;
  const auto limit = ParseInteger(text);
  if (!limit.ok()) return InvalidParam("limit", limit.status().message());
  if (*limit < 0) return InvalidParam("limit", "limit must be non-negative");
  return static_cast<std::size_t>(*limit);
}

absl::StatusOr<std::int64_t> NumberParam(const http::Params& params,
                                         absl::string_view name,
                                         std::int64_t fallback) {
  const absl::string_view text = params.Get(name);
  if (text.empty()) return fallback;
  const auto number = ParseInteger(text);
  if (number.ok()) return number;
  return absl::InvalidArgumentError(absl::StrCat(name, " must be a number"));
}

absl::StatusOr<storage::TimeRange> RangeParams(const http::Params& params) {
  storage::TimeRange range;
  NARTHEX_ASSIGN_OR_RETURN(range.min_ms,
                           TimeParam(params, "start", kMinTimeMs));
  NARTHEX_ASSIGN_OR_RETURN(range.max_ms, TimeParam(params, "end", kMaxTimeMs));
  return range;
}

absl::StatusOr<MatcherSets> MatchParams(const http::Params& params) {
  MatcherSets sets;
  for (const std::string& text : params.GetAll("match[]")) {
    NARTHEX_ASSIGN_OR_RETURN(std::vector<model::Matcher> matchers,
                             promql::ParseMetricSelector(text));
    sets.push_back(std::move(matchers));
  }
  for (const std::vector<model::Matcher>& matchers : sets) {
    if (std::all_of(matchers.begin(), matchers.end(),
                    [](const model::Matcher& m) { return m.MatchesEmpty(); })) {
      return absl::InvalidArgumentError(
          "match[] must contain at least one non-empty matcher");
    }
  }
  return sets;
}

}  // namespace narthex::querier
