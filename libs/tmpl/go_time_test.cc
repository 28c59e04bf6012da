#include "libs/tmpl/go_time.h"

#include <catch2/catch.hpp>
#include <string>

namespace narthex::tmpl {
namespace {

TEST_CASE("times print after Go layouts") {
  absl::TimeZone paris;
  REQUIRE(absl::LoadTimeZone("Europe/Paris", &paris));
  const Time time{absl::FromUnixMillis(1704096930120), paris};
  struct Row {
    const char* layout;
    const char* want;
  };
  const Row row = GENERATE(values<Row>({
      {"2006-01-02T15:04:05Z07:00", "2024-01-01T09:15:30+01:00"},
      {"Mon, 02 Jan 2006 15:04:05 MST", "Mon, 01 Jan 2024 09:15:30 CET"},
      {"Monday January _2 3:04PM 06", "Monday January  1 9:15AM 24"},
      {"15:04:05.000 -0700", "09:15:30.120 +0100"},
      {"15:04:05.999999999", "09:15:30.12"},
      {"002 1/2/2006 pm", "001 1/1/2024 am"},
      {"Month", "Month"},
  }));
  CAPTURE(row.layout);
  CHECK(FormatTime(time, row.layout) == row.want);
}

TEST_CASE("times are read after Go layouts and refused with a reason") {
  const auto time =
      ParseTime("2006-01-02T15:04:05Z07:00", "2024-02-29T12:00:00.5+02:00");
  REQUIRE(time.ok());
  CHECK(absl::ToUnixMillis(time->at) == 1709200800500);
  CHECK_FALSE(ParseTime("2006-01-02", "2023-02-29").ok());
  CHECK_FALSE(ParseTime("2006-01-02", "2023-02-2").ok());
  CHECK_FALSE(ParseTime("2006-01-02", "2023-02-02x").ok());
  CHECK(ParseTime("2006-01-02", "nope").status().message() ==
        "parsing time \"nope\" as \"2006-01-02\": cannot parse \"nope\" as "
        "\"2006\"");
}

}  // namespace
}  // namespace narthex::tmpl
