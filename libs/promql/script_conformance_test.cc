#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/file.h"
#include "libs/promql/script.h"

namespace narthex::promql {
namespace {

std::string SharedDirectory() {
  const char* const shared = std::getenv("NARTHEX_SHARED");
  return shared != nullptr ? shared : NARTHEX_SOURCE_DIR "/../shared";
}

TEST_CASE("Prometheus's own scripts give what they expect") {
  const std::vector<std::string> files = base::Glob(
      absl::StrCat(SharedDirectory(), "/conformance/promql/testdata/*.test"));
  if (files.empty()) {
    WARN("skipped: no test scripts in " << SharedDirectory());
    return;
  }
  EngineOptions options;
  options.max_samples = 10'000;
  options.parser = ParserOptions::All();
  options.delayed_name_removal = true;
  options.use_start_timestamps = true;
  Engine engine(options, base::Clock::System());
  std::string table;
  int passed = 0;
  for (const std::string& file : files) {
    const std::string name = file.substr(file.rfind('/') + 1);
    const auto text = base::ReadFile(file);
    REQUIRE(text.ok());
    const auto script = Script::Parse(*text);
    INFO(name << ": " << script.status().ToString());
    REQUIRE(script.ok());
    const ScriptReport report = script->Run(engine);
    passed += report.passed;
    absl::StrAppend(&table,
                    absl::StrFormat("%-28s %4d evals\n", name, report.passed));
    for (const std::string& failure : report.failures) {
      FAIL_CHECK(name << " " << failure);
    }
  }
  CHECK(files.size() >= 21);
  CHECK(passed >= 2214);
  WARN(table << passed << " evals pass");
}

}  // namespace
}  // namespace narthex::promql
