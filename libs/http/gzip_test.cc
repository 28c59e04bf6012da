#include "libs/http/gzip.h"

#include <catch2/catch.hpp>

namespace narthex::http {

TEST_CASE("what was compressed is found again") {
  for (const std::size_t size : {0, 1, 1000, 3'000'000}) {
    INFO(size);
    std::string data;
    for (std::size_t i = 0; i < size; ++i) {
      data.push_back(static_cast<char>('a' + i * i % 23));
    }
    std::string compressed;
    GzipCompress(data, &compressed);
    std::string found;
    REQUIRE(GzipDecompress(compressed, 0, &found).ok());
    CHECK(found == data);
  }
}

TEST_CASE("a stream compressed in pieces, or several members, are one text") {
  GzipStream stream;
  std::string compressed;
  stream.Add("hello ", false, &compressed);
  stream.Add("world", true, &compressed);
  GzipCompress("!", &compressed);
  std::string found;
  REQUIRE(GzipDecompress(compressed, 0, &found).ok());
  CHECK(found == "hello world!");
}

TEST_CASE("more than the limit is refused") {
  std::string compressed;
  GzipCompress(std::string(1'000'000, 'x'), &compressed);
  std::string found;
  CHECK(absl::IsResourceExhausted(GzipDecompress(compressed, 999'999, &found)));
  found.clear();
  CHECK(GzipDecompress(compressed, 1'000'000, &found).ok());
}

TEST_CASE("broken and cut streams are errors") {
  std::string compressed;
  GzipCompress("hello world", &compressed);
  std::string found;
  CHECK(absl::IsInvalidArgument(GzipDecompress("hello", 0, &found)));
  for (std::size_t cut = 0; cut < compressed.size(); ++cut) {
    INFO(cut);
    CHECK(absl::IsInvalidArgument(
        GzipDecompress({compressed.data(), cut}, 0, &found)));
  }
}

}  // namespace narthex::http
