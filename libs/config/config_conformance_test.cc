#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "libs/base/file.h"
#include "libs/config/config.h"

namespace narthex::config {
namespace {

std::string Root() {
  const char* shared = std::getenv("NARTHEX_SHARED");
  return std::string(shared != nullptr ? shared : NARTHEX_SHARED_DEFAULT) +
         "/conformance/config/";
}

TEST_CASE("configuration files are taken and refused as by Prometheus") {
  const auto expect = base::ReadFile(Root() + "EXPECT.tsv");
  if (!expect.ok()) {
    WARN("no conformance data: " << expect.status());
    return;
  }
  std::map<std::string, int> counts;
  for (const absl::string_view line : absl::StrSplit(*expect, '\n')) {
    const std::vector<std::string> row = absl::StrSplit(line, '\t');
    if (row.size() < 3 || !absl::StartsWith(row[0], "prometheus/")) continue;
    const std::string path = Root() + row[0];
    const bool wanted_good = row[1] == "good";
    // There is no mode without a query engine, in which less is allowed.
    if (absl::EndsWith(path, ".rules") ||
        absl::StrContains(path, "agent_mode")) {
      continue;
    }
    const absl::Status status = Load(path).status();
    INFO(row[0] << ": " << row[2]);
    INFO(status);
    CHECK(status.ok() == wanted_good);
    ++counts[wanted_good ? "good" : "bad"];
  }
  for (const auto& [what, count] : counts) WARN(what << ": " << count);
}

}  // namespace
}  // namespace narthex::config
