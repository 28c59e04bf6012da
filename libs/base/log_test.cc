#include "libs/base/log.h"

#include <catch2/catch.hpp>

namespace narthex::base {

TEST_CASE("a log line carries level, message and fields as logfmt") {
  std::string lines;
  const Logger log = Logger::ToString(&lines).With({{"job", "api"}});
  log.Warn("scrape failed", {{"err", "say \"no\""}, {"tries", 3}});
  CHECK(lines.find("level=warn msg=\"scrape failed\" job=api "
                   "err=\"say \\\"no\\\"\" tries=3\n") != std::string::npos);
}

TEST_CASE("unknown log levels and formats are refused by name") {
  CHECK(ParseLogLevel("error").value() == LogLevel::kError);
  CHECK(ParseLogLevel("loud").status().message().find("loud") !=
        absl::string_view::npos);
  CHECK(ParseLogFormat("json").value() == LogFormat::kJson);
  CHECK_FALSE(ParseLogFormat("xml").ok());
}

}  // namespace narthex::base
