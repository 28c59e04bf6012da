#include "libs/tsdb/head_chunk_files.h"

#include <catch2/catch.hpp>

#include "absl/strings/str_cat.h"
#include "libs/base/crc32c.h"
#include "libs/base/file.h"
#include "libs/base/varint.h"
#include "libs/tsdb/head_chunk_reader.h"

namespace narthex::tsdb {
namespace {

TEST_CASE("chunks can be read where they were written, over many files") {
  const base::TemporaryDirectory directory;
  const std::string path = directory.path() + "/chunks_head";
  auto files = HeadChunkFiles::Open(path, 1000);
  REQUIRE(files.ok());
  std::vector<std::string> texts;
  for (int i = 0; i < 50; ++i) texts.emplace_back(i * 3, 'a' + i % 26);
  std::vector<HeadChunk> chunks;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto time = static_cast<std::int64_t>(i);
    chunks.push_back({i + 1, time * 10, time * 10 + 9, texts[i]});
  }
  std::vector<absl::string_view> mapped;
  REQUIRE(
      (*files)->Write(absl::MakeConstSpan(chunks).subspan(0, 7), &mapped).ok());
  REQUIRE(
      (*files)->Write(absl::MakeConstSpan(chunks).subspan(7), &mapped).ok());
  REQUIRE(mapped.size() == texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) CHECK(mapped[i] == texts[i]);
  CHECK(base::ListDirectory(path)->size() > 5);

  REQUIRE((*files)->RemoveBefore(490).ok());
  CHECK(base::ListDirectory(path)->size() == 1);
  CHECK(mapped.back() == texts.back());
  CHECK((*files)->size_bytes() > 150);
}

TEST_CASE("a file has the layout of Prometheus") {
  const base::TemporaryDirectory directory;
  const std::string path = directory.path() + "/chunks_head";
  {
    auto files = HeadChunkFiles::Open(path);
    const std::vector<HeadChunk> chunks = {{5, -1, 2, "bytes"}};
    std::vector<absl::string_view> mapped;
    REQUIRE((*files)->Write(chunks, &mapped).ok());
  }
  std::string expected("\x01\x30\xbc\x91\x01\0\0\0", 8);
  std::string chunk;
  base::PutBe64(5, &chunk);
  base::PutBe64(~std::uint64_t{0}, &chunk);
  base::PutBe64(2, &chunk);
  chunk +=
      "\x01\x05"
      "bytes";
  base::PutBe32(base::Crc32c(chunk), &chunk);
  CHECK(*base::ReadFile(path + "/000001") == expected + chunk);
}

TEST_CASE("what is written is read again, up to the first damage") {
  const base::TemporaryDirectory directory;
  const std::string path = directory.path() + "/chunks_head";
  const std::vector<HeadChunk> chunks = {
      {5, -1, 2, "bytes"},
      {6, 0, 0, "", storage::Encoding::kHistogram},
      {7, 1, 9, "more", storage::Encoding::kFloatHistogram, true}};
  auto files = HeadChunkFiles::Open(path);
  std::vector<absl::string_view> mapped;
  REQUIRE((*files)->Write(chunks, &mapped).ok());
  const auto read = [](const std::string& file, std::size_t* count) {
    *count = 0;
    return ReadHeadChunks(file, [&](const HeadChunk&) {
      ++*count;
      return absl::OkStatus();
    });
  };
  std::size_t i = 0;
  const auto compare = [&](const HeadChunk& found) {
    CHECK(found.ref == chunks[i].ref);
    CHECK(found.min_ms == chunks[i].min_ms);
    CHECK(found.max_ms == chunks[i].max_ms);
    CHECK(found.bytes == chunks[i].bytes);
    CHECK(found.encoding == chunks[i].encoding);
    CHECK(found.out_of_order == chunks[i].out_of_order);
    ++i;
    return absl::OkStatus();
  };
  // While it is written it ends in a hole.
  REQUIRE(ReadHeadChunks(path + "/000001", compare).ok());
  CHECK(i == 3);
  files->reset();
  i = 0;
  REQUIRE(ReadHeadChunks(path + "/000001", compare).ok());
  CHECK(i == 3);

  const std::string whole = *base::ReadFile(path + "/000001");
  const std::string copy = directory.path() + "/copy";
  std::size_t count = 0;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    REQUIRE(base::WriteFileAtomically(copy, whole.substr(0, size)).ok());
    const absl::Status status = read(copy, &count);
    CHECK(count < 3);
    CHECK((status.ok() || absl::IsDataLoss(status)));
    std::string changed = whole;
    changed[size] = static_cast<char>(changed[size] ^ 4);
    REQUIRE(base::WriteFileAtomically(copy, changed).ok());
    const bool padding = size >= 5 && size < 8;
    CHECK(read(copy, &count).ok() == padding);
  }
}

TEST_CASE("a chunk too large for any file is refused and others are not") {
  const base::TemporaryDirectory directory;
  auto files = HeadChunkFiles::Open(directory.path() + "/chunks_head", 500);
  const std::string large(600, 'x');
  std::vector<absl::string_view> mapped;
  CHECK(absl::IsInvalidArgument((*files)->Write(
      std::vector<HeadChunk>{{1, 0, 1, "ok"}, {1, 2, 3, large}}, &mapped)));
  CHECK(mapped.empty());
  REQUIRE(
      (*files)->Write(std::vector<HeadChunk>{{1, 0, 1, "ok"}}, &mapped).ok());
  CHECK(mapped[0] == "ok");
}

TEST_CASE("files with chunks out of order stay until these are forgotten") {
  const base::TemporaryDirectory directory;
  const std::string path = directory.path() + "/chunks_head";
  auto files = HeadChunkFiles::Open(path, 100);
  REQUIRE(files.ok());
  std::vector<HeadChunk> chunks(3, {7, 10, 20, "in or out of order"});
  chunks[0].out_of_order = true;
  std::vector<absl::string_view> mapped;
  REQUIRE((*files)->Write(chunks, &mapped).ok());
  const HeadChunkFiles::Location first = (*files)->Locate(mapped[0]);
  CHECK(first.file_ref == (std::uint64_t{1} << 32 | 8));
  CHECK((*files)->Locate(mapped[2]).file_ref == (std::uint64_t{3} << 32 | 8));
  CHECK((base::ReadFile(path + "/000001")->at(8 + 24) & 0x80) != 0);
  REQUIRE((*files)->RemoveBefore(100).ok());
  CHECK(base::Exists(path + "/000001"));
  // Prometheus takes no gap.
  CHECK(base::Exists(path + "/000002"));
  (*files)->ForgetOutOfOrder();
  REQUIRE((*files)->RemoveBefore(100).ok());
  CHECK(base::ListDirectory(path)->empty());
  // Who holds the owner still reads.
  CHECK(mapped[0] == "in or out of order");
}

TEST_CASE("opening removes what was there") {
  const base::TemporaryDirectory directory;
  const std::string path = directory.path() + "/chunks_head";
  REQUIRE(base::CreateDirectories(path).ok());
  REQUIRE(base::WriteFileAtomically(path + "/000009", "old").ok());
  REQUIRE(HeadChunkFiles::Open(path).ok());
  CHECK(base::ListDirectory(path)->empty());
}

TEST_CASE("files of an earlier process stay until they are no longer needed") {
  const base::TemporaryDirectory directory;
  const std::string path = directory.path() + "/chunks_head";
  const auto write = [](HeadChunkFiles& files, storage::SeriesRef ref) {
    const std::vector<HeadChunk> chunks = {{ref, 0, 9, "bytes"}};
    std::vector<absl::string_view> mapped;
    REQUIRE(files.Write(chunks, &mapped).ok());
  };
  write(**HeadChunkFiles::Open(path), 1);
  for (int start = 0; start < 3; ++start) {
    // What an earlier start wrote beside them is gone.
    auto files = HeadChunkFiles::OpenBeside(path);
    REQUIRE(files.ok());
    CHECK((*files)->earlier() == std::vector<std::string>{path + "/000001"});
    CHECK((*files)->earlier_needed() == (start > 1));
    write(**files, 2);
    CHECK(base::Exists(path + "/000002"));
    if (start == 1) REQUIRE((*files)->NeedEarlier().ok());
  }
  {
    auto files = HeadChunkFiles::OpenBeside(path);
    write(**files, 3);
    REQUIRE((*files)->RemoveEarlier().ok());
    CHECK((*files)->earlier().empty());
  }
  CHECK(*base::ListDirectory(path) == std::vector<std::string>{"000002"});
  auto files = HeadChunkFiles::OpenBeside(path);
  CHECK((*files)->earlier() == std::vector<std::string>{path + "/000002"});
  CHECK_FALSE((*files)->earlier_needed());
}

}  // namespace
}  // namespace narthex::tsdb
