#include "services/alertmanager/time_interval.h"

#include <catch2/catch.hpp>

#include "libs/base/duration.h"

namespace narthex::alertmanager {
namespace {

absl::StatusOr<TimeInterval> Parse(const std::string& text) {
  const auto document = yaml::Document::Parse(text, "t.yml");
  if (!document.ok()) return document.status();
  TimeInterval interval;
  const absl::Status status = Decode(document->root(), &interval);
  if (!status.ok()) return status;
  return interval;
}

TEST_CASE("an interval holds the moments that all its lists allow") {
  struct Row {
    const char* interval;
    const char* time;
    bool holds;
  };
  const Row rows[] = {
      {"{}", "2026-11-22T10:00:00Z", true},
      {"times: [{start_time: '09:00', end_time: '17:00'}]",
       "2026-11-22T09:00:00Z", true},
      {"times: [{start_time: '09:00', end_time: '17:00'}]",
       "2026-11-22T17:00:00Z", false},
      {"times: [{start_time: '23:00', end_time: '24:00'}]",
       "2026-11-22T23:59:59Z", true},
      {"weekdays: ['monday:friday']", "2026-11-22T10:00:00Z", false},
      {"weekdays: ['Saturday', sunday]", "2026-11-22T10:00:00Z", true},
      {"days_of_month: ['-1']", "2024-02-29T10:00:00Z", true},
      {"days_of_month: ['-1']", "2024-02-28T10:00:00Z", false},
      {"days_of_month: ['30:31']", "2023-02-28T10:00:00Z", false},
      {"days_of_month: ['28:31']", "2023-02-28T10:00:00Z", true},
      {"days_of_month: ['-31:-28']", "2023-02-01T10:00:00Z", true},
      {"days_of_month: ['5:-5']", "2023-02-24T10:00:00Z", true},
      {"days_of_month: ['5:-5']", "2023-02-25T10:00:00Z", false},
      {"months: ['january:march', '11']", "2026-11-22T10:00:00Z", true},
      {"months: [december]", "2026-11-22T10:00:00Z", false},
      {"years: ['2020:2026']", "2026-11-22T10:00:00Z", true},
      {"years: ['1999']", "2026-11-22T10:00:00Z", false},
      // Summer time ends in Berlin on 2026-10-25.
      {"{times: [{start_time: '09:00', end_time: '10:00'}],"
       " location: Europe/Berlin}",
       "2026-10-24T07:30:00Z", true},
      {"{times: [{start_time: '09:00', end_time: '10:00'}],"
       " location: Europe/Berlin}",
       "2026-10-26T08:30:00Z", true},
      {"{times: [{start_time: '09:00', end_time: '10:00'}],"
       " location: Europe/Berlin}",
       "2026-10-26T07:30:00Z", false},
  };
  for (const Row& row : rows) {
    INFO(row.interval << " at " << row.time);
    const auto interval = Parse(row.interval);
    REQUIRE(interval.ok());
    CHECK(interval->Contains(*base::ParseRfc3339(row.time)) == row.holds);
  }
}

TEST_CASE("malformed intervals are refused") {
  for (const char* text : {
           "times: [{start_time: '09:00'}]",
           "times: [{start_time: '17:00', end_time: '09:00'}]",
           "times: [{start_time: '9:00', end_time: '10:00'}]",
           "times: [{start_time: '09:00', end_time: '24:01'}]",
           "weekdays: [someday]",
           "weekdays: ['friday:monday']",
           "days_of_month: ['0']",
           "days_of_month: ['32']",
           "days_of_month: ['-1:5']",
           "months: ['13']",
           "months: ['may:april']",
           "years: ['2026:2020']",
           "location: Mars/Olympus",
           "weeks: [1]",
       }) {
    INFO(text);
    CHECK(absl::IsInvalidArgument(Parse(text).status()));
  }
}

}  // namespace
}  // namespace narthex::alertmanager
