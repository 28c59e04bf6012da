#include "libs/service/memory_budget.h"

#include <sys/sysinfo.h>

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "libs/base/duration.h"
#include "libs/base/file.h"
#include "libs/base/status.h"

namespace narthex::service {
namespace {

constexpr double kAutomaticShare = 80;

// The number in a file of the control group; 0 for "max" and for no file.
std::uint64_t LimitIn(const std::string& path) {
  const auto text = base::ReadFile(path);
  std::uint64_t bytes = 0;
  if (!text.ok() ||
      !absl::SimpleAtoi(absl::StripAsciiWhitespace(*text), &bytes)) {
    return 0;
  }
  return bytes;
}

// The directory of this process in the unified hierarchy, "/" in a container.
std::string OwnGroup() {
  const auto text = base::ReadFile("/proc/self/cgroup");
  if (!text.ok()) return "/";
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    if (absl::ConsumePrefix(&line, "0::")) return std::string(line);
  }
  return "/";
}

// The tightest limit from this group up.
std::uint64_t GroupLimit() {
  std::uint64_t tightest = 0;
  const auto consider = [&tightest](std::uint64_t bytes) {
    if (bytes != 0)
      tightest = tightest == 0 ? bytes : std::min(tightest, bytes);
  };
  for (std::string group = OwnGroup();; group.resize(group.rfind('/'))) {
    consider(LimitIn(absl::StrCat("/sys/fs/cgroup", group, "/memory.max")));
    if (group.empty() || group == "/") break;
  }
  consider(LimitIn("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
  return tightest;
}

std::uint64_t ShareOf(double percent, std::uint64_t bytes) {
  return static_cast<std::uint64_t>(static_cast<double>(bytes) * percent / 100);
}

}  // namespace

MemoryBounds MemoryBounds::OfThisProcess() {
  MemoryBounds bounds;
  struct sysinfo info {};
  if (::sysinfo(&info) == 0) {
    bounds.machine_bytes =
        static_cast<std::uint64_t>(info.totalram) * info.mem_unit;
  }
  // The old hierarchy says no limit by a number beyond all machines.
  const std::uint64_t group = GroupLimit();
  if (group < bounds.machine_bytes) bounds.group_bytes = group;
  return bounds;
}

absl::StatusOr<std::uint64_t> MemoryBudget(absl::string_view text,
                                           const MemoryBounds& bounds) {
  if (text == "0") return 0;
  if (text == "auto") return ShareOf(kAutomaticShare, bounds.group_bytes);
  absl::string_view number = text;
  if (absl::ConsumeSuffix(&number, "%")) {
    double percent = 0;
    if (!absl::SimpleAtod(number, &percent) || !(percent > 0) ||
        percent > 100) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a share must be above 0% and at most 100%, got ", text));
    }
    return ShareOf(percent, bounds.group_bytes == 0 ? bounds.machine_bytes
                                                    : bounds.group_bytes);
  }
  NARTHEX_ASSIGN_OR_RETURN(const std::int64_t bytes, base::ParseSize(text));
  return static_cast<std::uint64_t>(bytes);
}

}  // namespace narthex::service
