// Finding series: intersections of postings, and a regular expression over the
// values of a label with a million of them.
#include <benchmark/benchmark.h>

#include <memory>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/tsdb/label_index.h"
#include "libs/tsdb/postings.h"

namespace narthex::tsdb {
namespace {

// Every `step`-th id or so, below `end`.
Postings MakePostings(SeriesId end, unsigned step, unsigned seed) {
  std::mt19937 random(seed);
  Postings postings;
  std::uniform_int_distribution<SeriesId> gap(1, 2 * step);
  for (SeriesId id = gap(random); id < end; id += gap(random)) {
    postings.push_back(id);
  }
  return postings;
}

void BM_Intersect(benchmark::State& state) {
  constexpr SeriesId kSeries = 1'000'000;
  const Postings a =
      MakePostings(kSeries, static_cast<unsigned>(state.range(0)), 1);
  const Postings b =
      MakePostings(kSeries, static_cast<unsigned>(state.range(1)), 2);
  for (auto _ : state) {
    const Postings both = Intersect({PostingsView(a), PostingsView(b)});
    benchmark::DoNotOptimize(both.data());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(a.size() + b.size()) *
                          state.iterations());
}
BENCHMARK(BM_Intersect)->Name("postings/intersect/dense")->Args({2, 2});
BENCHMARK(BM_Intersect)->Name("postings/intersect/sparse")->Args({2, 1000});

// `count` series that differ in the label "instance".
std::unique_ptr<LabelIndex> MakeIndex(std::int64_t count) {
  auto index = std::make_unique<LabelIndex>();
  for (std::int64_t i = 0; i < count; ++i) {
    index->Add(static_cast<SeriesId>(i + 1),
               {{"__name__", "up"},
                {"instance", absl::StrCat("host-", i, ".example.org:9100")}});
  }
  return index;
}

void BM_Regex(benchmark::State& state, const char* pattern) {
  const auto index = MakeIndex(state.range(0));
  const auto matcher =
      model::Matcher::Create(model::MatchType::kRegex, "instance", pattern);
  if (!matcher.ok()) {
    state.SkipWithError("bad pattern");
    return;
  }
  for (auto _ : state) {
    const auto found = PostingsForMatchers(*index, {*matcher});
    benchmark::DoNotOptimize(found->data());
  }
  state.SetItemsProcessed(state.range(0) * state.iterations());
}
constexpr std::int64_t kValues = 1'000'000;
BENCHMARK_CAPTURE(BM_Regex, class, "host-[0-9]+7\\.example.*")
    ->Name("postings/regex/class")
    ->Arg(kValues);
BENCHMARK_CAPTURE(BM_Regex, contains, ".*-99.*")
    ->Name("postings/regex/contains")
    ->Arg(kValues);
BENCHMARK_CAPTURE(BM_Regex, prefix, "host-123.*")
    ->Name("postings/regex/prefix")
    ->Arg(kValues);
BENCHMARK_CAPTURE(BM_Regex, alternation,
                  "host-1.example.org:9100|host-77.example.org:9100")
    ->Name("postings/regex/alternation")
    ->Arg(kValues);
BENCHMARK_CAPTURE(BM_Regex, small, "host-[0-9]+7\\.example.*")
    ->Name("postings/regex/small")
    ->Arg(1000);

}  // namespace
}  // namespace narthex::tsdb
