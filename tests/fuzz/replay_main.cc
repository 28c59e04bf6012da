// Runs the targets on their seeds and on mutations of these, the same every
// time: what a compiler without coverage feedback can do, quick enough for
// every build. An input that breaks a target is written to
// ./fuzz-crash-<target>; --input=FILE runs it again.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/file.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/mutator.h"

namespace narthex::fuzz {
namespace {

constexpr unsigned kMostSecondsAnInput = 20;

struct Options {
  int executions = 20000;
  unsigned seed = 1;
  std::string target;
  std::string input;
};

// What a signal handler needs; it can be told in no other way.
const std::string* current_input = nullptr;
char crash_path[256] = "fuzz-crash";

void WriteCrash(int signal) {
  const int fd = ::open(crash_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd >= 0 && current_input != nullptr) {
    const auto written =
        ::write(fd, current_input->data(), current_input->size());
    static_cast<void>(written);
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void RunInput(const Target& target, const std::string& input) {
  current_input = &input;
  ::alarm(kMostSecondsAnInput);
  target.run(input);
  ::alarm(0);
  current_input = nullptr;
}

void RunTarget(const Target& target, const Options& options) {
  std::snprintf(crash_path, sizeof(crash_path), "fuzz-crash-%s", target.name);
  if (!options.input.empty()) {
    RunInput(target, *base::ReadFile(options.input));
    return;
  }
  std::vector<std::string> seeds = target.seeds();
  for (const std::string& seed : seeds) RunInput(target, seed);
  const std::size_t count = seeds.size();
  seeds.emplace_back();
  Mutator mutator(std::move(seeds), options.seed);
  for (int i = 0; i < options.executions; ++i) RunInput(target, mutator.Next());
  std::printf("%s: %zu seeds, %d mutations\n", target.name, count,
              options.executions);
}

int Main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    absl::string_view argument = argv[i];
    if (absl::ConsumePrefix(&argument, "--executions=")) {
      if (!absl::SimpleAtoi(argument, &options.executions)) return 2;
    } else if (absl::ConsumePrefix(&argument, "--seed=")) {
      if (!absl::SimpleAtoi(argument, &options.seed)) return 2;
    } else if (absl::ConsumePrefix(&argument, "--target=")) {
      options.target = std::string(argument);
    } else if (absl::ConsumePrefix(&argument, "--input=")) {
      options.input = std::string(argument);
    } else {
      std::fprintf(stderr,
                   "usage: %s [--executions=N] [--seed=N] [--target=NAME] "
                   "[--input=FILE]\n",
                   argv[0]);
      return 2;
    }
  }
  for (const int signal : {SIGSEGV, SIGABRT, SIGFPE, SIGBUS, SIGALRM}) {
    std::signal(signal, WriteCrash);
  }
  for (const Target& target : Targets()) {
    if (options.target.empty() || options.target == target.name) {
      RunTarget(target, options);
    }
  }
  return 0;
}

}  // namespace
}  // namespace narthex::fuzz

int main(int argc, char** argv) { return narthex::fuzz::Main(argc, argv); }
