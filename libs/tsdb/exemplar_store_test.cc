#include "libs/tsdb/exemplar_store.h"

#include <catch2/catch.hpp>
#include <string>

#include "absl/strings/str_cat.h"

namespace narthex::tsdb {
namespace {

using model::Labels;
using model::Matcher;

const storage::TimeRange kAll{0, 1'000'000};

Labels Series(const std::string& name) { return Labels({{"__name__", name}}); }

model::Exemplar At(std::int64_t time, double value,
                   const std::string& trace = "t") {
  return {Labels({{"trace_id", trace}}), value, time};
}

// "a: 1=0.5 2=7 b: 3=1", times and values.
std::string Show(const std::vector<SeriesExemplars>& found) {
  std::string text;
  for (const SeriesExemplars& one : found) {
    absl::StrAppend(&text, text.empty() ? "" : " ", one.labels.Get("__name__"),
                    ":");
    for (const model::Exemplar& e : one.exemplars) {
      absl::StrAppend(&text, " ", e.timestamp_ms, "=", e.value);
    }
  }
  return text;
}

std::vector<std::vector<Matcher>> AnyOf(const std::string& pattern) {
  return {{*Matcher::Create(model::MatchType::kRegex, "__name__", pattern)}};
}

}  // namespace

TEST_CASE("exemplars are selected by series and time, sorted by labels") {
  metrics::Registry registry;
  ExemplarStore store(10, registry);
  CHECK(store.Add(Series("b"), At(3, 1)) == ExemplarVerdict::kNew);
  CHECK(store.Add(Series("a"), At(1, 0.5)) == ExemplarVerdict::kNew);
  CHECK(store.Add(Series("a"), At(2, 7)) == ExemplarVerdict::kNew);
  CHECK(Show(store.Select(kAll, AnyOf(".*"))) == "a: 1=0.5 2=7 b: 3=1");
  CHECK(Show(store.Select({2, 2}, AnyOf(".*"))) == "a: 2=7");
  CHECK(Show(store.Select(kAll, AnyOf("b|c"))) == "b: 3=1");
  CHECK(store.Select({4, 9}, AnyOf(".*")).empty());
  CHECK(store.Select(kAll, {}).empty());
}

TEST_CASE("the newest exemplar of all takes the place of the oldest") {
  metrics::Registry registry;
  ExemplarStore store(3, registry);
  store.Add(Series("a"), At(1, 1));
  store.Add(Series("b"), At(1, 1));
  store.Add(Series("a"), At(2, 2));
  store.Add(Series("b"), At(2, 2));
  CHECK(Show(store.Select(kAll, AnyOf(".*"))) == "a: 2=2 b: 1=1 2=2");
  store.Add(Series("b"), At(3, 3));
  store.Add(Series("b"), At(4, 4));
  CHECK(Show(store.Select(kAll, AnyOf(".*"))) == "b: 2=2 3=3 4=4");
}

TEST_CASE("a single place holds the newest exemplar of all") {
  metrics::Registry registry;
  ExemplarStore store(1, registry);
  for (int i = 1; i < 5; ++i) {
    store.Add(Series(i % 2 == 0 ? "a" : "b"), At(i, i));
    CHECK(store.Select(kAll, AnyOf(".*")).size() == 1);
  }
  store.Add(Series("a"), At(6, 6));
  CHECK(Show(store.Select(kAll, AnyOf(".*"))) == "a: 6=6");
}

TEST_CASE("an exemplar without a time of its own is kept once") {
  metrics::Registry registry;
  ExemplarStore store(10, registry);
  const auto untimed = [](std::int64_t time, double value) {
    model::Exemplar exemplar = At(time, value);
    exemplar.has_timestamp = false;
    return exemplar;
  };
  CHECK(store.Add(Series("a"), untimed(1, 5)) == ExemplarVerdict::kNew);
  CHECK(store.Check(Series("a"), untimed(2, 5)) == ExemplarVerdict::kDuplicate);
  CHECK(store.Add(Series("a"), untimed(2, 5)) == ExemplarVerdict::kDuplicate);
  CHECK(store.Add(Series("a"), untimed(3, 4)) == ExemplarVerdict::kNew);
  // A time of its own makes it another one.
  CHECK(store.Add(Series("a"), At(4, 4)) == ExemplarVerdict::kNew);
  CHECK(store.Add(Series("a"), untimed(5, 4)) == ExemplarVerdict::kNew);
  CHECK(Show(store.Select(kAll, AnyOf("a"))) == "a: 1=5 3=4 4=4 5=4");
}

TEST_CASE("restored exemplars are all kept, and not again without a time") {
  metrics::Registry registry;
  ExemplarStore store(10, registry);
  store.Restore(Series("a"), At(1, 5));
  store.Restore(Series("a"), At(2, 5));
  store.Restore(Series("a"), At(2, 5));
  model::Exemplar again = At(3, 5);
  again.has_timestamp = false;
  CHECK(store.Add(Series("a"), again) == ExemplarVerdict::kDuplicate);
  CHECK(store.Add(Series("a"), At(4, 5)) == ExemplarVerdict::kNew);
  CHECK(Show(store.Select(kAll, AnyOf("a"))) == "a: 1=5 2=5 4=5");
}

TEST_CASE("exemplars of a series must come in order") {
  metrics::Registry registry;
  ExemplarStore store(10, registry);
  store.Add(Series("a"), At(5, 5));
  CHECK(store.Add(Series("a"), At(5, 5)) == ExemplarVerdict::kDuplicate);
  CHECK(store.Add(Series("a"), At(4, 9)) == ExemplarVerdict::kOutOfOrder);
  CHECK(store.Add(Series("a"), At(5, 4)) == ExemplarVerdict::kOutOfOrder);
  CHECK(store.Add(Series("a"), At(5, 6)) == ExemplarVerdict::kNew);
  CHECK(store.Check(Series("a"), At(5, 5)) == ExemplarVerdict::kOutOfOrder);
  CHECK(Show(store.Select(kAll, AnyOf(".*"))) == "a: 5=5 5=6");
}

TEST_CASE("labels of an exemplar have at most 128 characters") {
  metrics::Registry registry;
  ExemplarStore store(10, registry);
  // "trace_id" is 8 of them.
  std::string two_bytes_each;
  for (int i = 0; i < 120; ++i) two_bytes_each += "\xc3\xa9";
  CHECK(store.Check(Series("a"), At(1, 1, two_bytes_each)) ==
        ExemplarVerdict::kNew);
  CHECK(store.Check(Series("a"), At(1, 1, two_bytes_each + "x")) ==
        ExemplarVerdict::kTooLong);
}

TEST_CASE("a ring keeps the newest exemplars when its size changes") {
  metrics::Registry registry;
  ExemplarStore store(4, registry);
  for (int i = 1; i <= 6; ++i) {
    store.Add(Series(i % 2 == 0 ? "a" : "b"), At(i, i));
  }
  store.Resize(6);
  store.Add(Series("a"), At(7, 7));
  CHECK(Show(store.Select(kAll, AnyOf(".*"))) == "a: 4=4 6=6 7=7 b: 3=3 5=5");
  store.Resize(2);
  CHECK(Show(store.Select(kAll, AnyOf(".*"))) == "a: 6=6 7=7");
  store.Resize(0);
  CHECK_FALSE(store.enabled());
  CHECK(store.Add(Series("a"), At(8, 8)) == ExemplarVerdict::kDisabled);
  store.Resize(2);
  CHECK(store.Add(Series("a"), At(8, 8)) == ExemplarVerdict::kNew);
  CHECK(Show(store.Select(kAll, AnyOf(".*"))) == "a: 8=8");
}

}  // namespace narthex::tsdb
