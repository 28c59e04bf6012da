#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "libs/base/file.h"
#include "libs/tsdb/index_reader.h"
#include "libs/tsdb/index_writer.h"

namespace narthex::tsdb {
namespace {

struct PlainSeries {
  model::Labels labels;
  std::vector<ChunkMeta> chunks;
};

/// Writes the series (sorted by labels) and fills in their ids.
void WriteIndex(const std::string& path, const std::vector<PlainSeries>& series,
                std::vector<SeriesId>* ids) {
  std::set<std::string> texts;
  for (const auto& s : series) {
    for (const model::Label& label : s.labels) {
      texts.emplace(label.name);
      texts.emplace(label.value);
    }
  }
  auto writer = IndexWriter::Create(path);
  REQUIRE(writer.ok());
  std::map<std::string, std::uint32_t> numbers;
  for (const std::string& text : texts) {
    const auto next = static_cast<std::uint32_t>(numbers.size());
    numbers[text] = next;
    REQUIRE((*writer)->AddSymbol(text).ok());
  }
  for (const auto& s : series) {
    std::vector<IndexWriter::LabelSymbols> labels;
    for (const model::Label& label : s.labels) {
      labels.emplace_back(numbers[std::string(label.name)],
                          numbers[std::string(label.value)]);
    }
    const auto id = (*writer)->AddSeries(labels, s.chunks);
    REQUIRE(id.ok());
    ids->push_back(*id);
  }
  REQUIRE((*writer)->Finish().ok());
}

std::vector<PlainSeries> RandomSeries(std::mt19937& random, int count) {
  std::set<model::Labels> labels;
  while (static_cast<int>(labels.size()) < count) {
    labels.insert({{"__name__", "m" + std::to_string(random() % 20)},
                   {"instance", std::to_string(random() % 1000)},
                   {random() % 2 == 0 ? "zone" : "Zone",
                    std::string(random() % 200, 'z')}});
  }
  std::vector<PlainSeries> series;
  for (const auto& l : labels) {
    PlainSeries s{l, {}};
    std::int64_t time = -1000000;
    for (auto i = random() % 5; i > 0; --i) {
      const std::int64_t min = time + 1 + random() % 100;
      time = min + random() % 7200000;
      s.chunks.push_back(
          {std::uint64_t{random()} << (random() % 8), min, time});
    }
    series.push_back(s);
  }
  return series;
}

TEST_CASE("an index gives back series, postings, names and values") {
  std::mt19937 random(1);
  const base::TemporaryDirectory directory;
  const std::string path = directory.path() + "/index";
  const auto series = RandomSeries(random, 500);
  std::vector<SeriesId> ids;
  WriteIndex(path, series, &ids);

  const auto reader = IndexReader::Open(path);
  REQUIRE(reader.ok());
  CHECK((*reader)->version() == 2);
  std::map<std::string, std::map<std::string, Postings>> pairs;
  for (std::size_t i = 0; i < series.size(); ++i) {
    model::Labels labels;
    std::vector<ChunkMeta> chunks;
    REQUIRE((*reader)->Series(ids[i], &labels, &chunks).ok());
    REQUIRE(labels == series[i].labels);
    REQUIRE(chunks == series[i].chunks);
    for (const model::Label& label : labels) {
      pairs[std::string(label.name)][std::string(label.value)].push_back(
          ids[i]);
      REQUIRE(*(*reader)->LabelValue(ids[i], label.name) == label.value);
    }
    REQUIRE((*reader)->LabelValue(ids[i], "none")->empty());
  }
  Postings all;
  (*reader)->All()->AppendTo(&all);
  CHECK(all == ids);
  std::vector<std::string> names;
  for (const auto& [name, values] : pairs) {
    names.push_back(name);
    std::vector<std::string> texts;
    for (const auto& [value, expected] : values) {
      texts.push_back(value);
      Postings found;
      (*reader)->Find(name, value)->AppendTo(&found);
      REQUIRE(found == expected);
    }
    REQUIRE(*(*reader)->LabelValues(name) == texts);
    for (const std::string absent : {"", "!", "4711x", "zzz~"}) {
      if (values.contains(absent)) continue;
      REQUIRE((*reader)->Find(name, absent)->empty());
    }
  }
  CHECK((*reader)->LabelNames() == names);
  CHECK((*reader)->LabelValues("absent")->empty());
}

TEST_CASE("values of a label are visited from a prefix on") {
  const base::TemporaryDirectory directory;
  const std::string path = directory.path() + "/index";
  std::set<model::Labels> labels;
  for (int i = 0; i < 300; ++i) labels.insert({{"a", std::to_string(i)}});
  std::vector<PlainSeries> series;
  for (const auto& l : labels) series.push_back({l, {}});
  std::vector<SeriesId> ids;
  WriteIndex(path, series, &ids);
  const auto reader = IndexReader::Open(path);
  REQUIRE(reader.ok());
  for (const std::string prefix : {"", "1", "12", "299", "3", "9", "x"}) {
    std::vector<std::string> expected;
    for (const auto& l : labels) {
      const std::string value(l.Get("a"));
      if (value.rfind(prefix, 0) == 0) expected.push_back(value);
    }
    std::vector<std::string> visited;
    REQUIRE((*reader)
                ->ForEachValue("a", prefix,
                               [&](absl::string_view value,
                                   const PostingsSource::Fetch& fetch) {
                                 visited.emplace_back(value);
                                 CHECK(fetch()->size() == 1);
                                 return absl::OkStatus();
                               })
                .ok());
    CHECK(visited == expected);
  }
}

TEST_CASE("an index without series is valid") {
  const base::TemporaryDirectory directory;
  const std::string path = directory.path() + "/index";
  std::vector<SeriesId> ids;
  WriteIndex(path, {}, &ids);
  const auto reader = IndexReader::Open(path);
  REQUIRE(reader.ok());
  CHECK((*reader)->All()->empty());
  CHECK((*reader)->LabelNames().empty());
}

TEST_CASE("an index of version 3 is read as one of version 2, later ones not") {
  const base::TemporaryDirectory directory;
  const std::string path = directory.path() + "/index";
  std::vector<SeriesId> ids;
  WriteIndex(path, {{{{"a", "b"}}, {{8, 1, 2}}}}, &ids);
  std::string file = *base::ReadFile(path);
  file[4] = 3;
  REQUIRE(base::WriteFileAtomically(path, file).ok());
  const auto reader = IndexReader::Open(path);
  REQUIRE(reader.ok());
  CHECK((*reader)->Find("a", "b")->size() == 1);
  file[4] = 4;
  REQUIRE(base::WriteFileAtomically(path, file).ok());
  CHECK(absl::IsInvalidArgument(IndexReader::Open(path).status()));
}

TEST_CASE("an index writer refuses symbols and series out of order") {
  const base::TemporaryDirectory directory;
  auto writer = IndexWriter::Create(directory.path() + "/index");
  REQUIRE((*writer)->AddSymbol("b").ok());
  CHECK(absl::IsInvalidArgument((*writer)->AddSymbol("a")));
  CHECK(absl::IsInvalidArgument((*writer)->AddSymbol("b")));
  const IndexWriter::LabelSymbols missing[] = {{0, 1}};
  CHECK(absl::IsInvalidArgument((*writer)->AddSeries(missing, {}).status()));
  CHECK(absl::IsFailedPrecondition((*writer)->AddSymbol("c")));
}

/// Reads all there is; the first error.
absl::Status ReadEverything(const std::string& path) {
  const auto reader = IndexReader::Open(path);
  if (!reader.ok()) return reader.status();
  const auto all = (*reader)->All();
  if (!all.ok()) return all.status();
  for (std::size_t i = 0; i < all->size(); ++i) {
    model::Labels labels;
    std::vector<ChunkMeta> chunks;
    const auto status = (*reader)->Series((*all)[i], &labels, &chunks);
    if (!status.ok()) return status;
  }
  for (const std::string& name : (*reader)->LabelNames()) {
    const auto status = (*reader)->ForEachValue(
        name, "", [](absl::string_view, const PostingsSource::Fetch& fetch) {
          return fetch().status();
        });
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

TEST_CASE("a damaged index gives errors that name the file, and no crash") {
  std::mt19937 random(2);
  const base::TemporaryDirectory directory;
  const std::string path = directory.path() + "/index";
  std::vector<SeriesId> ids;
  WriteIndex(path, RandomSeries(random, 4), &ids);
  const std::string whole = *base::ReadFile(path);
  REQUIRE(ReadEverything(path).ok());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << (random() % 8)));
    REQUIRE(base::WriteFileAtomically(path, damaged).ok());
    const absl::Status flipped = ReadEverything(path);
    // Padding and the sections no reader looks at may change unnoticed.
    if (!flipped.ok()) {
      CHECK_THAT(std::string(flipped.message()), Catch::Contains(path));
    }
    REQUIRE(base::WriteFileAtomically(path, whole.substr(0, i)).ok());
    CHECK_FALSE(ReadEverything(path).ok());
  }
}

}  // namespace
}  // namespace narthex::tsdb
