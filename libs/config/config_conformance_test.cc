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

bool IsRefusedByKind(const absl::Status& status) {
  return absl::StrContains(status.message(),
                           "_sd_configs: known to Prometheus, "
                           "not supported yet");
}

absl::Status Check(const std::string& path) {
  const auto config = Load(path);
  if (!config.ok()) return config.status();
  if (absl::StrContains(path, "agent_mode")) return CheckAgentMode(*config);
  return absl::OkStatus();
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
    if (absl::EndsWith(path, ".rules")) continue;
    const absl::Status status = Check(path);
    INFO(row[0] << ": " << row[2]);
    INFO(status);
    if (wanted_good && IsRefusedByKind(status)) {
      ++counts["good, refused for a discovery kind"];
    } else if (wanted_good) {
      CHECK(status.ok());
      ++counts[status.ok() ? "good" : "good but refused"];
    } else {
      CHECK_FALSE(status.ok());
      ++counts[IsRefusedByKind(status) ? "bad, refused for a discovery kind"
               : !status.ok()          ? "bad"
                                       : "bad but taken"];
    }
  }
  for (const auto& [what, count] : counts) WARN(what << ": " << count);
}

}  // namespace
}  // namespace narthex::config
