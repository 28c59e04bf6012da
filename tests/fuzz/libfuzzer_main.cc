// Runs one target, that of the environment's NARTHEX_FUZZ_TARGET, under
// libFuzzer. With NARTHEX_FUZZ_SEEDS set, writes its seeds into that directory
// first; with NARTHEX_FUZZ_LIST set, prints the names of all targets and ends.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/fuzz/fuzz_target.h"

namespace narthex::fuzz {
namespace {

const Target& Chosen() {
  const char* name = std::getenv("NARTHEX_FUZZ_TARGET");
  for (const Target& target : Targets()) {
    if (name != nullptr && std::string(name) == target.name) return target;
  }
  std::fprintf(stderr, "NARTHEX_FUZZ_TARGET names no target\n");
  std::exit(2);
}

void WriteSeeds(const Target& target, const std::string& directory) {
  int number = 0;
  for (const std::string& seed : target.seeds()) {
    std::ofstream(absl::StrCat(directory, "/seed-", number++), std::ios::binary)
        << seed;
  }
}

}  // namespace
}  // namespace narthex::fuzz

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  if (std::getenv("NARTHEX_FUZZ_LIST") != nullptr) {
    for (const auto& target : narthex::fuzz::Targets()) {
      std::puts(target.name);
    }
    std::exit(0);
  }
  const auto& target = narthex::fuzz::Chosen();
  const char* directory = std::getenv("NARTHEX_FUZZ_SEEDS");
  if (directory != nullptr) narthex::fuzz::WriteSeeds(target, directory);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  static const auto& target = narthex::fuzz::Chosen();
  target.run({reinterpret_cast<const char*>(data), size});
  return 0;
}
