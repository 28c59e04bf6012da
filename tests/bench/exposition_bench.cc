// The text parser: series text only, with right guesses, and with labels;
// beside a pass of memchr over the lines, the floor of any parser.
#include <benchmark/benchmark.h>

#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/exposition/parser.h"

namespace narthex::exposition {
namespace {

std::string MakeBody(std::int64_t lines) {
  std::string body;
  for (std::int64_t i = 0; i < lines; ++i) {
    if (i % 20 == 0) {
      absl::StrAppend(&body, "# HELP http_requests_total Requests served.\n",
                      "# TYPE http_requests_total counter\n");
    }
    absl::StrAppend(&body, "http_requests_total{instance_group=\"frontend-",
                    i % 7, "\",handler=\"/api/v1/items/", i,
                    "\",method=\"GET\",code=\"200\",zone=\"eu-west-1a\"} ",
                    i * 13, i % 3 == 0 ? ".125" : "", "\n");
  }
  return body;
}

void CountBody(benchmark::State& state, const std::string& body) {
  state.SetBytesProcessed(static_cast<std::int64_t>(body.size()) *
                          state.iterations());
  state.SetItemsProcessed(state.range(0) * state.iterations());
}

void BM_Memchr(benchmark::State& state) {
  const std::string body = MakeBody(state.range(0));
  for (auto _ : state) {
    std::size_t lines = 0;
    const char* at = body.data();
    const char* const end = at + body.size();
    while ((at = static_cast<const char*>(std::memchr(
                at, '\n', static_cast<std::size_t>(end - at)))) != nullptr) {
      ++at;
      ++lines;
    }
    benchmark::DoNotOptimize(lines);
  }
  CountBody(state, body);
}
BENCHMARK(BM_Memchr)->Name("exposition/memchr")->Arg(20000);

void BM_SeriesText(benchmark::State& state) {
  const std::string body = MakeBody(state.range(0));
  for (auto _ : state) {
    double sum = 0;
    const auto parser = Parser::Create(Format::kText, body);
    for (Entry e = parser->Next(); e != Entry::kEnd; e = parser->Next()) {
      sum += parser->value();
    }
    benchmark::DoNotOptimize(sum);
  }
  CountBody(state, body);
}
BENCHMARK(BM_SeriesText)->Name("exposition/series_text")->Arg(20000);

void BM_Guessed(benchmark::State& state) {
  const std::string body = MakeBody(state.range(0));
  std::vector<std::string> known;
  const auto first = Parser::Create(Format::kText, body);
  for (Entry e = first->Next(); e != Entry::kEnd; e = first->Next()) {
    if (e == Entry::kSeries) known.emplace_back(first->series());
  }
  for (auto _ : state) {
    double sum = 0;
    std::size_t i = 0;
    const auto parser = Parser::Create(Format::kText, body);
    for (Entry e = parser->Next(known[0]); e != Entry::kEnd;
         e = parser->Next(known[i])) {
      sum += parser->value();
      if (e == Entry::kSeries && i + 1 < known.size()) ++i;
    }
    benchmark::DoNotOptimize(sum);
  }
  CountBody(state, body);
}
BENCHMARK(BM_Guessed)->Name("exposition/guessed")->Arg(20000);

void BM_WithLabels(benchmark::State& state) {
  const std::string body = MakeBody(state.range(0));
  for (auto _ : state) {
    const auto parser = Parser::Create(Format::kText, body);
    model::Labels labels;
    for (Entry e = parser->Next(); e != Entry::kEnd; e = parser->Next()) {
      if (e == Entry::kSeries && parser->ParseLabels(&labels).ok()) {
        benchmark::DoNotOptimize(labels.encoded().data());
      }
    }
  }
  CountBody(state, body);
}
BENCHMARK(BM_WithLabels)->Name("exposition/with_labels")->Arg(20000);
BENCHMARK(BM_WithLabels)->Name("exposition/with_labels/small")->Arg(100);

}  // namespace
}  // namespace narthex::exposition
