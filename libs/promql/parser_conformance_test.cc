#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "libs/base/file.h"
#include "libs/promql/parser.h"
#include "re2/re2.h"

namespace narthex::promql {
namespace {

std::string SharedDirectory() {
  const char* const shared = std::getenv("NARTHEX_SHARED");
  return shared != nullptr ? shared : NARTHEX_SOURCE_DIR "/../shared";
}

// The queries of all eval lines of a test script.
std::vector<std::string> Queries(const std::string& script) {
  static const re2::RE2 kInstant(
      R"(^eval(?:_\w+)?\s+instant\s+(?:at\s+.+?)?\s+(.+)$)");
  static const re2::RE2 kRange(
      R"(^eval(?:_\w+)?\s+range\s+from\s+.+\s+to\s+.+\s+step\s+.+?\s+(.+)$)");
  std::vector<std::string> queries;
  for (absl::string_view line : absl::StrSplit(script, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    std::string query;
    const re2::StringPiece text(line.data(), line.size());
    if (re2::RE2::FullMatch(text, kRange, &query) ||
        re2::RE2::FullMatch(text, kInstant, &query)) {
      queries.push_back(query);
    }
  }
  return queries;
}

TEST_CASE("every query of Prometheus's own scripts parses and prints back") {
  const std::vector<std::string> files = base::Glob(
      absl::StrCat(SharedDirectory(), "/conformance/promql/testdata/*.test"));
  if (files.empty()) {
    WARN("skipped: no test scripts in " << SharedDirectory());
    return;
  }
  std::size_t queries = 0;
  for (const std::string& file : files) {
    const auto script = base::ReadFile(file);
    REQUIRE(script.ok());
    for (const std::string& query : Queries(*script)) {
      ++queries;
      INFO(file << ": " << query);
      const auto expr = Parse(query, ParserOptions::All());
      INFO(expr.status().ToString());
      REQUIRE(expr.ok());
      const std::string printed = (*expr)->String();
      const auto again = Parse(printed, ParserOptions::All());
      INFO(printed);
      REQUIRE(again.ok());
      CHECK((*again)->String() == printed);
      const auto pretty = Parse(Pretty(**expr), ParserOptions::All());
      REQUIRE(pretty.ok());
      CHECK((*pretty)->String() == printed);
      CHECK(Clone(**expr)->String() == printed);
    }
  }
  CHECK(queries > 2000);
}

}  // namespace
}  // namespace narthex::promql
