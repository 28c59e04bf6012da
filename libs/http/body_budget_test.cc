#include "libs/http/body_budget.h"

#include <catch2/catch.hpp>
#include <vector>

#include "absl/strings/match.h"
#include "libs/http/content_encoding.h"
#include "libs/http/gzip.h"

namespace narthex::http {
namespace {
constexpr std::size_t kMib = 1 << 20;
}  // namespace

TEST_CASE("claims count while they last") {
  BodyBudget budget(100 * kMib);
  {
    BodyClaim claim(&budget);
    REQUIRE(claim.Cover(10 * kMib));
    REQUIRE(claim.Cover(5 * kMib));
    CHECK(budget.used_bytes() == 10 * kMib);
    const BodyClaim moved = std::move(claim);
    CHECK(budget.used_bytes() == 10 * kMib);
  }
  CHECK(budget.used_bytes() == 0);
  CHECK(budget.refused() == 0);
}

TEST_CASE("a body may take four times what it leaves") {
  BodyBudget budget(100 * kMib);
  BodyClaim claim(&budget);
  CHECK(claim.Cover(80 * kMib));
  CHECK_FALSE(claim.Cover(80 * kMib + 4));
  CHECK(budget.used_bytes() == 80 * kMib);
  CHECK(budget.refused() == 1);
  CHECK(claim.Refusal() ==
        absl::UnavailableError("no room for the body: all bodies under way "
                               "hold 83886080 of at most 104857600 bytes"));
}

TEST_CASE("however many bodies grow, smaller ones find room") {
  BodyBudget budget(100 * kMib);
  std::vector<BodyClaim> greedy;
  std::vector<std::string> buffers(20);
  for (std::size_t i = 0; i < buffers.size(); ++i) greedy.emplace_back(&budget);
  bool grows = true;
  for (std::size_t bytes = kMib / 2; grows; bytes += kMib / 2) {
    grows = false;
    for (std::size_t i = 0; i < buffers.size(); ++i) {
      grows |= greedy[i].Grow(bytes, &buffers[i]);
    }
  }
  CHECK(budget.used_bytes() <= budget.limit_bytes());
  BodyClaim ordinary(&budget);
  CHECK(ordinary.Cover(kMib));
  BodyClaim small(&budget);
  CHECK(small.Cover(BodyBudget::kFreeBytes));
}

TEST_CASE("a buffer counts twice while it is copied, and once afterwards") {
  BodyBudget budget(10 * kMib);
  BodyClaim claim(&budget);
  std::string buffer;
  REQUIRE(claim.Grow(2 * kMib, &buffer));
  CHECK(buffer.capacity() == 2 * kMib);
  CHECK(budget.used_bytes() == 2 * kMib);
  REQUIRE(claim.Grow(2 * kMib + 1, &buffer));
  CHECK(buffer.capacity() == 4 * kMib);
  CHECK(budget.used_bytes() == 4 * kMib);
  // 4 and 8 are more than there is.
  CHECK_FALSE(claim.Grow(4 * kMib + 1, &buffer));
  CHECK(buffer.capacity() == 4 * kMib);
}

TEST_CASE("without a limit, or a budget, nothing is refused") {
  BodyBudget unlimited(0);
  BodyClaim counted(&unlimited);
  CHECK(counted.Cover(std::size_t{1} << 40));
  CHECK(unlimited.used_bytes() == std::size_t{1} << 40);
  BodyClaim free;
  CHECK(free.Cover(std::size_t{1} << 60));
}

TEST_CASE("what a packed body holds is refused before it has the memory") {
  const std::string text(8 * kMib, 'x');
  std::string packed;
  GzipCompress(text, &packed);
  BodyBudget budget(4 * kMib);
  std::string content;
  {
    BodyClaim claim(&budget);
    const absl::Status status =
        DecodeContent("gzip", packed, 0, &content, &claim);
    CHECK(absl::IsUnavailable(status));
    CHECK(absl::StartsWith(status.message(), "no room for the body"));
    CHECK(content.capacity() <= 4 * kMib);
  }
  BodyClaim claim(&budget);
  CHECK(DecodeContent("gzip", packed, kMib, &content, &claim).message() ==
        "body size limit exceeded");
}

}  // namespace narthex::http
