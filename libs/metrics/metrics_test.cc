#include "libs/metrics/metrics.h"

#include <catch2/catch.hpp>
#include <thread>

namespace narthex::metrics {

TEST_CASE("metrics expose as text, sorted by name, with escapes") {
  Registry registry;
  registry.NewGauge("b", "A \"gauge\"\nof \\.", {{"x", "a\"\\\n"}}).Set(-1.5);
  registry.NewCounter("a_total", "Counts.").Inc();
  registry.NewGaugeFunction("c", "Asked.", [] { return 7.0; });
  CHECK(registry.Expose() ==
        "# HELP a_total Counts.\n# TYPE a_total counter\na_total 1\n"
        "# HELP b A \"gauge\"\\nof \\\\.\n# TYPE b gauge\n"
        "b{x=\"a\\\"\\\\\\n\"} -1.5\n"
        "# HELP c Asked.\n# TYPE c gauge\nc 7\n");
}

TEST_CASE("histograms expose cumulated buckets, sum and count") {
  Registry registry;
  Histogram& h = registry.NewHistogram("h", "H.", {1, 2}, {{"k", "v"}});
  for (const double value : {0.5, 1.0, 1.5, 9.0}) h.Observe(value);
  CHECK(registry.Expose() ==
        "# HELP h H.\n# TYPE h histogram\n"
        "h_bucket{k=\"v\",le=\"1\"} 2\nh_bucket{k=\"v\",le=\"2\"} 3\n"
        "h_bucket{k=\"v\",le=\"+Inf\"} 4\nh_sum{k=\"v\"} 12\n"
        "h_count{k=\"v\"} 4\n");
}

TEST_CASE("summaries expose quantiles, sum and count") {
  Registry registry;
  Summary& s = registry.NewSummary("s", "S.", {0.5, 0.9});
  registry.NewSummary("t", "T.").Observe(2);
  CHECK_THAT(registry.Expose(), Catch::Contains("s{quantile=\"0.5\"} NaN\n"));
  for (int i = 1; i <= 10; ++i) s.Observe(i);
  CHECK(registry.Expose() ==
        "# HELP s S.\n# TYPE s summary\n"
        "s{quantile=\"0.5\"} 6\ns{quantile=\"0.9\"} 10\ns_sum 55\n"
        "s_count 10\n"
        "# HELP t T.\n# TYPE t summary\nt_sum 2\nt_count 1\n");
  for (int i = 0; i < 2000; ++i) s.Observe(100);
  CHECK(s.Read().quantiles[0].second == 100);
  CHECK(s.Read().count == 2010);
}

TEST_CASE("a family makes a metric per label values and removes it") {
  Registry registry;
  CounterFamily& family = registry.NewCounterFamily("f", "F.", {"code"});
  family.With({"200"}).Inc(2);
  family.With({"500"}).Inc();
  CHECK(&family.With({"200"}) == &family.With({"200"}));
  CHECK(
      registry.Expose() ==
      "# HELP f F.\n# TYPE f counter\nf{code=\"200\"} 2\nf{code=\"500\"} 1\n");
  family.Remove({"200"});
  CHECK(registry.Expose() ==
        "# HELP f F.\n# TYPE f counter\nf{code=\"500\"} 1\n");
}

TEST_CASE("the same name and labels are one metric") {
  Registry registry;
  registry.NewCounter("x", "X.").Inc();
  registry.NewCounter("x", "X.").Inc();
  CHECK(registry.NewCounter("x", "X.").value() == 2);
}

TEST_CASE("increments from many threads add up") {
  Counter counter;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&counter] {
      for (int i = 0; i < 1000; ++i) counter.Inc();
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(counter.value() == 4000);
}

}  // namespace narthex::metrics
