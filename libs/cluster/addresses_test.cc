#include "libs/cluster/addresses.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <map>
#include <set>

namespace narthex::cluster {

TEST_CASE("address lists are a list or a DNS name") {
  CHECK(ParseAddressList("a:1, b:2")->fixed ==
        std::vector<std::string>{"a:1", "b:2"});
  CHECK(ParseAddressList("dns://ingester.local:9201")->dns_name ==
        "ingester.local:9201");
  for (const char* bad :
       {"", "a", "a:0", "a:b", ":1", "a:1,,b:2", "dns://x", "a:70000"}) {
    INFO(bad);
    CHECK_FALSE(ParseAddressList(bad).ok());
  }
}

TEST_CASE("a DNS name resolves to numeric addresses") {
  const auto addresses =
      ResolveAddresses(ParseAddressList("dns://localhost:9201").value());
  REQUIRE(addresses.ok());
  CHECK(std::find(addresses->begin(), addresses->end(), "127.0.0.1:9201") !=
        addresses->end());
}

TEST_CASE("hashes spread evenly and move only to a new address") {
  const std::vector<std::string> three = {"a:1", "b:1", "c:1"};
  const std::vector<std::string> four = {"a:1", "b:1", "c:1", "d:1"};
  std::map<std::string, int> share;
  for (std::uint64_t i = 0; i < 10000; ++i) {
    const std::uint64_t hash = i * 0x9e3779b97f4a7c15ULL;
    const std::string& before = three[Owners(three).OwnerOf(hash)];
    const std::string& after = four[Owners(four).OwnerOf(hash)];
    CHECK((before == after || after == "d:1"));
    std::array<std::size_t, 4> order{};
    Owners(four).OwnersOf(hash, absl::MakeSpan(order));
    CHECK(four[order[0]] == after);
    CHECK(std::set<std::size_t>(order.begin(), order.end()).size() == 4);
    // Of fewer the first; without one the others move up.
    std::array<std::size_t, 2> two{};
    Owners(four).OwnersOf(hash, absl::MakeSpan(two));
    CHECK((two[0] == order[0] && two[1] == order[1]));
    std::array<std::size_t, 3> without{};
    Owners(three).OwnersOf(hash, absl::MakeSpan(without));
    std::vector<std::size_t> expected(order.begin(), order.end());
    expected.erase(std::find(expected.begin(), expected.end(), 3));
    CHECK(std::equal(without.begin(), without.end(), expected.begin()));
    ++share[after];
  }
  for (const auto& [address, count] : share) {
    INFO(address << " " << count);
    CHECK(count > 2200);
    CHECK(count < 2800);
  }
}

}  // namespace narthex::cluster
