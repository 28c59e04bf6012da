#include "libs/promql/propagate.h"

#include <catch2/catch.hpp>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/promql/engine.h"
#include "libs/promql/parser.h"
#include "libs/storage/memory_storage.h"

namespace narthex::promql {
namespace {

std::string Propagated(const std::string& query) {
  ParserOptions options;
  options.fill_modifiers = true;
  auto root = Parse(query, options);
  INFO(query << ": " << root.status().ToString());
  REQUIRE(root.ok());
  PropagateMatchers(root->get());
  return (*root)->String();
}

}  // namespace

TEST_CASE("selectors take over the matchers of what they must match") {
  struct Row {
    const char* query;
    const char* result;
  };
  const Row row = GENERATE(
      Row{"a{x=\"1\"} / b", "a{x=\"1\"} / b{x=\"1\"}"},
      Row{"a / b{x=\"1\"}", "a{x=\"1\"} / b{x=\"1\"}"},
      Row{"a{x=\"1\"} > b{y=\"2\"}", "a{x=\"1\",y=\"2\"} > b{x=\"1\",y=\"2\"}"},
      Row{"a{x=\"1\"} == a", "a{x=\"1\"} == a{x=\"1\"}"},
      Row{"a and on (x) b{x=\"1\",y=\"2\"}",
          "a{x=\"1\"} and on (x) b{x=\"1\",y=\"2\"}"},
      Row{"a{x=\"1\",y=\"2\"} and ignoring (x) b",
          "a{x=\"1\",y=\"2\"} and ignoring (x) b{y=\"2\"}"},
      Row{"a{x=\"1\"} unless b", "a{x=\"1\"} unless b{x=\"1\"}"},
      Row{"a and b and c{x=\"1\"}", "a{x=\"1\"} and b{x=\"1\"} and c{x=\"1\"}"},
      Row{"(a or b) and c{x=\"1\"}",
          "(a{x=\"1\"} or b{x=\"1\"}) and c{x=\"1\"}"},
      Row{"a and sum by (x) (rate(b{x=\"1\"}[5m]))",
          "a{x=\"1\"} and sum by (x) (rate(b{x=\"1\"}[5m]))"},
      Row{"a / on (x) sum by (x) (b{x=\"1\",y=\"2\"})",
          "a{x=\"1\"} / on (x) sum by (x) (b{x=\"1\",y=\"2\"})"},
      Row{"a / on (x) group_left () sum by (x) (b{x=\"1\"})",
          "a{x=\"1\"} / on (x) group_left () sum by (x) (b{x=\"1\"})"},
      Row{"rate(a{x=\"1\"}[5m]) / last_over_time(b[5m])",
          "rate(a{x=\"1\"}[5m]) / last_over_time(b{x=\"1\"}[5m])"},
      Row{"sum(a{x=\"1\"} * b)", "sum(a{x=\"1\"} * b{x=\"1\"})"});
  CHECK(Propagated(row.query) == row.result);
}

TEST_CASE("selectors stay as they are where more than values may change") {
  const std::string query = GENERATE(
      // Series without a match count.
      "a{x=\"1\"} or b", "a unless b{x=\"1\"}", "a{x=\"1\"} + fill (0) b",
      // Labels that need not agree.
      "a{x=\"1\"} and on (y) b", "a{x=\"1\"} and ignoring (x) b",
      "a{x=\"1\"} and sum by (y) (b)",
      "label_replace(a{x=\"1\"}, \"x\", \"2\", \"y\", \"\") and b",
      // Two series of one group on the right are an error.
      "a{x=\"1\"} / on (x) b", "a{x=\"1\"} / ignoring (y) b",
      "a{x=\"1\"} / {y=\"2\"}", "a{x=\"1\"} / on (x) sum by (x, y) (b)",
      // Warnings of other series.
      "a{x=\"1\"} / rate(b[5m])", "a{x=\"1\"} and sum by (x) (b)",
      "a{x=\"1\"} and b > 1",
      // No equality.
      "a{x=~\"1|2\"} / b", "a{x!=\"1\"} / b");
  const auto as_is = Parse(query, [] {
    ParserOptions options;
    options.fill_modifiers = true;
    return options;
  }());
  REQUIRE(as_is.ok());
  CHECK(Propagated(query) == (*as_is)->String());
}

namespace {

class Random {
 public:
  explicit Random(unsigned seed) : random_(seed) {}

  std::size_t Below(std::size_t n) { return random_() % n; }
  template <typename T>
  const T& Pick(const std::vector<T>& from) {
    return from[Below(from.size())];
  }

 private:
  std::mt19937 random_;
};

/// Series that come and go, few labels, a histogram now and then.
void Fill(Random* random, storage::MemoryStorage* storage) {
  for (const char* name : {"a", "b", "c_total"}) {
    for (int i = 0; i < 8; ++i) {
      if (random->Below(4) == 0) continue;
      model::SampleColumns samples;
      const std::size_t gap = random->Below(12);
      for (std::size_t t = 0; t < 12; ++t) {
        if (t >= gap && t < gap + 7) continue;
        const auto time_ms = static_cast<std::int64_t>(t) * 60'000;
        if (random->Below(20) == 0) {
          model::FloatHistogram histogram;
          histogram.count = histogram.zero_count = 2;
          samples.Append(time_ms, std::make_shared<const model::FloatHistogram>(
                                      histogram));
        } else {
          samples.Append(time_ms, static_cast<double>(random->Below(5)));
        }
      }
      model::LabelsBuilder labels;
      labels.Set(model::kMetricName, name);
      labels.Set("x", absl::StrCat(i % 2));
      if (i / 2 % 2 == 1) labels.Set("y", absl::StrCat(i % 3));
      labels.Set("z", absl::StrCat(i / 4));
      storage->Add(labels.Build(), samples);
    }
  }
}

class QueryMaker {
 public:
  explicit QueryMaker(Random* random) : random_(*random) {}

  std::string Vector(int depth) {
    if (depth == 0 || random_.Below(6) == 0) return Leaf();
    switch (random_.Below(8)) {
      case 0:
        return absl::StrCat(random_.Pick(kAggregations), " ", Grouping(), " (",
                            Vector(depth - 1), ")");
      case 1:
        return absl::StrCat("-(", Vector(depth - 1), ")");
      case 2:
        return absl::StrCat("(", Vector(depth - 1), " > 1)");
      default:
        return absl::StrCat("(", Vector(depth - 1), " ", Operator(), " ",
                            Vector(depth - 1), ")");
    }
  }

 private:
  std::string Selector() {
    return absl::StrCat(
        random_.Pick<std::string>({"a", "b", "c_total"}), "{",
        random_.Pick<std::string>({"", "", "", "x=\"1\"", "x=\"0\",z=\"1\"",
                                   "y=\"\"", "y=\"1\"", "z=~\"0|1\""}),
        "}");
  }

  std::string Leaf() {
    switch (random_.Below(8)) {
      case 0:
        return absl::StrCat("last_over_time(", Selector(), "[2m])");
      case 1:
        return absl::StrCat("rate(", Selector(), "[3m])");
      case 2:
        return absl::StrCat(random_.Pick(kAggregations), " ", Grouping(), " (",
                            Selector(), ")");
      case 3:
        return "{__name__=~\"a|b\",x=\"1\"}";
      case 4:
        return absl::StrCat(Selector(), " offset 1m");
      default:
        return Selector();
    }
  }

  std::string Labels() {
    return random_.Pick<std::string>(
        {"()", "(x)", "(y)", "(x, y)", "(x, y, z)", "(z)"});
  }
  std::string Grouping() {
    return random_.Pick<std::string>({"by ", "without "}) + Labels();
  }
  std::string Operator() {
    std::string matching;
    if (random_.Below(2) == 0) {
      matching = random_.Pick<std::string>({" on ", " ignoring "}) + Labels();
    }
    if (random_.Below(2) == 0) {
      return random_.Pick<std::string>({"and", "or", "unless"}) + matching;
    }
    if (!matching.empty() && random_.Below(2) == 0) {
      matching +=
          random_.Pick<std::string>({" group_left ()", " group_right ()"});
    }
    return random_.Pick<std::string>({"+", "/", ">", "== bool"}) + matching;
  }

  static inline const std::vector<std::string> kAggregations = {
      "sum", "count", "max", "avg", "group"};
  Random& random_;
};

std::string TextOf(const absl::StatusOr<QueryResult>& result) {
  if (!result.ok()) return result.status().ToString();
  std::string text;
  for (const MatrixSeries& series : result->value.matrix) {
    absl::StrAppend(&text, series.labels.ToString());
    for (std::size_t i = 0; i < series.samples.size(); ++i) {
      absl::StrAppend(&text, " ", series.samples.timestamps_ms[i], ":",
                      series.samples.values[i]);
    }
    text += "\n";
  }
  // Which comes first depends on what is read together.
  std::set<std::string> notes(result->warnings.begin(), result->warnings.end());
  notes.insert(result->infos.begin(), result->infos.end());
  for (const std::string& note : notes) text += note + "\n";
  return text;
}

}  // namespace

TEST_CASE("propagated matchers change neither values nor errors nor warnings") {
  int changed = 0;
  int failed = 0;
  for (unsigned seed = 0; seed < 4'000; ++seed) {
    Random random(seed);
    storage::MemoryStorage storage;
    Fill(&random, &storage);
    const std::string query = QueryMaker(&random).Vector(3);
    Engine engine({}, base::Clock::System());
    const auto run = [&](bool propagate) {
      QueryOptions options;
      options.propagate_matchers = propagate;
      return engine.Range(storage, query, 0, 11 * 60'000, 60'000, options);
    };
    const auto wanted = run(false);
    const auto got = run(true);
    INFO("seed " << seed << ": " << query);
    REQUIRE(TextOf(got) == TextOf(wanted));
    if (!wanted.ok()) ++failed;
    changed +=
        wanted.ok() && got->stats.series_read < wanted->stats.series_read;
  }
  // Many read less, and many fail with and without.
  CHECK(changed > 200);
  CHECK(failed > 200);
}

}  // namespace narthex::promql
