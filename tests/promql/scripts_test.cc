#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "libs/base/file.h"
#include "libs/promql/script.h"

namespace narthex::promql {
namespace {

TEST_CASE("our scripts give what they expect") {
  EngineOptions options;
  options.parser = ParserOptions::All();
  options.delayed_name_removal = true;
  options.use_start_timestamps = true;
  Engine engine(options, base::Clock::System());
  const std::vector<std::string> files =
      base::Glob(NARTHEX_SOURCE_DIR "/tests/promql/*.test");
  REQUIRE(!files.empty());
  for (const std::string& file : files) {
    INFO(file);
    const auto text = base::ReadFile(file);
    REQUIRE(text.ok());
    const auto script = Script::Parse(*text);
    INFO(script.status().ToString());
    REQUIRE(script.ok());
    const ScriptReport report = script->Run(engine);
    CHECK(report.passed > 0);
    for (const std::string& failure : report.failures) FAIL_CHECK(failure);
  }
}

}  // namespace
}  // namespace narthex::promql
