#include "libs/base/file.h"

#include <catch2/catch.hpp>

namespace narthex::base {

TEST_CASE("a file is replaced as a whole and leaves nothing beside it") {
  const TemporaryDirectory dir;
  const std::string path = dir.path() + "/state";
  REQUIRE(WriteFileAtomically(path, "one").ok());
  REQUIRE(WriteFileAtomically(path, "two").ok());
  CHECK(ReadFile(path).value() == "two");
  CHECK(ListDirectory(dir.path()).value() == std::vector<std::string>{"state"});
  CHECK(MappedFile::Open(path)->data() == "two");
}

TEST_CASE("a missing file is kNotFound and names the path") {
  const absl::Status status = ReadFile("/nowhere/at/all").status();
  CHECK(absl::IsNotFound(status));
  CHECK(status.message().find("/nowhere/at/all") != absl::string_view::npos);
  CHECK_FALSE(MappedFile::Open("/nowhere").ok());
  CHECK_FALSE(WriteFileAtomically("/nowhere/x", "y").ok());
}

TEST_CASE("patterns list what matches, sorted") {
  const TemporaryDirectory dir;
  for (const char* name : {"/b.yml", "/a.yml", "/c.txt"}) {
    REQUIRE(WriteFileAtomically(dir.path() + name, "").ok());
  }
  CHECK(Glob(dir.path() + "/*.yml") ==
        std::vector<std::string>{dir.path() + "/a.yml", dir.path() + "/b.yml"});
  CHECK(Glob(dir.path() + "/*.json").empty());
}

}  // namespace narthex::base
