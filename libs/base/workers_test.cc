#include "libs/base/workers.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <vector>

namespace narthex::base {

TEST_CASE("workers call a loop's body once for every number") {
  for (const std::size_t threads : {1, 2, 5}) {
    INFO(threads << " threads");
    Workers workers(threads);
    for (const std::size_t count : {0, 1, 3, 1000}) {
      std::vector<std::atomic<int>> calls(count);
      workers.Run(count, [&](std::size_t i, std::size_t worker) {
        if (worker < workers.count()) ++calls[i];
      });
      for (const auto& number : calls) REQUIRE(number == 1);
    }
  }
}

TEST_CASE("what a loop of workers wrote is seen by the next loop") {
  Workers workers(3);
  std::vector<int> values(100, 0);
  for (int round = 1; round <= 50; ++round) {
    workers.Run(values.size(),
                [&values](std::size_t i, std::size_t) { ++values[i]; });
  }
  CHECK(values == std::vector<int>(100, 50));
}

}  // namespace narthex::base
