#include "tests/fuzz/fuzz_target.h"

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"

namespace narthex::fuzz {
namespace {

std::string SharedPath(absl::string_view name) {
  const char* shared = std::getenv("NARTHEX_SHARED");
  return absl::StrCat(shared == nullptr ? NARTHEX_SHARED_DEFAULT : shared,
                      "/conformance/", name);
}

}  // namespace

void Require(bool condition, absl::string_view what) {
  if (condition) return;
  std::fprintf(stderr, "broken: %s\n", std::string(what).c_str());
  std::abort();
}

std::string SharedFile(absl::string_view name) {
  auto content = base::ReadFile(SharedPath(name));
  return content.ok() ? *std::move(content) : "";
}

std::vector<std::string> SharedFiles(absl::string_view pattern,
                                     std::size_t max_bytes) {
  std::vector<std::string> contents;
  for (const std::string& path : base::Glob(SharedPath(pattern))) {
    auto content = base::ReadFile(path);
    if (content.ok() && content->size() <= max_bytes) {
      contents.push_back(*std::move(content));
    }
  }
  return contents;
}

}  // namespace narthex::fuzz
