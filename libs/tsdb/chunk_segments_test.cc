#include "libs/tsdb/chunk_segments.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/file.h"

namespace narthex::tsdb {
namespace {

TEST_CASE("chunks are found again by reference, over several segments") {
  const base::TemporaryDirectory directory;
  const std::string path = directory.path() + "/chunks";
  auto writer = ChunkSegmentWriter::Create(path, /*segment_bytes=*/100);
  REQUIRE(writer.ok());
  std::vector<std::pair<std::uint64_t, std::string>> written;
  for (int i = 0; i < 50; ++i) {
    const std::string bytes(static_cast<std::size_t>(i * 3), 'x');
    const auto ref = (*writer)->Write(storage::Encoding::kXor, bytes);
    REQUIRE(ref.ok());
    written.emplace_back(*ref, bytes);
  }
  REQUIRE((*writer)->Finish().ok());
  CHECK(base::ListDirectory(path)->front() == "000001");
  CHECK(base::ListDirectory(path)->size() > 10);

  const auto reader = ChunkSegmentReader::Open(path);
  REQUIRE(reader.ok());
  CHECK((*reader)->size_bytes() == (*writer)->bytes_written());
  for (const auto& [ref, bytes] : written) {
    const auto view = (*reader)->Read(ref);
    REQUIRE(view.ok());
    CHECK(view->encoding == storage::Encoding::kXor);
    CHECK(view->bytes == bytes);
  }
}

TEST_CASE("a block without chunks has no segments") {
  const base::TemporaryDirectory directory;
  auto writer = ChunkSegmentWriter::Create(directory.path() + "/chunks");
  REQUIRE(writer.ok());
  REQUIRE((*writer)->Finish().ok());
  const auto reader = ChunkSegmentReader::Open(directory.path() + "/chunks");
  REQUIRE(reader.ok());
  CHECK(absl::IsDataLoss((*reader)->Read(8).status()));
}

TEST_CASE("a damaged segment gives errors that name file and offset") {
  const base::TemporaryDirectory directory;
  auto writer = ChunkSegmentWriter::Create(directory.path());
  REQUIRE(writer.ok());
  const auto ref = (*writer)->Write(storage::Encoding::kXor, "0123456789");
  REQUIRE((*writer)->Finish().ok());
  const std::string path = directory.path() + "/000001";
  const std::string whole = *base::ReadFile(path);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const bool cut : {true, false}) {
      if (!cut && i >= 5 && i < 8) continue;  // Padding.
      std::string damaged = cut ? whole.substr(0, i) : whole;
      if (!cut) damaged[i] = static_cast<char>(damaged[i] ^ 0x81);
      REQUIRE(base::WriteFileAtomically(path, damaged).ok());
      const auto reader = ChunkSegmentReader::Open(directory.path());
      const absl::Status status =
          reader.ok() ? (*reader)->Read(*ref).status() : reader.status();
      REQUIRE_FALSE(status.ok());
      CHECK_THAT(std::string(status.message()), Catch::Contains(path));
    }
  }
}

TEST_CASE("references that lead nowhere are errors") {
  const base::TemporaryDirectory directory;
  auto writer = ChunkSegmentWriter::Create(directory.path());
  REQUIRE((*writer)->Write(storage::Encoding::kXor, "0123456789").ok());
  REQUIRE((*writer)->Finish().ok());
  const auto reader = ChunkSegmentReader::Open(directory.path());
  for (const std::uint64_t ref :
       {std::uint64_t{0}, std::uint64_t{7}, std::uint64_t{1000},
        std::uint64_t{1} << 32, ~std::uint64_t{0}}) {
    CHECK(absl::IsDataLoss((*reader)->Read(ref).status()));
  }
}

}  // namespace
}  // namespace narthex::tsdb
