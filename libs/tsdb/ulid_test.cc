#include "libs/tsdb/ulid.h"

#include <catch2/catch.hpp>
#include <set>
#include <string>

namespace narthex::tsdb {
namespace {

TEST_CASE("a ULID is printed and parsed back the same") {
  for (const std::string text :
       {"01M8121FXH04GFGEFGGMTCN3ST", "00000000000000000000000000",
        "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "01BZJ9WJQPWHGNC2W4J9TA62KC"}) {
    const auto ulid = Ulid::Parse(text);
    REQUIRE(ulid.ok());
    CHECK(ulid->ToString() == text);
  }
}

TEST_CASE("a ULID tells when it was made") {
  CHECK(Ulid::New(1700006400123).time_ms() == 1700006400123);
  CHECK(Ulid::Parse("01BZJ9WJQPWHGNC2W4J9TA62KC")->time_ms() / 1000 ==
        1511369100);
}

TEST_CASE("ULIDs differ, and those made later sort later") {
  std::set<Ulid> ulids;
  for (int i = 0; i < 1000; ++i) ulids.insert(Ulid::New(5));
  CHECK(ulids.size() == 1000);
  CHECK(ulids.rbegin()->ToString() < Ulid::New(6).ToString());
}

TEST_CASE("what is no ULID is refused") {
  for (const std::string text :
       {"", "wal", "01M8121FXH04GFGEFGGMTCN3S", "01M8121FXH04GFGEFGGMTCN3STX",
        "81M8121FXH04GFGEFGGMTCN3ST", "01M8121FXH04GFGEFGGMTCN3SU",
        "01m8121fxh04gfgefggmtcn3st"}) {
    CHECK(absl::IsInvalidArgument(Ulid::Parse(text).status()));
  }
}

}  // namespace
}  // namespace narthex::tsdb
