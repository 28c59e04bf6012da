// Loads ../shared/conformance/config/alertmanager as EXPECT.tsv says.
#include <catch2/catch.hpp>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "libs/base/file.h"
#include "services/alertmanager/config.h"

namespace narthex::alertmanager {
namespace {

constexpr char kNotYet[] = "known to Alertmanager, not supported yet";

TEST_CASE("good files load, or are refused only for what is not there yet") {
  const char* given = std::getenv("NARTHEX_SHARED");
  const std::string shared = given != nullptr ? given : NARTHEX_SHARED_DEFAULT;
  const std::string directory = shared + "/conformance/config/";
  const auto expect = base::ReadFile(directory + "EXPECT.tsv");
  if (!expect.ok()) {
    WARN("skipped: no " << directory << "EXPECT.tsv");
    return;
  }
  int loaded = 0;
  int not_yet = 0;
  int refused = 0;
  for (const absl::string_view line : absl::StrSplit(*expect, '\n')) {
    const std::vector<std::string> fields = absl::StrSplit(line, '\t');
    if (fields.size() < 2 || !absl::StartsWith(fields[0], "alertmanager/")) {
      continue;
    }
    const auto config = LoadConfig(directory + fields[0], ConfigOptions());
    INFO(fields[0] << ": " << fields[2] << ": " << config.status().ToString());
    if (fields[1] == "good") {
      const bool unsupported =
          absl::IsUnimplemented(config.status()) &&
          absl::StrContains(config.status().message(), kNotYet);
      CHECK((config.ok() || unsupported));
      ++(config.ok() ? loaded : not_yet);
    } else {
      CHECK(absl::IsInvalidArgument(config.status()));
      CHECK(absl::StrContains(config.status().message(), ": line "));
      ++refused;
    }
  }
  WARN(loaded << " good files loaded, " << not_yet
              << " refused as not supported yet, " << refused
              << " bad ones refused");
  CHECK(loaded + not_yet == 20);
  CHECK(refused == 26);
}

}  // namespace
}  // namespace narthex::alertmanager
