#include <catch2/catch.hpp>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/promql/script.h"
#include "libs/tsdb/db.h"
#include "libs/tsdb/db_queryable.h"

namespace narthex::promql {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;

std::string SharedDirectory() {
  const char* const shared = std::getenv("NARTHEX_SHARED");
  return shared != nullptr ? shared : NARTHEX_SOURCE_DIR "/../shared";
}

/// Keeps the series of a script in a database of its own.
class StoredSeries : public ScriptStorage {
 public:
  StoredSeries() { Clear(); }

  void Clear() override {
    queryable_.reset();
    db_.reset();
    registry_ = std::make_unique<metrics::Registry>();
    directory_ = std::make_unique<base::TemporaryDirectory>();
    tsdb::DbOptions options;
    // Scripts load in any order, from 1970 on.
    options.block_ms = 20 * kDayMs;
    options.out_of_order_window_ms = 36'500 * kDayMs;
    options.start_times = true;
    options.histogram_start_times = true;
    auto db =
        tsdb::Db::Open(directory_->path(), options, base::Logger::Discard(),
                       base::Clock::System(), *registry_);
    INFO(db.status().ToString());
    REQUIRE(db.ok());
    db_ = *std::move(db);
    queryable_ = std::make_unique<tsdb::DbQueryable>(*db_);
  }

  absl::Status Load(const std::vector<LoadedSeries>& series) override {
    for (const LoadedSeries& one : series) {
      const auto ref = db_->GetOrCreateSeries(one.labels);
      if (!ref.ok()) return ref.status();
      const absl::Status status = Append(*ref, one.samples);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  storage::Queryable& queryable() override { return *queryable_; }

 private:
  // One by one: floats and histograms must come in order of time.
  absl::Status Append(storage::SeriesRef ref,
                      const model::SampleColumns& samples) {
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const std::int64_t time_ms = samples.timestamps_ms[i];
      const bool is_histogram =
          !samples.histograms.empty() && samples.histograms[i] != nullptr;
      const std::int64_t start_ms =
          samples.starts_ms.empty() ? 0 : samples.starts_ms[i];
      const tsdb::RefSample sample{ref, time_ms, samples.values[i]};
      tsdb::RefHistogram histogram{ref, time_ms, start_ms, {}};
      tsdb::AppendBatch batch;
      if (is_histogram) {
        histogram.value.floating = samples.histograms[i];
        batch.histograms = {&histogram, 1};
      } else {
        batch.samples = {&sample, 1};
        batch.starts_ms = {&start_ms, 1};
      }
      std::vector<storage::Rejection> rejected;
      const absl::Status status = db_->Append(batch, &rejected);
      if (!status.ok()) return status;
      if (!rejected.empty()) {
        return absl::InternalError(absl::StrCat("rejected at ", time_ms));
      }
    }
    return absl::OkStatus();
  }

  std::unique_ptr<metrics::Registry> registry_;
  std::unique_ptr<base::TemporaryDirectory> directory_;
  std::unique_ptr<tsdb::Db> db_;
  std::unique_ptr<tsdb::DbQueryable> queryable_;
};

/// Runs all scripts that `pattern` names; how many evaluations passed.
int RunAll(const std::vector<std::string>& files) {
  EngineOptions options;
  options.max_samples = 10'000;
  options.parser = ParserOptions::All();
  options.delayed_name_removal = true;
  options.use_start_timestamps = true;
  Engine engine(options, base::Clock::System());
  int passed = 0;
  for (const std::string& file : files) {
    INFO(file);
    const auto text = base::ReadFile(file);
    REQUIRE(text.ok());
    const auto script = Script::Parse(*text);
    REQUIRE(script.ok());
    StoredSeries storage;
    const ScriptReport report = script->Run(engine, storage);
    passed += report.passed;
    for (const std::string& failure : report.failures) FAIL_CHECK(failure);
  }
  return passed;
}

TEST_CASE("Prometheus's scripts give the same from a database") {
  const std::vector<std::string> files = base::Glob(
      absl::StrCat(SharedDirectory(), "/conformance/promql/testdata/*.test"));
  if (files.empty()) {
    WARN("skipped: no test scripts in " << SharedDirectory());
    return;
  }
  const int passed = RunAll(files);
  CHECK(passed > 2000);
  WARN(passed << " evals pass");
}

TEST_CASE("our scripts give the same from a database") {
  CHECK(RunAll(base::Glob(NARTHEX_SOURCE_DIR "/tests/promql/*.test")) > 0);
}

}  // namespace
}  // namespace narthex::promql
