#include "libs/tsdb/postings.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "libs/base/varint.h"
#include "libs/tsdb/block_fixture.h"

namespace narthex::tsdb {
namespace {

Postings RandomPostings(std::mt19937& random) {
  const std::size_t count = random() % 4 == 0 ? 0 : random() % 200;
  const SeriesId span = random() % 2 == 0 ? 300 : 100000;
  std::set<SeriesId> ids;
  for (std::size_t i = 0; i < count; ++i) {
    ids.insert(static_cast<SeriesId>(random()) % span);
  }
  return Postings(ids.begin(), ids.end());
}

std::string BigEndianBytes(const Postings& ids) {
  std::string bytes;
  for (const SeriesId id : ids) base::PutBe32(id, &bytes);
  return bytes;
}

TEST_CASE("postings in memory and in a file's byte order read the same") {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    const Postings ids = RandomPostings(random);
    const std::string bytes = BigEndianBytes(ids);
    const PostingsView views[] = {PostingsView(ids),
                                  PostingsView::BigEndian(bytes)};
    for (const PostingsView& view : views) {
      REQUIRE(view.size() == ids.size());
      Postings copy;
      view.AppendTo(&copy);
      REQUIRE(copy == ids);
      const std::size_t from = random() % (ids.size() + 1);
      const auto target = static_cast<SeriesId>(random()) % 400;
      const auto expected = std::lower_bound(
          ids.begin() + static_cast<std::ptrdiff_t>(from), ids.end(), target);
      REQUIRE(view.Seek(from, target) ==
              static_cast<std::size_t>(expected - ids.begin()));
    }
  }
}

TEST_CASE("set operations on postings agree with those of the library") {
  std::mt19937 random(2);
  for (int round = 0; round < 300; ++round) {
    const Postings a = RandomPostings(random);
    const Postings b = RandomPostings(random);
    const std::string b_bytes = BigEndianBytes(b);
    const PostingsView b_view = PostingsView::BigEndian(b_bytes);
    Postings both;
    Postings either;
    Postings only_a;
    std::set_intersection(a.begin(), a.end(), b.begin(), b.end(),
                          std::back_inserter(both));
    std::set_union(a.begin(), a.end(), b.begin(), b.end(),
                   std::back_inserter(either));
    std::set_difference(a.begin(), a.end(), b.begin(), b.end(),
                        std::back_inserter(only_a));
    Postings subtracted = a;
    Subtract(b_view, &subtracted);
    REQUIRE(Intersect({PostingsView(a), b_view}) == both);
    REQUIRE(Merge({PostingsView(a), b_view}) == either);
    REQUIRE(subtracted == only_a);
    REQUIRE(Intersects(a, b_view) == !both.empty());
  }
}

/// Series with labels, and the index over them that the slowest way gives.
class PlainIndex : public PostingsSource {
 public:
  void Add(SeriesId id, const model::Labels& labels) {
    all_.push_back(id);
    series_[id] = labels;
    for (const model::Label& label : labels) {
      pairs_[std::string(label.name)][std::string(label.value)].push_back(id);
    }
  }
  absl::StatusOr<PostingsView> All() const override { return all_; }
  absl::StatusOr<PostingsView> Find(absl::string_view name,
                                    absl::string_view value) const override {
    const auto values = pairs_.find(std::string(name));
    if (values == pairs_.end()) return PostingsView();
    const auto ids = values->second.find(std::string(value));
    if (ids == values->second.end()) return PostingsView();
    return ids->second;
  }
  absl::Status ForEachValue(absl::string_view name, absl::string_view prefix,
                            const Visit& visit) const override {
    const auto values = pairs_.find(std::string(name));
    if (values == pairs_.end()) return absl::OkStatus();
    for (const auto& [value, ids] : values->second) {
      if (!absl::StartsWith(value, prefix)) continue;
      const absl::Status status =
          visit(value, [&ids = ids] { return PostingsView(ids); });
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }
  Postings Matching(const std::vector<model::Matcher>& matchers) const {
    Postings ids;
    for (const auto& [id, labels] : series_) {
      if (model::MatchesAll(matchers, labels)) ids.push_back(id);
    }
    return ids;
  }

 private:
  Postings all_;
  std::map<SeriesId, model::Labels> series_;
  std::map<std::string, std::map<std::string, Postings>> pairs_;
};

TEST_CASE("matchers select the series that satisfy every one of them") {
  PlainIndex index;
  SeriesId id = 0;
  for (const std::string name : {"up", "http_requests", "http_errors"}) {
    for (const std::string job : {"", "api", "api-2", "node"}) {
      for (const std::string instance : {"", "a", "b", "a|b"}) {
        ++id;
        index.Add(id, {{"__name__", name},
                       {"job", job},
                       {"instance", instance},
                       {"n", std::to_string(id % 7)}});
      }
    }
  }
  const std::vector<model::Matcher> pool = {
      Match("__name__", "=", "up"),
      Match("__name__", "=~", "http_.+"),
      Match("__name__", "=~", "up|http_errors|none"),
      Match("__name__", "!~", "http_.*"),
      Match("__name__", "!=", ""),
      Match("job", "=", ""),
      Match("job", "!=", ""),
      Match("job", "=~", ".*"),
      Match("job", "=~", ".+"),
      Match("job", "!~", ".+"),
      Match("job", "!~", ".*"),
      Match("job", "=~", "api|"),
      Match("job", "!~", "api|"),
      Match("job", "!=", "api"),
      Match("job", "!~", "api|node"),
      Match("job", "=~", "api.*"),
      Match("job", "!~", "api.*"),
      Match("job", "=~", ""),
      Match("job", "!~", ""),
      Match("job", "=~", "(?i)API"),
      Match("instance", "=", "a|b"),
      Match("instance", "=~", "a|b"),
      Match("instance", "=~", "a.b"),
      Match("n", "=~", "[1-3]"),
      Match("n", "=", "9"),
      Match("absent", "=", ""),
      Match("absent", "!=", ""),
      Match("absent", "=~", "x?"),
  };
  for (const auto& a : pool) {
    for (const auto& b : pool) {
      for (const auto& c : {Match("n", "!=", "3"), pool[1]}) {
        const std::vector<model::Matcher> matchers = {a, b, c};
        INFO(a.ToString() << " " << b.ToString() << " " << c.ToString());
        const auto found = PostingsForMatchers(index, matchers);
        REQUIRE(found.ok());
        REQUIRE(*found == index.Matching(matchers));
      }
    }
  }
  REQUIRE(PostingsForMatchers(index, {})->size() == id);
}

}  // namespace
}  // namespace narthex::tsdb
