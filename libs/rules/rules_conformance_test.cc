#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "libs/base/file.h"
#include "libs/rules/rule_file.h"

namespace narthex::rules {
namespace {

// Lines of EXPECT.tsv: file, good or bad, reason.
std::vector<std::vector<std::string>> Expectations(const std::string& root) {
  const auto text = base::ReadFile(root + "EXPECT.tsv");
  if (!text.ok()) {
    WARN("no conformance data: " << text.status());
    return {};
  }
  std::vector<std::vector<std::string>> rows;
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    std::vector<std::string> columns = absl::StrSplit(line, '\t');
    if (columns.size() < 3) continue;
    const bool own = absl::StartsWith(columns[0], "rules/");
    const bool other = absl::StartsWith(columns[0], "promtool/") &&
                       absl::StartsWith(columns[2], "rule file");
    if (own || other) rows.push_back(columns);
  }
  return rows;
}

TEST_CASE("rule files load or are refused as the field expects") {
  const char* shared = std::getenv("NARTHEX_SHARED");
  const std::string root =
      std::string(shared != nullptr ? shared : NARTHEX_SHARED_DEFAULT) +
      "/conformance/config/";
  int passed = 0;
  int beyond = 0;
  for (const auto& row : Expectations(root)) {
    INFO(row[0] << ": " << row[2]);
    // Names are always judged as UTF-8 here.
    if (absl::StrContains(row[2], "legacy validation scheme")) {
      ++beyond;
      continue;
    }
    const auto options = absl::StrContains(row[2], "experimental")
                             ? promql::ParserOptions::All()
                             : promql::ParserOptions{};
    const auto file = LoadRuleFile(root + row[0], options);
    INFO("status: " << file.status());
    CHECK(file.ok() == (row[1] == "good"));
    if (file.ok() == (row[1] == "good")) ++passed;
  }
  WARN("rule files: " << passed << " passed, " << beyond
                      << " need the legacy validation scheme");
}

}  // namespace
}  // namespace narthex::rules
