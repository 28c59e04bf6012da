#include "libs/base/duration.h"

#include <catch2/catch.hpp>

namespace narthex::base {

TEST_CASE("durations parse into milliseconds and print back") {
  const auto [text, ms] = GENERATE(table<const char*, std::int64_t>({
      {"0s", 0},
      {"1ms", 1},
      {"15s", 15'000},
      {"1m30s", 90'000},
      {"1h", 3'600'000},
      {"2d", 172'800'000},
      {"1w", 604'800'000},
      {"8d", 691'200'000},
      {"1y", 31'536'000'000},
      {"4d1h5m6s7ms", 349'506'007},
  }));
  CHECK(ParseDuration(text).value() == ms);
  CHECK(FormatDuration(ms) == text);
}

TEST_CASE("malformed durations are refused") {
  for (const char* text : {"", "1", "s", "1s1m", "1s1s", "-1s", "1.5s", "1 s",
                           "1x", "300000000000y"}) {
    INFO(text);
    CHECK_FALSE(ParseDuration(text).ok());
  }
  CHECK(ParseDuration("0").value() == 0);
}

TEST_CASE("Go durations print as Go prints them") {
  CHECK(FormatGoDuration(0) == "0s");
  CHECK(FormatGoDuration(1'500'000'000) == "1.5s");
  CHECK(FormatGoDuration(120'000'000'000) == "2m0s");
  CHECK(FormatGoDuration(3'600'000'000'000) == "1h0m0s");
  CHECK(FormatGoDuration(-1'500) == "-1.5µs");
}

TEST_CASE("sizes are powers of 1024 with a unit") {
  CHECK(ParseSize("512MB").value() == 512LL << 20);
  CHECK(ParseSize("0").value() == 0);
  CHECK_FALSE(ParseSize("512").ok());
  CHECK(ParseSize("10MiB").value() == 10LL << 20);
  CHECK(ParseSize("1.5MB").value() == 3LL << 19);
  CHECK(ParseSize(".5KB").value() == 512);
  CHECK(ParseSize("1.B").value() == 1);
  CHECK(ParseSize("1GB512MB").value() == 3LL << 29);
  for (const char* bad : {"", "9EB", "10mb", "10 MB", "10K", "10Ki", "1e3MB",
                          "16EiB", "1MiB1KB", ".B", "1.2.3B", "MB", "-1MB"}) {
    INFO(bad);
    CHECK_FALSE(ParseSize(bad).ok());
  }
}

TEST_CASE("RFC 3339 times round trip with milliseconds") {
  CHECK(FormatRfc3339(1'767'323'045'678) == "2026-01-02T03:04:05.678Z");
  CHECK(ParseRfc3339("2026-01-02T04:04:05.678+01:00").value() ==
        1'767'323'045'678);
  CHECK_FALSE(ParseRfc3339("yesterday").ok());
}

}  // namespace narthex::base
