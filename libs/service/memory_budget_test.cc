#include "libs/service/memory_budget.h"

#include <catch2/catch.hpp>

namespace narthex::service {

TEST_CASE("a memory budget is a size, a share or what the group gives") {
  const MemoryBounds machine{1000, 0};
  const MemoryBounds group{1000, 500};
  CHECK(MemoryBudget("0", machine).value() == 0);
  CHECK(MemoryBudget("8GB", machine).value() == std::uint64_t{8} << 30);
  CHECK(MemoryBudget("50%", machine).value() == 500);
  CHECK(MemoryBudget("50%", group).value() == 250);
  CHECK(MemoryBudget("auto", machine).value() == 0);
  CHECK(MemoryBudget("auto", group).value() == 400);
  for (const char* bad : {"", "8", "120%", "0%", "x%", "-1GB", "lots"}) {
    INFO(bad);
    CHECK_FALSE(MemoryBudget(bad, machine).ok());
  }
  CHECK(MemoryBounds::OfThisProcess().machine_bytes > 1 << 20);
}

}  // namespace narthex::service
