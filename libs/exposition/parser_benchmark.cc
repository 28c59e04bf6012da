// Bytes a second of the text parser: series text only, with right guesses,
// and with labels.
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/exposition/parser.h"

namespace narthex::exposition {
namespace {

std::string Body() {
  std::string body;
  for (int i = 0; i < 20000; ++i) {
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

template <typename Run>
void Measure(const char* name, const std::string& body, Run run) {
  double best = 0;
  for (int round = 0; round < 20; ++round) {
    const auto start = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double> took =
        std::chrono::steady_clock::now() - start;
    best = std::max(best, static_cast<double>(body.size()) / took.count());
  }
  std::printf("%-12s %8.0f MB/s\n", name, best / 1e6);
}

void Main() {
  const std::string body = Body();
  std::vector<std::string> known;
  double sum = 0;
  {
    const auto parser = Parser::Create(Format::kText, body);
    for (Entry e = parser->Next(); e != Entry::kEnd; e = parser->Next()) {
      if (e == Entry::kSeries) known.emplace_back(parser->series());
    }
  }
  Measure("series text", body, [&] {
    const auto parser = Parser::Create(Format::kText, body);
    for (Entry e = parser->Next(); e != Entry::kEnd; e = parser->Next()) {
      sum += parser->value();
    }
  });
  Measure("guessed", body, [&] {
    const auto parser = Parser::Create(Format::kText, body);
    std::size_t i = 0;
    for (Entry e = parser->Next(known[0]); e != Entry::kEnd;
         e = parser->Next(known[i])) {
      sum += parser->value();
      if (e == Entry::kSeries && i + 1 < known.size()) ++i;
    }
  });
  Measure("with labels", body, [&] {
    const auto parser = Parser::Create(Format::kText, body);
    model::Labels labels;
    for (Entry e = parser->Next(); e != Entry::kEnd; e = parser->Next()) {
      if (e == Entry::kSeries && parser->ParseLabels(&labels).ok()) {
        sum += static_cast<double>(labels.encoded().size());
      }
    }
  });
  std::printf("%zu lines, %zu bytes, checksum %g\n", known.size(), body.size(),
              sum);
}

}  // namespace
}  // namespace narthex::exposition

int main() { narthex::exposition::Main(); }
